//! Summaries of strided views, without a copy of the tensor.

use crate::element::Element;
use crate::isa::Level;
use crate::kernel::{BLOCK, CHUNK};
use crate::range::{Extent, Range};
use crate::summary::Summary;

/// Summary of a strided view.
///
/// The view holds `data[offset + i0 * strides[0] + i1 * strides[1] + …]` for every index within
/// `shape`. Strides count elements; they may be negative, 0 (a broadcast dimension: its elements
/// are read once and counted as often as they appear) or overlap. No dimensions stand for one
/// element.
///
/// The elements are read in the order of memory, not of the index, so that a transposed tensor
/// costs no more than it did before; see [`Summary`] for what that may change.
///
/// # Errors
///
/// When the view reaches outside `data`, when `shape` and `strides` differ in length, or when the
/// number of elements leaves the range of `usize`. Nothing has been read then.
pub fn summarize_strided<T: Element>(
    data: &[T],
    offset: usize,
    shape: &[usize],
    strides: &[isize],
) -> Result<Summary, StridedError> {
    walk(Level::best(), data, offset, shape, strides)
}

/// Range of a strided view; see [`summarize_strided`].
///
/// # Errors
///
/// As [`summarize_strided`].
pub fn range_strided<T: Element>(
    data: &[T],
    offset: usize,
    shape: &[usize],
    strides: &[isize],
) -> Result<Range, StridedError> {
    Ok(extent_strided(data, offset, shape, strides)?.range)
}

/// Extent of a strided view; see [`summarize_strided`].
///
/// # Errors
///
/// As [`summarize_strided`].
pub fn extent_strided<T: Element>(
    data: &[T],
    offset: usize,
    shape: &[usize],
    strides: &[isize],
) -> Result<Extent, StridedError> {
    walk(Level::best(), data, offset, shape, strides)
}

/// Why a strided view cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StridedError {
    /// `shape` and `strides` differ in length.
    #[error("shape has {shape} dimensions but strides have {strides}")]
    Rank {
        /// Length of `shape`.
        shape: usize,
        /// Length of `strides`.
        strides: usize,
    },
    /// The view reaches outside the data.
    #[error("view reaches element {index} of {len}")]
    OutOfBounds {
        /// The outermost element on the side that the view leaves by; negative when it leaves by
        /// the front.
        index: i128,
        /// Number of elements in the data.
        len: usize,
    },
    /// The number of elements leaves the range of `usize`.
    #[error("number of elements overflows")]
    TooLarge,
}

/// A view after normalisation: dimensions of positive stride, outermost first, none that continues
/// the next.
struct Layout {
    start: usize,
    dims: Vec<Dim>,
    /// How often each element appears, by broadcast dimensions.
    times: u64,
}

#[derive(Clone, Copy)]
struct Dim {
    size: usize,
    stride: usize,
}

impl Layout {
    /// Nothing for a view without elements.
    fn new(
        len: usize,
        offset: usize,
        shape: &[usize],
        strides: &[isize],
    ) -> Result<Option<Self>, StridedError> {
        if shape.len() != strides.len() {
            return Err(StridedError::Rank { shape: shape.len(), strides: strides.len() });
        }
        if shape.contains(&0) {
            return Ok(None);
        }
        shape.iter().try_fold(1usize, |n, &size| n.checked_mul(size)).ok_or(StridedError::TooLarge)?;

        let (mut first, mut last) = (offset as i128, offset as i128);
        let mut dims = Vec::with_capacity(shape.len());
        let mut times = 1;
        for (&size, &stride) in shape.iter().zip(strides) {
            let reach = stride as i128 * (size as i128 - 1);
            first += reach.min(0);
            last += reach.max(0);
            if stride == 0 {
                times *= size as u64;
            } else if size > 1 {
                dims.push(Dim { size, stride: stride.unsigned_abs() });
            }
        }
        if first < 0 {
            return Err(StridedError::OutOfBounds { index: first, len });
        }
        if last >= len as i128 {
            return Err(StridedError::OutOfBounds { index: last, len });
        }

        dims.sort_by_key(|dim| std::cmp::Reverse(dim.stride));
        let mut joined: Vec<Dim> = Vec::with_capacity(dims.len());
        for dim in dims {
            match joined.last_mut() {
                Some(outer) if outer.stride == dim.size * dim.stride => {
                    *outer = Dim { size: outer.size * dim.size, stride: dim.stride };
                }
                _ => joined.push(dim),
            }
        }
        // A view within the data starts at an index that fits.
        Ok(Some(Self { start: first as usize, dims: joined, times }))
    }
}

/// The figures a walk can gather.
pub(crate) trait Figures: Copy {
    const EMPTY: Self;
    fn of<T: Element>(level: Level, chunk: &[T]) -> Self;
    fn merge(self, other: Self) -> Self;
    fn repeat(self, times: u64) -> Self;
}

impl Figures for Summary {
    const EMPTY: Self = Self::EMPTY;
    fn of<T: Element>(level: Level, chunk: &[T]) -> Self {
        level.summarize(chunk)
    }
    fn merge(self, other: Self) -> Self {
        self.merge(other)
    }
    fn repeat(self, times: u64) -> Self {
        self.repeat(times)
    }
}

impl Figures for Extent {
    const EMPTY: Self = Self::EMPTY;
    fn of<T: Element>(level: Level, chunk: &[T]) -> Self {
        level.extent(chunk)
    }
    fn merge(self, other: Self) -> Self {
        self.merge(other)
    }
    fn repeat(self, times: u64) -> Self {
        self.repeat(times)
    }
}

pub(crate) fn walk<T: Element, F: Figures>(
    level: Level,
    data: &[T],
    offset: usize,
    shape: &[usize],
    strides: &[isize],
) -> Result<F, StridedError> {
    let Some(Layout { start, dims, times }) = Layout::new(data.len(), offset, shape, strides)? else {
        return Ok(F::EMPTY);
    };
    let (inner, outer) = match dims.split_last() {
        Some((&inner, outer)) => (inner, outer),
        None => (Dim { size: 1, stride: 1 }, [].as_slice()),
    };
    let mut gather = Gather { level, buffer: Vec::new(), chunk: F::EMPTY, read: 0, total: F::EMPTY };
    let mut index = vec![0; outer.len()];
    let mut at = start;
    'runs: loop {
        if inner.stride == 1 {
            gather.run(&data[at..at + inner.size]);
        } else {
            gather.scattered(&data[at..], inner);
        }
        for (i, dim) in index.iter_mut().zip(outer).rev() {
            *i += 1;
            if *i < dim.size {
                at += dim.stride;
                continue 'runs;
            }
            *i = 0;
            at -= (dim.size - 1) * dim.stride;
        }
        return Ok(gather.finish().repeat(times));
    }
}

/// Cuts what it is given into the blocks and chunks of a contiguous slice, so that a view gives the
/// bits of its copy in the order of memory.
struct Gather<T, F> {
    level: Level,
    /// Elements of an unfinished block.
    buffer: Vec<T>,
    chunk: F,
    /// Elements in `chunk`.
    read: usize,
    total: F,
}

impl<T: Element, F: Figures> Gather<T, F> {
    fn run(&mut self, mut run: &[T]) {
        while !run.is_empty() {
            if self.buffer.is_empty() && run.len() >= BLOCK {
                // At the start of a chunk the kernel takes the chunk as a whole.
                let len = if self.read == 0 && run.len() >= CHUNK { CHUNK } else { BLOCK };
                let (blocks, rest) = run.split_at(len);
                self.push(F::of(self.level, blocks), len);
                run = rest;
            } else {
                let (part, rest) = run.split_at(run.len().min(BLOCK - self.buffer.len()));
                self.buffer.reserve_exact(BLOCK - self.buffer.len());
                self.buffer.extend_from_slice(part);
                self.flush_full();
                run = rest;
            }
        }
    }

    fn scattered(&mut self, from: &[T], dim: Dim) {
        let mut elements = from.iter().step_by(dim.stride).take(dim.size).copied();
        let mut left = dim.size;
        while left > 0 {
            let room = (BLOCK - self.buffer.len()).min(left);
            self.buffer.extend(elements.by_ref().take(room));
            left -= room;
            self.flush_full();
        }
    }

    fn flush_full(&mut self) {
        if self.buffer.len() == BLOCK {
            self.push(F::of(self.level, &self.buffer), BLOCK);
            self.buffer.clear();
        }
    }

    fn push(&mut self, part: F, len: usize) {
        self.chunk = self.chunk.merge(part);
        self.read += len;
        if self.read == CHUNK {
            self.total = self.total.merge(self.chunk);
            self.chunk = F::EMPTY;
            self.read = 0;
        }
    }

    fn finish(mut self) -> F {
        if !self.buffer.is_empty() {
            let part = F::of(self.level, &self.buffer);
            self.chunk = self.chunk.merge(part);
        }
        self.total.merge(self.chunk)
    }
}
