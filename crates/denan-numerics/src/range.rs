//! The cheap pass that runs over every operation's output.

use crate::summary::{Summary, abs_max};

/// What the sentinel needs of a tensor: is it finite, and where does it lie.
///
/// Every figure is exact and independent of the order of elements and merges.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Range {
    /// Number of elements.
    pub count: u64,
    /// Number of NaN, quiet or signalling.
    pub nan: u64,
    /// Number of `+inf`.
    pub pos_inf: u64,
    /// Number of `-inf`.
    pub neg_inf: u64,
    /// Number of zeros, of either sign.
    pub zeros: u64,
    /// Smallest finite value; `+inf` where there is none.
    #[cfg_attr(feature = "serde", serde(with = "crate::bounds::lower"))]
    pub min: f64,
    /// Largest finite value; `-inf` where there is none.
    #[cfg_attr(feature = "serde", serde(with = "crate::bounds::upper"))]
    pub max: f64,
}

impl Range {
    /// The range of no elements: the neutral element of [`merge`](Self::merge).
    pub const EMPTY: Self = Self {
        count: 0,
        nan: 0,
        pos_inf: 0,
        neg_inf: 0,
        zeros: 0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
    };

    /// Number of elements that are NaN or infinite.
    #[inline]
    pub fn nonfinite(&self) -> u64 {
        self.nan + self.pos_inf + self.neg_inf
    }

    /// Whether every element is finite; true for no elements.
    #[inline]
    pub fn is_finite(&self) -> bool {
        self.nonfinite() == 0
    }

    /// Number of finite elements.
    #[inline]
    pub fn finite(&self) -> u64 {
        self.count - self.nonfinite()
    }

    /// Largest magnitude among the finite values; 0 where there is none.
    #[inline]
    pub fn abs_max(&self) -> f64 {
        abs_max(self.min, self.max)
    }

    /// Smallest finite value, if there is one.
    #[inline]
    pub fn min_opt(&self) -> Option<f64> {
        (self.min <= self.max).then_some(self.min)
    }

    /// Largest finite value, if there is one.
    #[inline]
    pub fn max_opt(&self) -> Option<f64> {
        (self.min <= self.max).then_some(self.max)
    }

    /// The range of both parts together.
    #[inline]
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            count: self.count + other.count,
            nan: self.nan + other.nan,
            pos_inf: self.pos_inf + other.pos_inf,
            neg_inf: self.neg_inf + other.neg_inf,
            zeros: self.zeros + other.zeros,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    /// The range of `times` copies, as a broadcast dimension holds them.
    fn repeat(self, times: u64) -> Self {
        if times == 0 {
            return Self::EMPTY;
        }
        Self {
            count: self.count * times,
            nan: self.nan * times,
            pos_inf: self.pos_inf * times,
            neg_inf: self.neg_inf * times,
            zeros: self.zeros * times,
            ..self
        }
    }
}

impl Default for Range {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl From<Summary> for Range {
    fn from(summary: Summary) -> Self {
        Self {
            count: summary.count,
            nan: summary.nan,
            pos_inf: summary.pos_inf,
            neg_inf: summary.neg_inf,
            zeros: summary.zeros,
            min: summary.min,
            max: summary.max,
        }
    }
}

impl FromIterator<Range> for Range {
    fn from_iter<I: IntoIterator<Item = Range>>(parts: I) -> Self {
        parts.into_iter().fold(Self::EMPTY, Self::merge)
    }
}

/// A [`Range`], and how many elements are subnormal: whether a small factor makes zeros of some.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Extent {
    /// The other figures.
    pub range: Range,
    /// Number of subnormal elements, which are not zero and smaller than the smallest normal number.
    pub subnormals: u64,
}

impl Extent {
    /// The extent of no elements: the neutral element of [`merge`](Self::merge).
    pub const EMPTY: Self = Self { range: Range::EMPTY, subnormals: 0 };

    /// The extent of both parts together.
    #[inline]
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self { range: self.range.merge(other.range), subnormals: self.subnormals + other.subnormals }
    }

    /// The extent of `times` copies, as a broadcast dimension holds them.
    pub(crate) fn repeat(self, times: u64) -> Self {
        Self { range: self.range.repeat(times), subnormals: self.subnormals * times }
    }
}

impl From<Summary> for Extent {
    fn from(summary: Summary) -> Self {
        Self { range: summary.into(), subnormals: summary.subnormals }
    }
}

impl FromIterator<Extent> for Extent {
    fn from_iter<I: IntoIterator<Item = Extent>>(parts: I) -> Self {
        parts.into_iter().fold(Self::EMPTY, Self::merge)
    }
}
