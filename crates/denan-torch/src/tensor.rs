//! A tensor of the framework, read where it lies.

use denan_numerics::{Element, Range, Summary, range_strided, summarize, summarize_strided};
use half::{bf16, f16};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Elements from which summaries are worth several threads: reading them takes ten times as long as starting one.
const WORTH_THREADS: usize = 1 << 20;

/// Elements that are looked at before it is asked whether one of them is bad.
const BLOCK: usize = 4096;

/// Element types that have figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// `float32`.
    Float32,
    /// `float64`.
    Float64,
    /// `float16`.
    Float16,
    /// `bfloat16`.
    BFloat16,
    /// `int64`.
    Int64,
    /// `int32`.
    Int32,
    /// `int16`.
    Int16,
    /// `int8`.
    Int8,
    /// `uint8`.
    UInt8,
    /// `bool`.
    Bool,
    /// Complex, quantised and whatever else there is: told by shape alone.
    Other,
}

impl Dtype {
    /// By the name that PyTorch gives it, without `torch.`.
    pub fn named(name: &str) -> Self {
        match name {
            "float32" => Self::Float32,
            "float64" => Self::Float64,
            "float16" => Self::Float16,
            "bfloat16" => Self::BFloat16,
            "int64" => Self::Int64,
            "int32" => Self::Int32,
            "int16" => Self::Int16,
            "int8" => Self::Int8,
            "uint8" => Self::UInt8,
            "bool" => Self::Bool,
            _ => Self::Other,
        }
    }

    /// Its name as the record spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::Float16 => "float16",
            Self::BFloat16 => "bfloat16",
            Self::Int64 => "int64",
            Self::Int32 => "int32",
            Self::Int16 => "int16",
            Self::Int8 => "int8",
            Self::UInt8 => "uint8",
            Self::Bool => "bool",
            Self::Other => "other",
        }
    }

    /// Whether it has NaN and infinities.
    pub fn is_float(self) -> bool {
        matches!(self, Self::Float32 | Self::Float64 | Self::Float16 | Self::BFloat16)
    }
}

/// Shape, strides and memory of a dense tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Number of the storage; no other living storage has it.
    pub storage: u64,
    /// Address of the first element.
    pub pointer: usize,
    /// Element type.
    pub dtype: Dtype,
    /// Sizes of the dimensions.
    pub shape: Vec<usize>,
    /// Distance of neighbours along each dimension, in elements; never negative in PyTorch.
    pub strides: Vec<usize>,
    /// Address and strides of a copy that can be read, where the memory itself cannot.
    memory: Option<(usize, Vec<usize>)>,
}

/// Runs an expression with `$data` bound to the memory of a float tensor.
macro_rules! with_floats {
    ($tensor:expr, $data:ident => $body:expr, $otherwise:expr) => {{
        let tensor = $tensor;
        match tensor.dtype {
            Dtype::Float32 => {
                let $data = tensor.memory::<f32>();
                $body
            }
            Dtype::Float64 => {
                let $data = tensor.memory::<f64>();
                $body
            }
            Dtype::Float16 => {
                let $data = tensor.memory::<f16>();
                $body
            }
            Dtype::BFloat16 => {
                let $data = tensor.memory::<bf16>();
                $body
            }
            _ => $otherwise,
        }
    }};
}

impl Tensor {
    /// A tensor in memory that belongs to somebody else.
    ///
    /// # Safety
    ///
    /// Every element that shape and strides reach from `pointer`, or those of `memory` where it is given, is
    /// initialised, readable and not written for as long as this value lives; an address of 0 stands for a tensor
    /// without readable memory.
    pub unsafe fn new(
        storage: u64,
        pointer: usize,
        dtype: Dtype,
        shape: Vec<usize>,
        strides: Vec<usize>,
        memory: Option<(usize, Vec<usize>)>,
    ) -> Self {
        let address = memory.as_ref().map_or(pointer, |(address, _)| *address);
        let dtype = if address == 0 && !shape.contains(&0) { Dtype::Other } else { dtype };
        Self { storage, pointer, dtype, shape, strides, memory }
    }

    /// Address and strides of the elements where they can be read.
    fn readable(&self) -> (usize, &[usize]) {
        match &self.memory {
            Some((address, strides)) => (*address, strides),
            None => (self.pointer, &self.strides),
        }
    }

    /// One of its elements, by its position in one that lies in one piece.
    pub(crate) fn element(&self, at: usize) -> Self {
        assert!(at < self.count() && self.is_dense(), "an element of the tensor");
        let size = match self.dtype {
            Dtype::Float64 => 8,
            _ => 4,
        };
        let pointer = self.readable().0 + at * size;
        Self { storage: 0, pointer, dtype: self.dtype, shape: Vec::new(), strides: Vec::new(), memory: None }
    }

    /// Number of elements.
    pub fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Elements of memory from the first to the last one, gaps included.
    fn reach(&self) -> usize {
        if self.shape.contains(&0) {
            return 0;
        }
        1 + self
            .shape
            .iter()
            .zip(self.readable().1)
            .map(|(&size, &stride)| (size - 1) * stride)
            .sum::<usize>()
    }

    fn memory<T>(&self) -> &[T] {
        let length = self.reach();
        if length == 0 {
            return &[];
        }
        // SAFETY: `new` promises that what shape and strides reach is initialised and not written; PyTorch aligns
        // storages to 64 bytes and offsets count elements, so an element is aligned.
        unsafe { std::slice::from_raw_parts(self.readable().0 as *const T, length) }
    }

    fn signed_strides(&self) -> Vec<isize> {
        self.readable().1.iter().map(|&stride| stride as isize).collect()
    }

    /// Whether its elements fill its memory without gaps, in whatever order.
    fn is_dense(&self) -> bool {
        self.reach() == self.count()
    }

    /// Counts of bad values and zeros, and the bounds of the finite ones; the count alone where there are no figures.
    pub fn range(&self) -> Range {
        let strides = self.signed_strides();
        with_floats!(self, data => range_strided(data, 0, &self.shape, &strides).unwrap_or(Range::EMPTY), {
            if self.dtype == Dtype::Other {
                return Range { count: self.count() as u64, ..Range::EMPTY };
            }
            let mut range = Range { count: self.count() as u64, ..Range::EMPTY };
            self.each(usize::MAX, |_, value| {
                range.zeros += u64::from(value == 0.0);
                range.min = range.min.min(value);
                range.max = range.max.max(value);
            });
            range
        })
    }

    /// All figures of a float tensor.
    pub fn summary(&self) -> Summary {
        fn of<T: Element>(tensor: &Tensor, data: &[T]) -> Summary {
            if tensor.is_dense() {
                return summarize(data);
            }
            summarize_strided(data, 0, &tensor.shape, &tensor.signed_strides()).unwrap_or(Summary::EMPTY)
        }
        with_floats!(self, data => of(self, data), Summary { count: self.count() as u64, ..Summary::EMPTY })
    }

    /// Whether all its elements are finite: the exponent of none has all of its bits set. The cheapest of its figures.
    pub fn is_finite(&self) -> bool {
        macro_rules! all_finite {
            ($data:expr, $infinity:expr) => {{
                // A block at a time, so that the inner loop has no way out and is carried out on vectors.
                let mask = $infinity.to_bits();
                !$data.chunks(BLOCK).any(|block| {
                    block.iter().fold(false, |bad, value| bad | (value.to_bits() & mask == mask))
                })
            }};
        }
        if !self.dtype.is_float() {
            return true;
        }
        if !self.is_dense() {
            return self.range().nonfinite() == 0;
        }
        match self.dtype {
            Dtype::Float32 => all_finite!(self.memory::<f32>(), f32::INFINITY),
            Dtype::Float64 => all_finite!(self.memory::<f64>(), f64::INFINITY),
            Dtype::Float16 => all_finite!(self.memory::<f16>(), f16::INFINITY),
            Dtype::BFloat16 => all_finite!(self.memory::<bf16>(), bf16::INFINITY),
            _ => true,
        }
    }

    /// Calls with row-major position and value of the first elements.
    fn each(&self, most: usize, mut call: impl FnMut(usize, f64)) {
        macro_rules! walk {
            ($type:ty, $wide:expr) => {{
                let data = self.memory::<$type>();
                let strides = self.readable().1;
                let wide: fn($type) -> f64 = $wide;
                let count = self.count().min(most);
                let mut place = vec![0usize; self.shape.len()];
                let mut at = 0usize;
                for position in 0..count {
                    call(position, wide(data[at]));
                    for dim in (0..place.len()).rev() {
                        place[dim] += 1;
                        at += strides[dim];
                        if place[dim] < self.shape[dim] {
                            break;
                        }
                        at -= strides[dim] * place[dim];
                        place[dim] = 0;
                    }
                }
            }};
        }
        match self.dtype {
            Dtype::Float32 => walk!(f32, f64::from),
            Dtype::Float64 => walk!(f64, |value| value),
            Dtype::Float16 => walk!(f16, f64::from),
            Dtype::BFloat16 => walk!(bf16, f64::from),
            Dtype::Int64 => walk!(i64, |value| value as f64),
            Dtype::Int32 => walk!(i32, f64::from),
            Dtype::Int16 => walk!(i16, f64::from),
            Dtype::Int8 => walk!(i8, f64::from),
            Dtype::UInt8 | Dtype::Bool => walk!(u8, f64::from),
            Dtype::Other => {}
        }
    }

    /// The first elements in row-major order, at most so many.
    pub fn values(&self, most: usize) -> Vec<f64> {
        let mut values = Vec::with_capacity(self.count().min(most));
        self.each(most, |_, value| values.push(value));
        values
    }

    /// The elements as integers, in row-major order; those of an index.
    pub fn integers(&self) -> Vec<i64> {
        let mut values = Vec::with_capacity(self.count());
        self.each(usize::MAX, |_, value| values.push(value as i64));
        values
    }

    /// Row-major positions of the first elements for which `is_meant` holds.
    pub fn positions(&self, most: usize, is_meant: impl Fn(f64) -> bool) -> Vec<usize> {
        let mut found = Vec::new();
        self.each(usize::MAX, |position, value| {
            if found.len() < most && is_meant(value) {
                found.push(position);
            }
        });
        found
    }

    /// The bits of a tensor of one element, widened; those of a float64 for any other.
    pub fn bits(&self) -> Option<u64> {
        (self.count() == 1 && self.dtype.is_float()).then(|| match self.dtype {
            Dtype::Float32 => u64::from(self.memory::<f32>()[0].to_bits()),
            Dtype::Float16 => u64::from(self.memory::<f16>()[0].to_bits()),
            Dtype::BFloat16 => u64::from(self.memory::<bf16>()[0].to_bits()),
            _ => self.memory::<f64>()[0].to_bits(),
        })
    }
}

/// The figures of several float tensors, on several threads where they are large. A tensor's figures are the same
/// on any number of threads.
pub fn summaries<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> Vec<Summary> {
    of_each(tensors, Summary::EMPTY, Tensor::summary)
}

/// Positions of the tensors that have an element which is not finite, on several threads where they are large.
pub fn bad_among<'a>(tensors: impl Iterator<Item = &'a Tensor>) -> Vec<usize> {
    let finite = of_each(tensors, true, Tensor::is_finite);
    finite.iter().enumerate().filter_map(|(at, is_finite)| (!is_finite).then_some(at)).collect()
}

/// What there is to tell of each tensor; `unknown` if that fails.
fn of_each<'a, T: Clone + Send>(
    tensors: impl Iterator<Item = &'a Tensor>,
    unknown: T,
    of: fn(&Tensor) -> T,
) -> Vec<T> {
    let tensors: Vec<&Tensor> = tensors.collect();
    let elements: usize = tensors.iter().map(|tensor| tensor.count()).sum();
    let threads = if elements >= WORTH_THREADS { threads().min(tensors.len()) } else { 1 };
    if threads <= 1 {
        return tensors.iter().map(|tensor| of(tensor)).collect();
    }
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(tensor) = tensors.get(at) else { return done };
            done.push((at, of(tensor)));
        }
    };
    let mut all = vec![unknown; tensors.len()];
    std::thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        // A helper that panics leaves its tensors untold.
        let others = helpers.into_iter().filter_map(|helper| helper.join().ok()).flatten();
        for (at, told) in own.into_iter().chain(others) {
            all[at] = told;
        }
    });
    all
}

/// Threads for large tensors: the training's own stand still while its hook runs.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(8)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A tensor over a vector, which must outlive it.
    pub(crate) fn over(values: &[f32], shape: &[usize], strides: &[usize]) -> Tensor {
        let pointer = values.as_ptr() as usize;
        // SAFETY: tests keep the vector alive and unwritten, and reach no further than it.
        unsafe {
            Tensor::new(pointer as u64, pointer, Dtype::Float32, shape.to_vec(), strides.to_vec(), None)
        }
    }

    #[test]
    fn a_transposed_view_is_read_in_its_own_order() {
        let values = [1.0, 2.0, 3.0, 4.0, f32::NAN, 0.0];
        let turned = over(&values, &[3, 2], &[1, 3]);
        let seen = turned.values(6);
        assert_eq!(&seen[..3], [1.0, 4.0, 2.0]);
        assert!(seen[3].is_nan());
        assert_eq!(turned.positions(8, f64::is_nan), [3]);
        let range = turned.range();
        assert_eq!((range.count, range.nan, range.zeros, range.max), (6, 1, 1, 4.0));
        assert_eq!(turned.summary().nan, 1);
    }

    #[test]
    fn a_broadcast_element_counts_as_often_as_it_appears() {
        let values = [f32::INFINITY];
        let wide = over(&values, &[2, 3], &[0, 0]);
        assert_eq!(wide.range().pos_inf, 6);
        assert_eq!(wide.values(4), [f64::INFINITY; 4]);
    }

    #[test]
    fn a_tensor_that_is_not_finite_is_found_among_others() {
        let mut values = vec![1.0f32; 3 * BLOCK];
        (values[1], values[2 * BLOCK]) = (f32::MAX, f32::MIN_POSITIVE / 2.0);
        let good = over(&values, &[3 * BLOCK], &[1]);
        assert!(good.is_finite());
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut others = values.clone();
            others[3 * BLOCK - 1] = bad;
            let found = over(&others, &[BLOCK, 3], &[3, 1]);
            assert_eq!(bad_among([&good, &found, &good].into_iter()), [1], "{bad}");
            // One element of each row is bad or none.
            assert!(over(&others, &[BLOCK], &[3]).is_finite());
            assert!(!over(&others[2..], &[BLOCK], &[3]).is_finite());
        }
    }

    #[test]
    fn figures_are_the_same_on_several_threads() {
        let values: Vec<f32> = (0..WORTH_THREADS + 3).map(|at| (at as f32 * 0.37).sin()).collect();
        let tensors: Vec<Tensor> = (0..5).map(|at| over(&values[at..], &[values.len() - 5], &[1])).collect();
        let alone: Vec<Summary> = tensors.iter().map(Tensor::summary).collect();
        assert_eq!(summaries(tensors.iter()), alone);
    }

    #[test]
    fn nothing_is_read_of_an_empty_tensor_or_of_one_without_memory() {
        // SAFETY: neither has an element that could be read.
        let (empty, meta) = unsafe {
            (
                Tensor::new(1, 0, Dtype::Float32, vec![0, 4], vec![4, 1], None),
                Tensor::new(2, 0, Dtype::Float32, vec![2], vec![1], None),
            )
        };
        assert_eq!(empty.range(), Range::EMPTY);
        assert_eq!((meta.range().count, meta.range().min), (2, f64::INFINITY));
        assert!(meta.values(2).is_empty());
    }
}
