//! The exact histogram of exponents.

use crate::element::{Element, Lane};
use crate::summary::Summary;
use crate::tally::Tally;

/// How finely an [`ExponentHistogram`] divides a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum MantissaBits {
    /// One bin for each power of two.
    Zero,
    /// Eight bins for each power of two, by the three leading bits of the mantissa.
    Three,
}

impl MantissaBits {
    fn shift(self) -> u32 {
        match self {
            Self::Zero => 0,
            Self::Three => 3,
        }
    }
}

/// Counts of elements by sign and exponent.
///
/// A value `x` belongs to the exponent `floor(log2(|x|))`, subnormals included, whatever its
/// element type; so histograms of different types merge. Counts are exact, and merging adds them:
/// the result does not depend on any order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ExponentHistogram {
    mantissa_bits: MantissaBits,
    nan: u64,
    pos_inf: u64,
    neg_inf: u64,
    zeros: u64,
    negative: Side,
    positive: Side,
}

/// One bin of an [`ExponentHistogram`]: the values `x` with `lower <= |x| < lower * ratio`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// Whether the values are below zero.
    pub negative: bool,
    /// `floor(log2(|x|))`, between -1074 and 1023.
    pub exponent: i32,
    /// Smallest magnitude of the bin.
    pub lower: f64,
    /// Number of elements, at least 1.
    pub count: u64,
}

impl ExponentHistogram {
    /// The histogram of no elements.
    pub const fn empty(mantissa_bits: MantissaBits) -> Self {
        Self {
            mantissa_bits,
            nan: 0,
            pos_inf: 0,
            neg_inf: 0,
            zeros: 0,
            negative: Side::EMPTY,
            positive: Side::EMPTY,
        }
    }

    /// The histogram of a slice.
    pub fn of<T: Element>(data: &[T], mantissa_bits: MantissaBits) -> Self {
        let mut tally = Tally::new();
        tally.add(data);
        tally.into_figures().histogram.coarsen(mantissa_bits)
    }

    /// The histogram of both parts together, as fine as the coarser of them.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let bits = match (self.mantissa_bits, other.mantissa_bits) {
            (MantissaBits::Three, MantissaBits::Three) => MantissaBits::Three,
            _ => MantissaBits::Zero,
        };
        let (mut merged, other) = (self.coarsen(bits), other.coarsen(bits));
        merged.nan += other.nan;
        merged.pos_inf += other.pos_inf;
        merged.neg_inf += other.neg_inf;
        merged.zeros += other.zeros;
        other.negative.bins().for_each(|(bin, n)| merged.negative.add(bin, n));
        other.positive.bins().for_each(|(bin, n)| merged.positive.add(bin, n));
        merged
    }

    /// How finely the histogram divides a power of two.
    pub fn mantissa_bits(&self) -> MantissaBits {
        self.mantissa_bits
    }

    /// Number of elements.
    pub fn count(&self) -> u64 {
        self.finite() + self.nan + self.pos_inf + self.neg_inf
    }

    /// Number of finite elements.
    pub fn finite(&self) -> u64 {
        self.zeros + self.negative.total() + self.positive.total()
    }

    /// Number of NaN.
    pub fn nan(&self) -> u64 {
        self.nan
    }

    /// Number of `+inf`.
    pub fn pos_inf(&self) -> u64 {
        self.pos_inf
    }

    /// Number of `-inf`.
    pub fn neg_inf(&self) -> u64 {
        self.neg_inf
    }

    /// Number of zeros, of either sign.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }

    /// Bins that hold something, in ascending order of their values.
    pub fn bins(&self) -> impl Iterator<Item = Bin> + '_ {
        let shift = self.mantissa_bits.shift();
        let bin = move |negative: bool, (bin, count): (i32, u64)| Bin {
            negative,
            exponent: bin >> shift,
            lower: lower(bin, shift),
            count,
        };
        let negative = self.negative.bins().rev().map(move |entry| bin(true, entry));
        negative.chain(self.positive.bins().map(move |entry| bin(false, entry)))
    }

    /// Number of finite elements other than zero whose magnitude is below `2^exponent`; for
    /// instance -14 for those that are no normal `f16`.
    pub fn below(&self, exponent: i32) -> u64 {
        self.bins().filter(|bin| bin.exponent < exponent).map(|bin| bin.count).sum()
    }

    /// The `q`-quantile of the finite values by nearest rank, `q` between 0 and 1; nothing without
    /// finite values or for another `q`.
    ///
    /// Exact where the value is zero; else of the right sign and within 6.25 % of the value with
    /// [`MantissaBits::Three`], within a third with [`MantissaBits::Zero`]. Below the normal range
    /// of `f64` the result is rounded to a multiple of 2^-1074.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let finite = self.finite();
        if finite == 0 || !(0.0..=1.0).contains(&q) {
            return None;
        }
        let rank = ((q * finite as f64).ceil() as u64).clamp(1, finite);
        let shift = self.mantissa_bits.shift();
        let mut seen = 0;
        for (bin, count) in self.negative.bins().rev() {
            seen += count;
            if seen >= rank {
                return Some(-middle(bin, shift));
            }
        }
        seen += self.zeros;
        if seen >= rank {
            return Some(0.0);
        }
        for (bin, count) in self.positive.bins() {
            seen += count;
            if seen >= rank {
                return Some(middle(bin, shift));
            }
        }
        unreachable!("the rank is at most the number of finite elements")
    }

    fn coarsen(self, to: MantissaBits) -> Self {
        if self.mantissa_bits == to {
            return self;
        }
        // `merge` and `of` ask for the coarser only.
        let shift = self.mantissa_bits.shift() - to.shift();
        let coarse = |side: Side| {
            let mut coarse = Side::default();
            side.bins().for_each(|(bin, n)| coarse.add(bin >> shift, n));
            coarse
        };
        Self { mantissa_bits: to, negative: coarse(self.negative), positive: coarse(self.positive), ..self }
    }

    /// Adds the elements that are zero or not finite to a histogram that has all others.
    pub(crate) fn add_special(&mut self, summary: &Summary) {
        self.nan += summary.nan;
        self.pos_inf += summary.pos_inf;
        self.neg_inf += summary.neg_inf;
        self.zeros += summary.zeros;
    }

    /// Adds the elements that are neither zero nor non-finite, one by one, to a histogram with three
    /// mantissa bits.
    pub(crate) fn add_each<T: Lane>(&mut self, data: &[T]) {
        for &x in data {
            let prefix = T::prefix(x.bits());
            let magnitude = prefix & (Self::half::<T>() - 1);
            if Self::normal::<T>().contains(&magnitude) {
                self.side(x.is_negative()).add(Self::bin::<T>(magnitude), 1);
            } else if x.is_tiny() && !x.is_zero() {
                self.side(x.is_negative()).add(fine_bin(x.to_f64()), 1);
            }
        }
    }

    /// Adds the subnormal elements to a histogram with three mantissa bits.
    #[cold]
    pub(crate) fn add_subnormals<T: Lane>(&mut self, data: &[T]) {
        let is_subnormal = |x: &T| x.is_tiny() & !x.is_zero();
        for group in data.chunks(64) {
            // Without a branch inside, as most groups have none.
            if group.iter().fold(false, |found, x| found | is_subnormal(x)) {
                for x in group.iter().filter(|x| is_subnormal(x)) {
                    self.side(x.is_negative()).add(fine_bin(x.to_f64()), 1);
                }
            }
        }
    }

    /// Adds the counts of some leading bits, from `first` on, to a histogram with three mantissa
    /// bits. Those of exponent 0 and of the highest exponent do not tell the bin and are left out.
    pub(crate) fn add_prefixes<T: Lane>(&mut self, first: usize, counts: &[u32]) {
        let (negative, first) = (first >= Self::half::<T>(), first & (Self::half::<T>() - 1));
        let normal = Self::normal::<T>();
        let end = counts.len().min(normal.end.saturating_sub(first));
        let start = normal.start.saturating_sub(first).min(end);
        let counts = &counts[start..end];
        let Some(from) = counts.iter().position(|&n| n > 0) else { return };
        let to = counts.iter().rposition(|&n| n > 0).map_or(0, |last| last + 1);
        self.side(negative).add_run(Self::bin::<T>(first + start + from), &counts[from..to]);
    }

    /// Number of the leading bits without the sign.
    const fn half<T: Lane>() -> usize {
        1 << (T::PREFIX_BITS - 1)
    }

    /// The leading bits of normal numbers, without the sign.
    const fn normal<T: Lane>() -> std::ops::Range<usize> {
        8..Self::half::<T>() - 8
    }

    fn bin<T: Lane>(magnitude: usize) -> i32 {
        let bias = (Self::half::<T>() >> 4) - 1;
        magnitude as i32 - ((bias as i32) << 3)
    }

    fn side(&mut self, negative: bool) -> &mut Side {
        if negative { &mut self.negative } else { &mut self.positive }
    }
}

/// Counts of one sign. Neither end holds a zero, so that equal counts are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct Side {
    /// Bin of the first count.
    first: i32,
    counts: Vec<u64>,
}

impl Side {
    const EMPTY: Self = Self { first: 0, counts: Vec::new() };

    fn add(&mut self, bin: i32, n: u64) {
        *self.within(bin, 1).first_mut().expect("one bin") += n;
    }

    /// Adds the counts of bins from `first` on, whose first and last are no zero.
    fn add_run(&mut self, first: i32, counts: &[u32]) {
        for (total, &n) in self.within(first, counts.len()).iter_mut().zip(counts) {
            *total += u64::from(n);
        }
    }

    /// `len` bins from `first` on.
    #[inline]
    fn within(&mut self, first: i32, len: usize) -> &mut [u64] {
        if self.counts.is_empty() {
            self.first = first;
        }
        if first < self.first {
            let missing = (self.first - first) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, missing));
            self.first = first;
        }
        let at = (first - self.first) as usize;
        if self.counts.len() < at + len {
            self.counts.resize(at + len, 0);
        }
        &mut self.counts[at..at + len]
    }

    fn bins(&self) -> impl DoubleEndedIterator<Item = (i32, u64)> + '_ {
        self.counts.iter().enumerate().map(|(i, &n)| (self.first + i as i32, n)).filter(|&(_, n)| n > 0)
    }

    fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// Bin with three mantissa bits: eight times the exponent, plus the leading bits of the mantissa.
fn fine_bin(x: f64) -> i32 {
    let magnitude = x.abs();
    let (magnitude, scale) =
        if magnitude < f64::MIN_POSITIVE { (magnitude * pow2(64), 64) } else { (magnitude, 0) };
    (magnitude.to_bits() >> 49) as i32 - ((1023 + scale) << 3)
}

fn lower(bin: i32, shift: u32) -> f64 {
    let mantissa = f64::from(bin & ((1 << shift) - 1));
    pow2(bin >> shift) * (1.0 + mantissa / f64::from(1 << shift))
}

/// The value whose relative distance to both ends of the bin is the same.
fn middle(bin: i32, shift: u32) -> f64 {
    let steps = f64::from(1 << shift);
    let mantissa = f64::from(bin & ((1 << shift) - 1));
    let (low, high) = (1.0 + mantissa / steps, 1.0 + (mantissa + 1.0) / steps);
    pow2(bin >> shift) * (2.0 * low * high / (low + high))
}

/// `2^exponent`, exact from -1074 to 1023.
fn pow2(exponent: i32) -> f64 {
    if exponent < -1022 {
        f64::from_bits(1 << (exponent + 1074))
    } else {
        f64::from_bits(((exponent + 1023) as u64) << 52)
    }
}
