//! The figures of one pass, and their merge.

/// What one pass over a tensor tells.
///
/// Counts cover every element; `min`, `max`, `mean` and `m2` cover the finite ones only, so that
/// one NaN does not hide the state of the rest. A zero in `min` or `max` is always `+0.0`.
///
/// Counts, `min` and `max` are exact and do not depend on the order of the elements or of the
/// merges. `mean` and `m2` are rounded: the same slice gives the same bits on every instruction set
/// and with every number of threads, but another order or another split of the data may differ in
/// the last digits.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Summary {
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
    /// Number of subnormals of the element type; zero is none.
    pub subnormals: u64,
    /// Smallest finite value; `+inf` where there is none.
    #[cfg_attr(feature = "serde", serde(with = "crate::bounds::lower"))]
    pub min: f64,
    /// Largest finite value; `-inf` where there is none.
    #[cfg_attr(feature = "serde", serde(with = "crate::bounds::upper"))]
    pub max: f64,
    /// Mean of the finite values; 0 where there is none.
    pub mean: f64,
    /// Sum of the squared distances from the mean, over the finite values. `+inf` where it leaves
    /// the range of `f64`, which only `f64` elements beyond about 1e154 can do.
    #[cfg_attr(feature = "serde", serde(with = "crate::bounds::lower"))]
    pub m2: f64,
}

impl Summary {
    /// The summary of no elements: the neutral element of [`merge`](Self::merge).
    pub const EMPTY: Self = Self {
        count: 0,
        nan: 0,
        pos_inf: 0,
        neg_inf: 0,
        zeros: 0,
        subnormals: 0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        mean: 0.0,
        m2: 0.0,
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

    /// Population standard deviation of the finite values, `sqrt(m2 / n)`; 0 where there is none.
    ///
    /// PyTorch's `Tensor.std` divides by `n - 1` instead.
    #[inline]
    pub fn std(&self) -> f64 {
        match self.finite() {
            0 => 0.0,
            n => (self.m2 / n as f64).sqrt(),
        }
    }

    /// Euclidean norm of the finite values, `sqrt(m2 + n * mean^2)`.
    #[inline]
    pub fn l2_norm(&self) -> f64 {
        (self.m2 + self.finite() as f64 * self.mean * self.mean).sqrt()
    }

    /// The summary of both parts together.
    ///
    /// Mean and M2 follow Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for
    /// computing sample variances" (1979).
    #[inline]
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        let (n_a, n_b) = (self.finite() as f64, other.finite() as f64);
        let (mean, m2) = if n_b == 0.0 {
            (self.mean, self.m2)
        } else if n_a == 0.0 {
            (other.mean, other.m2)
        } else {
            let n = n_a + n_b;
            let delta = other.mean - self.mean;
            // Two f64 means of opposite sign can lie further apart than the largest f64; the
            // weighted form stays in range.
            let mean = if delta.is_finite() {
                self.mean + delta * (n_b / n)
            } else {
                self.mean * (n_a / n) + other.mean * (n_b / n)
            };
            (mean, self.m2 + other.m2 + delta * delta * (n_a * (n_b / n)))
        };
        Self {
            count: self.count + other.count,
            nan: self.nan + other.nan,
            pos_inf: self.pos_inf + other.pos_inf,
            neg_inf: self.neg_inf + other.neg_inf,
            zeros: self.zeros + other.zeros,
            subnormals: self.subnormals + other.subnormals,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            mean,
            m2,
        }
    }

    /// The summary of `times` copies, as a broadcast dimension holds them.
    ///
    /// Panics when a count leaves the range of `u64`; callers have checked the number of elements.
    pub(crate) fn repeat(self, times: u64) -> Self {
        if times == 0 {
            return Self::EMPTY;
        }
        Self {
            count: self.count * times,
            nan: self.nan * times,
            pos_inf: self.pos_inf * times,
            neg_inf: self.neg_inf * times,
            zeros: self.zeros * times,
            subnormals: self.subnormals * times,
            m2: self.m2 * times as f64,
            ..self
        }
    }
}

impl Default for Summary {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl FromIterator<Summary> for Summary {
    fn from_iter<I: IntoIterator<Item = Summary>>(parts: I) -> Self {
        parts.into_iter().fold(Self::EMPTY, Self::merge)
    }
}

#[inline]
pub(crate) fn abs_max(min: f64, max: f64) -> f64 {
    if min <= max { max.max(-min) } else { 0.0 }
}
