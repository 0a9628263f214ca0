//! Figures of the columns of a data set, gathered call by call as a file is read.

use crate::element::Element;
use crate::histogram::{ExponentHistogram, MantissaBits};
use crate::summary::Summary;
use crate::whole::summarize;

/// [`Summary`] and [`ExponentHistogram`], with three mantissa bits, of the same values.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Figures {
    /// Counts, range, mean and spread.
    pub summary: Summary,
    /// Counts by sign and exponent.
    pub histogram: ExponentHistogram,
}

impl Figures {
    /// The figures of no values: the neutral element of [`merge`](Self::merge).
    pub const EMPTY: Self =
        Self { summary: Summary::EMPTY, histogram: ExponentHistogram::empty(MantissaBits::Three) };

    /// The figures of both parts together.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self { summary: self.summary.merge(other.summary), histogram: self.histogram.merge(other.histogram) }
    }
}

impl Default for Figures {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl FromIterator<Figures> for Figures {
    fn from_iter<I: IntoIterator<Item = Figures>>(parts: I) -> Self {
        parts.into_iter().fold(Self::EMPTY, Self::merge)
    }
}

/// Gathers the figures of one column, call by call.
///
/// A call adds the [`summarize`] of its values to the figures so far; so they depend on the calls
/// alone, to the last bit.
#[derive(Clone, Debug)]
pub struct Tally<T: Element> {
    figures: Figures,
    last: Summary,
    element: std::marker::PhantomData<T>,
}

impl<T: Element> Tally<T> {
    /// The tally of a column that holds nothing yet.
    pub const fn new() -> Self {
        Self { figures: Figures::EMPTY, last: Summary::EMPTY, element: std::marker::PhantomData }
    }

    /// Adds the next values of the column.
    pub fn add(&mut self, values: &[T]) {
        self.last = summarize(values);
        let figures = std::mem::take(&mut self.figures);
        let histogram = ExponentHistogram::of(values, MantissaBits::Three);
        self.figures = figures.merge(Figures { summary: self.last, histogram });
    }

    /// The summary of what the last call added, to this tally alone or with others.
    pub fn last(&self) -> Summary {
        self.last
    }

    /// The figures of everything so far.
    pub fn figures(&self) -> Figures {
        self.figures.clone()
    }
}

impl<T: Element> Default for Tally<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Adds part of an array whose columns lie side by side, each value to the tally of its column, as
/// [`Tally::add`] would all values of that column.
///
/// The array repeats with a period of `tallies.len() * inner` values: `inner` of the first column,
/// `inner` of the second and so on. Rows of a table have `inner` 1, images that hold channel after
/// channel have the pixels of a channel. The first value lies `phase` values behind the start of a
/// period.
///
/// # Panics
///
/// When there are values but no tallies, or when `inner` is 0.
pub fn tally_columns<T: Element>(values: &[T], phase: usize, inner: usize, tallies: &mut [Tally<T>]) {
    assert!(inner > 0, "a column has no values in any period");
    assert!(values.is_empty() || !tallies.is_empty(), "no column for the values");
    let columns = tallies.len();
    let mut gathered = vec![Vec::new(); columns];
    for (at, &value) in values.iter().enumerate() {
        gathered[((phase + at) / inner) % columns].push(value);
    }
    for (tally, values) in tallies.iter_mut().zip(gathered) {
        tally.add(&values);
    }
}
