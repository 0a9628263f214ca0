//! One copy of each kernel for each instruction set, chosen at run time. The only module with
//! `unsafe`.

use half::{bf16, f16};

use crate::count::{Aside, Counter, Place};
use crate::element::{Lane, bf16_to_f32, f16_to_f32};
use crate::kernel::{self, LANES, Sums, Survey};
use crate::range::Extent;
use crate::summary::Summary;

#[cfg(target_arch = "x86_64")]
mod x86;

/// What a kernel asks of its instruction set: arithmetic on sixteen lanes of `f64`, which the
/// compiler does not vectorise reliably, and the passes themselves where another order of the work
/// is faster. Every implementation gives the same bits.
pub trait Isa: Sized {
    type Wide: Copy;

    fn splat(x: f64) -> Self::Wide;
    fn widen_f16(lanes: &[f16; LANES]) -> Self::Wide;
    fn widen_bf16(lanes: &[bf16; LANES]) -> Self::Wide;
    fn widen_f32(lanes: &[f32; LANES]) -> Self::Wide;
    fn widen_f64(lanes: &[f64; LANES]) -> Self::Wide;
    fn add(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    fn sub(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    fn mul(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    /// `a + b * b`, where the square is exact, so that it may be fused with the addition.
    fn add_exact_square(a: Self::Wide, b: Self::Wide) -> Self::Wide;
    fn to_array(a: Self::Wide) -> [f64; LANES];
    /// Has a cache line fetched; any address will do.
    fn prefetch<T>(at: *const T);

    /// Survey of a block that is not empty.
    #[inline(always)]
    fn survey<T: Lane>(block: &[T]) -> Survey<T> {
        kernel::survey(block)
    }

    /// Sums of a block that is not empty.
    #[inline(always)]
    fn sum<T: Lane, const RAW: bool>(block: &[T]) -> Sums {
        kernel::sum::<T, Self, RAW>(block)
    }

    /// Both for a block that is not empty, and what is to be done with its values aside.
    #[inline(always)]
    fn survey_and_sum<T: Lane, const RAW: bool>(block: &[T], aside: &mut impl Aside<T>) -> (Survey<T>, Sums) {
        let (pairs, rest) = block.as_chunks();
        pairs.iter().for_each(|pair| aside.take(pair));
        aside.finish(rest);
        (Self::survey(block), Self::sum::<T, RAW>(block))
    }

    /// Summary of a block that the pass over finite values gives up: a function of its own, which
    /// takes no registers from that pass.
    fn mend<T: Lane>(block: &[T], repaired: &mut Vec<T>) -> Summary {
        kernel::mend::<T, Self>(block, repaired)
    }

    /// Copies up to eight rows into the columns of a tile, from row `at` on.
    #[inline(always)]
    fn turn<T: Lane>(rows: &[T], stride: usize, width: usize, tile: &mut [T], at: usize) {
        kernel::turn(rows, stride, width, tile, at);
    }
}

/// What the target of the build guarantees.
pub(crate) struct Portable;

impl Isa for Portable {
    type Wide = [f64; LANES];

    #[inline(always)]
    fn splat(x: f64) -> Self::Wide {
        [x; LANES]
    }

    #[inline(always)]
    fn widen_f16(lanes: &[f16; LANES]) -> Self::Wide {
        std::array::from_fn(|j| f64::from(f16_to_f32(lanes[j])))
    }

    #[inline(always)]
    fn widen_bf16(lanes: &[bf16; LANES]) -> Self::Wide {
        std::array::from_fn(|j| f64::from(bf16_to_f32(lanes[j])))
    }

    #[inline(always)]
    fn widen_f32(lanes: &[f32; LANES]) -> Self::Wide {
        std::array::from_fn(|j| f64::from(lanes[j]))
    }

    #[inline(always)]
    fn widen_f64(lanes: &[f64; LANES]) -> Self::Wide {
        *lanes
    }

    #[inline(always)]
    fn add(a: Self::Wide, b: Self::Wide) -> Self::Wide {
        std::array::from_fn(|j| a[j] + b[j])
    }

    #[inline(always)]
    fn sub(a: Self::Wide, b: Self::Wide) -> Self::Wide {
        std::array::from_fn(|j| a[j] - b[j])
    }

    #[inline(always)]
    fn mul(a: Self::Wide, b: Self::Wide) -> Self::Wide {
        std::array::from_fn(|j| a[j] * b[j])
    }

    #[inline(always)]
    fn add_exact_square(a: Self::Wide, b: Self::Wide) -> Self::Wide {
        std::array::from_fn(|j| a[j] + b[j] * b[j])
    }

    #[inline(always)]
    fn to_array(a: Self::Wide) -> [f64; LANES] {
        a
    }

    #[inline(always)]
    fn prefetch<T>(_: *const T) {}
}

/// The instruction sets a kernel is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Level {
    /// The fastest that this processor has. The standard library remembers what it found, so that
    /// this costs a few loads.
    #[inline]
    pub(crate) fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        for level in [Self::Avx512, Self::Avx2] {
            if level.is_available() {
                return level;
            }
        }
        Self::Portable
    }

    #[inline]
    pub(crate) fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => x86::has_avx2(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => x86::has_avx512(),
        }
    }

    /// Summary of at most one chunk. Panics when the processor lacks the instruction set.
    #[inline]
    pub(crate) fn summarize<T: Lane>(self, chunk: &[T]) -> Summary {
        assert!(self.is_available());
        match self {
            Self::Portable => kernel::summarize_chunk::<T, Portable>(chunk),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the features, as asserted above.
            Self::Avx2 => unsafe { x86::summarize_avx2(chunk) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the features, as asserted above.
            Self::Avx512 => unsafe { x86::summarize_avx512(chunk) },
        }
    }

    /// Summary of one block that is not empty. Panics when the processor lacks the instruction set.
    #[inline]
    pub(crate) fn summarize_block<T: Lane>(self, block: &[T], repaired: &mut Vec<T>) -> Summary {
        assert!(self.is_available());
        match self {
            Self::Portable => kernel::summarize_block::<T, Portable>(block, repaired),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the features, as asserted above.
            Self::Avx2 => unsafe { x86::summarize_block_avx2(block, repaired) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the features, as asserted above.
            Self::Avx512 => unsafe { x86::summarize_block_avx512(block, repaired) },
        }
    }

    /// Summary of one block that is not empty, whose values are also counted. Panics when the
    /// processor lacks the instruction set.
    #[inline]
    pub(crate) fn tally_block<T: Lane>(
        self,
        block: &[T],
        place: Place,
        counter: &mut Counter<T>,
        repaired: &mut Vec<T>,
    ) -> Summary {
        assert!(self.is_available());
        match self {
            Self::Portable => kernel::tally_block::<T, Portable>(block, place, counter, repaired),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the features, as asserted above.
            Self::Avx2 => unsafe { x86::tally_block_avx2(block, place, counter, repaired) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the features, as asserted above.
            Self::Avx512 => unsafe { x86::tally_block_avx512(block, place, counter, repaired) },
        }
    }

    /// Columns of a block of rows, one after the other. Panics when the processor lacks the
    /// instruction set.
    #[inline]
    pub(crate) fn spread<T: Lane>(
        self,
        rows: &[T],
        stride: usize,
        width: usize,
        counter: Option<&mut Counter<T>>,
        tile: &mut [T],
    ) {
        assert!(self.is_available());
        match self {
            Self::Portable => kernel::spread::<T, Portable>(rows, stride, width, counter, tile),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the features, as asserted above.
            Self::Avx2 => unsafe { x86::spread_avx2(rows, stride, width, counter, tile) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the features, as asserted above.
            Self::Avx512 => unsafe { x86::spread_avx512(rows, stride, width, counter, tile) },
        }
    }

    /// Extent of at most one chunk. Panics when the processor lacks the instruction set.
    #[inline]
    pub(crate) fn extent<T: Lane>(self, chunk: &[T]) -> Extent {
        assert!(self.is_available());
        match self {
            Self::Portable => kernel::extent_chunk::<T, Portable>(chunk),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the features, as asserted above.
            Self::Avx2 => unsafe { x86::extent_avx2(chunk) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the features, as asserted above.
            Self::Avx512 => unsafe { x86::extent_avx512(chunk) },
        }
    }
}

/// The bit patterns of a slice.
///
/// Not `to_bits` on each element: the compiler would see a float and turn the test for zero into a
/// comparison of floats, which takes a subnormal for zero where the processor flushes them.
#[inline(always)]
pub(crate) fn patterns<T: Lane>(elements: &[T]) -> &[T::Bits] {
    const { assert!(size_of::<T>() == size_of::<T::Bits>() && align_of::<T>() >= align_of::<T::Bits>()) };
    // SAFETY: size and alignment agree, as asserted; the element is a float, and each of its
    // patterns is an unsigned integer.
    unsafe { std::slice::from_raw_parts(elements.as_ptr().cast(), elements.len()) }
}

#[cfg(test)]
mod tests;
