//! The passes over one block, written once and compiled once for each instruction set (see `isa`).
//!
//! Sixteen lanes run through a block side by side. Their number, the lengths of blocks and chunks
//! and the order of the merges are the same everywhere, and a multiplication is fused with an
//! addition only where it is exact; so every instruction set gives the same bits.

use crate::count::{Aside, Counter, Place};
use crate::element::Lane;
use crate::isa::{Isa, patterns};
use crate::range::{Extent, Range};
use crate::summary::Summary;

pub(crate) const LANES: usize = 16;

/// Elements whose sums are taken together: 16 KiB of `f32`, so that a second look finds them in the
/// nearest cache; few enough for 16-bit counts.
pub(crate) const BLOCK: usize = 4096;

/// Elements merged block by block before the result joins the total, and the unit of work of a
/// thread.
pub(crate) const CHUNK: usize = 64 * BLOCK;

/// Sums of raw values are kept while M2 is at least this part of the sum of squares.
///
/// The roundings of a block amount to less than `3 * (BLOCK / LANES + 4)` units of 2^-53 of the sum
/// of squares, so M2 is right within 1e-10.
const LEAST_SPREAD: f64 = 1.0 / 1024.0;

/// Summary of at most one chunk.
#[inline(always)]
pub(crate) fn summarize_chunk<T: Lane, I: Isa>(chunk: &[T]) -> Summary {
    let mut repaired = Vec::new();
    let mut total = Summary::EMPTY;
    for block in chunk.chunks(BLOCK) {
        total = total.merge(summarize_block::<T, I>(block, &mut repaired));
    }
    total
}

/// Summary of one block that is not empty.
#[inline(always)]
pub(crate) fn summarize_block<T: Lane, I: Isa>(block: &[T], repaired: &mut Vec<T>) -> Summary {
    summarize_beside::<T, I>(block, &mut (), repaired)
}

#[inline(always)]
fn summarize_beside<T: Lane, I: Isa>(
    block: &[T],
    aside: &mut impl Aside<T>,
    repaired: &mut Vec<T>,
) -> Summary {
    summarize_finite::<T, I>(block, Absent::default(), aside).unwrap_or_else(|| I::mend(block, repaired))
}

/// Summary of a block with a non-finite value, or whose sum leaves the range of `f64`.
#[inline(always)]
pub(crate) fn mend<T: Lane, I: Isa>(block: &[T], repaired: &mut Vec<T>) -> Summary {
    let absent = repair(block, repaired);
    if repaired.is_empty() {
        return summary_of(absent.into_range(), 0, 0.0, 0.0);
    }
    let of_rest = summarize_finite::<T, I>(repaired, absent, &mut ());
    of_rest.unwrap_or_else(|| summarize_huge(block, absent))
}

/// Summary of one block that is not empty and of one column, whose values are counted in turns, or
/// have been by `spread`.
#[inline(always)]
pub(crate) fn tally_block<T: Lane, I: Isa>(
    block: &[T],
    place: Place,
    counter: &mut Counter<T>,
    repaired: &mut Vec<T>,
) -> Summary {
    match place {
        Place::InTurns => summarize_beside::<T, I>(block, &mut counter.turns(), repaired),
        Place::Table(table) => {
            counter.touch(table, block);
            summarize_block::<T, I>(block, repaired)
        }
    }
}

/// Values of a column in a tile, and some more, lest the same row of all columns has to share one
/// set of the nearest cache.
pub(crate) const TILE: usize = BLOCK + 32;

/// Rows that are turned into columns together.
pub(crate) const ROWS: usize = 8;

/// Copies `width` columns into `tile`, one after the other, from a block of rows that are `stride`
/// values apart. The first value is in the first of these columns. Counts the values as well, if it
/// is given a counter.
#[inline(always)]
pub(crate) fn spread<T: Lane, I: Isa>(
    values: &[T],
    stride: usize,
    width: usize,
    mut counter: Option<&mut Counter<T>>,
    tile: &mut [T],
) {
    // Rows that are still in the nearest cache when they are turned. The places of a counter recur
    // after 1, 2, 3, 4, 5 or 8 of them, which all divide their number.
    const NEAR: usize = 120;
    let places = Counter::<T>::places(stride, width);
    for (first, near) in (0..).step_by(NEAR).zip(values.chunks(NEAR * stride)) {
        if let Some(counter) = &mut counter {
            counter.count(near, stride.max(places), places);
        }
        for at in (first..first + near.len().div_ceil(stride)).step_by(ROWS) {
            I::turn(&values[at * stride..], stride, width, tile, at);
        }
    }
}

/// Copies up to eight rows into the columns of a tile, from row `at` on.
#[inline(never)]
pub(crate) fn turn<T: Lane>(rows: &[T], stride: usize, width: usize, tile: &mut [T], at: usize) {
    for (row, values) in rows.chunks(stride).take(ROWS).enumerate() {
        for (column, &value) in tile.chunks_exact_mut(TILE).take(width).zip(values) {
            column[at + row] = value;
        }
    }
}

/// Extent of at most one chunk.
#[inline(always)]
pub(crate) fn extent_chunk<T: Lane, I: Isa>(chunk: &[T]) -> Extent {
    let mut total = Extent::EMPTY;
    let mut repaired = Vec::new();
    for block in chunk.chunks(BLOCK) {
        let mut source = block;
        let mut absent = Absent::default();
        let part = loop {
            if let Some((range, subnormals)) = I::survey(source).finite_range(source, absent) {
                break Extent { range, subnormals };
            }
            absent = repair(block, &mut repaired);
            if repaired.is_empty() {
                break Extent { range: absent.into_range(), subnormals: 0 };
            }
            source = &repaired;
        };
        total = total.merge(part);
    }
    total
}

/// Summary of one block, or nothing when it holds a non-finite value or its sums leave the range of
/// `f64`.
///
/// `absent` elements have been replaced by the first one, the pivot. The sums are those of the raw
/// values, where their squares are exact and do not cancel in M2; else of the distances from the
/// pivot. As the pivot is an element itself, `(mean - pivot)^2 <= m2`, so the sum of squares is at
/// most `(BLOCK + 1) * m2` and M2 is right within 1e-9, however far the mean lies from zero.
#[inline(always)]
fn summarize_finite<T: Lane, I: Isa>(
    block: &[T],
    absent: Absent,
    aside: &mut impl Aside<T>,
) -> Option<Summary> {
    let finite = (block.len() as u64 - absent.total()) as f64;
    let is_raw = T::EXACT_SQUARES && absent.total() == 0;
    let (survey, sums) = if is_raw {
        I::survey_and_sum::<T, true>(block, aside)
    } else {
        I::survey_and_sum::<T, false>(block, aside)
    };
    let (range, subnormals) = survey.finite_range(block, absent)?;
    if is_raw {
        let mean = sums.sum / finite;
        let m2 = sums.squares - sums.sum * mean;
        if m2 >= sums.squares * LEAST_SPREAD {
            return Some(summary_of(range, subnormals, mean, m2));
        }
    }
    let Sums { sum, squares } = if is_raw { I::sum::<T, false>(block) } else { sums };
    if !sum.is_finite() {
        return None;
    }
    let offset = sum / finite;
    let m2 = if squares.is_finite() { (squares - sum * offset).max(0.0) } else { f64::INFINITY };
    Some(summary_of(range, subnormals, block[0].to_f64() + offset, m2))
}

#[inline(always)]
fn summary_of(range: Range, subnormals: u64, mean: f64, m2: f64) -> Summary {
    let Range { count, nan, pos_inf, neg_inf, zeros, min, max } = range;
    Summary { count, nan, pos_inf, neg_inf, zeros, subnormals, min, max, mean, m2 }
}

/// What the bit patterns of a block tell, as long as all of them are finite; else one of `low` and
/// `high` is not.
pub struct Survey<T> {
    low: T,
    high: T,
    zeros: u64,
    tiny: u64,
}

impl<T: Lane> Survey<T> {
    /// From the largest and the smallest pattern taken as signed integers, and the largest taken as
    /// unsigned ones.
    ///
    /// Patterns of positive values ascend with the value, those of negative ones descend. So the
    /// largest as signed belongs to the largest value, unless all are negative; the largest as
    /// unsigned to the smallest value, unless all are positive; and if all have one sign, the
    /// smallest as signed belongs to the value nearest to zero. Three comparisons an element do,
    /// and those of integers see NaN.
    #[inline(always)]
    pub(crate) fn new(most: T::Signed, least: T::Signed, largest: T::Bits, zeros: u64, tiny: u64) -> Self {
        let (most, least) = (T::of_bits(T::unsigned(most)), T::of_bits(T::unsigned(least)));
        let largest = T::of_bits(largest);
        Self {
            low: if largest.is_negative() { largest } else { least },
            high: if most.is_negative() { least } else { most },
            zeros,
            tiny,
        }
    }

    /// Range and number of subnormals, if all is finite, with `absent` copies of the first element
    /// taken for what they stand for.
    #[inline(always)]
    fn finite_range(self, block: &[T], absent: Absent) -> Option<(Range, u64)> {
        if !self.low.is_finite() || !self.high.is_finite() {
            return None;
        }
        let pivot = block[0];
        let zeros = self.zeros - if pivot.is_zero() { absent.total() } else { 0 };
        let tiny = self.tiny - if pivot.is_tiny() { absent.total() } else { 0 };
        let range = Range {
            count: block.len() as u64,
            nan: absent.nan,
            pos_inf: absent.pos_inf,
            neg_inf: absent.neg_inf,
            zeros,
            // The sum makes a negative zero positive.
            min: self.low.to_f64() + 0.0,
            max: self.high.to_f64() + 0.0,
        };
        Some((range, tiny - zeros))
    }
}

/// Survey of a block. Plain integer reductions, which the compiler vectorises by itself.
#[inline(always)]
pub(crate) fn survey<T: Lane>(block: &[T]) -> Survey<T> {
    let mut largest = block[0].bits();
    let (mut most, mut least) = (T::signed(largest), T::signed(largest));
    let mut zeros = T::Bits::default();
    let mut tiny = zeros;
    for &bits in patterns(block) {
        most = most.max(T::signed(bits));
        least = least.min(T::signed(bits));
        largest = largest.max(bits);
        zeros = T::count(zeros, T::of_bits(bits).is_zero());
        tiny = T::count(tiny, T::of_bits(bits).is_tiny());
    }
    Survey::new(most, least, largest, zeros.into(), tiny.into())
}

/// Sums over one block.
pub struct Sums {
    sum: f64,
    squares: f64,
}

/// The sums of sixteen lanes: of the values where `RAW`, else of their distances from the pivot.
pub(crate) struct Accumulator<I: Isa, const RAW: bool> {
    pivot: I::Wide,
    sum: I::Wide,
    squares: I::Wide,
}

impl<I: Isa, const RAW: bool> Accumulator<I, RAW> {
    #[inline(always)]
    pub(crate) fn new<T: Lane>(block: &[T]) -> Self {
        Self { pivot: I::splat(block[0].to_f64()), sum: I::splat(0.0), squares: I::splat(0.0) }
    }

    #[inline(always)]
    pub(crate) fn add<T: Lane>(&mut self, lanes: &[T; LANES]) {
        let wide = T::widen::<I>(lanes);
        if RAW {
            self.sum = I::add(self.sum, wide);
            self.squares = I::add_exact_square(self.squares, wide);
        } else {
            let distance = I::sub(wide, self.pivot);
            self.sum = I::add(self.sum, distance);
            self.squares = I::add(self.squares, I::mul(distance, distance));
        }
    }

    /// Adds fewer than sixteen elements, filled up with what adds nothing.
    #[inline(always)]
    pub(crate) fn finish<T: Lane>(mut self, block: &[T], rest: &[T]) -> Sums {
        if !rest.is_empty() {
            let mut lanes = [if RAW { T::of_bits(T::Bits::default()) } else { block[0] }; LANES];
            lanes[..rest.len()].copy_from_slice(rest);
            self.add(&lanes);
        }
        Sums { sum: fold(I::to_array(self.sum)), squares: fold(I::to_array(self.squares)) }
    }
}

/// Sums of a block that has just been surveyed, so that it lies in the cache. Meanwhile the next block is
/// fetched: the processor by itself looks no further than a few cache lines, and would wait for memory at
/// the start of each block.
#[inline(always)]
pub(crate) fn sum<T: Lane, I: Isa, const RAW: bool>(block: &[T]) -> Sums {
    let mut sums = Accumulator::<I, RAW>::new(block);
    let (groups, rest) = block.as_chunks::<LANES>();
    for group in groups {
        I::prefetch(group.as_ptr().wrapping_byte_add(size_of_val(block)));
        sums.add(group);
    }
    sums.finish(block, rest)
}

/// Halves the lanes until one is left: the same tree on every instruction set.
#[inline(always)]
fn fold(mut lanes: [f64; LANES]) -> f64 {
    let mut width = LANES / 2;
    while width > 0 {
        for j in 0..width {
            lanes[j] += lanes[j + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// The non-finite elements of a block.
#[derive(Clone, Copy, Default)]
struct Absent {
    nan: u64,
    pos_inf: u64,
    neg_inf: u64,
}

impl Absent {
    fn total(self) -> u64 {
        self.nan + self.pos_inf + self.neg_inf
    }

    /// The range of a block that holds nothing else.
    fn into_range(self) -> Range {
        let Self { nan, pos_inf, neg_inf } = self;
        Range { count: self.total(), nan, pos_inf, neg_inf, ..Range::EMPTY }
    }
}

/// Counts the non-finite elements and leaves in `repaired` the block with its first finite value in
/// their place; nothing, where there is none.
#[inline(always)]
fn repair<T: Lane>(block: &[T], repaired: &mut Vec<T>) -> Absent {
    let mut nan = T::Bits::default();
    let (mut absent, mut negative) = (nan, nan);
    for &x in block {
        nan = T::count(nan, x.is_nan());
        absent = T::count(absent, !x.is_finite());
        negative = T::count(negative, !x.is_finite() & !x.is_nan() & x.is_negative());
    }
    let (nan, absent, neg_inf) = (nan.into(), absent.into(), negative.into());
    repaired.clear();
    if let Some(&pivot) = block.iter().find(|x| x.is_finite()) {
        repaired.extend(block.iter().map(|&x| if x.is_finite() { x } else { pivot }));
    }
    Absent { nan, pos_inf: absent - nan - neg_inf, neg_inf }
}

/// Summary of a block whose sum leaves the range of `f64`: element by element, where nothing but M2
/// can overflow.
#[cold]
#[inline(never)]
fn summarize_huge<T: Lane>(block: &[T], absent: Absent) -> Summary {
    let one = |x: &T| {
        let value = x.to_f64() + 0.0;
        let is_zero = x.is_zero();
        let range = Range { count: 1, zeros: u64::from(is_zero), min: value, max: value, ..Range::EMPTY };
        summary_of(range, u64::from(x.is_tiny() && !is_zero), value, 0.0)
    };
    let finite: Summary = block.iter().filter(|x| x.is_finite()).map(one).collect();
    finite.merge(summary_of(absent.into_range(), 0, 0.0, 0.0))
}
