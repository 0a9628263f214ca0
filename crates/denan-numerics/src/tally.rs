//! Figures of the columns of a data set, gathered call by call as a file is read.

use std::marker::PhantomData;

use crate::count::{Counter, Place, TABLES, TURNS};
use crate::element::Element;
use crate::histogram::{ExponentHistogram, MantissaBits};
use crate::isa::Level;
use crate::kernel::{BLOCK, CHUNK, TILE};
use crate::summary::Summary;

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
/// A call adds the [`summarize`](crate::summarize) of its values to the figures so far; so they
/// depend on the calls alone, to the last bit. What the work needs beyond the figures is kept by the
/// thread, so that a tally stays small and a call allocates nothing once its bins are known.
#[derive(Clone, Debug)]
pub struct Tally<T: Element> {
    figures: Figures,
    last: Summary,
    element: PhantomData<T>,
}

impl<T: Element> Tally<T> {
    /// The tally of a column that holds nothing yet.
    pub const fn new() -> Self {
        Self { figures: Figures::EMPTY, last: Summary::EMPTY, element: PhantomData }
    }

    /// Adds the next values of the column.
    pub fn add(&mut self, values: &[T]) {
        T::with_desk(|desk| self.add_runs(desk, values.len(), std::iter::once(values)));
    }

    /// The summary of what the last call added, to this tally alone or with others.
    pub fn last(&self) -> Summary {
        self.last
    }

    /// The figures of everything so far.
    pub fn figures(&self) -> Figures {
        self.figures.clone()
    }

    pub(crate) fn into_figures(self) -> Figures {
        self.figures
    }

    /// Adds about `len` values, in several runs.
    fn add_runs<'a>(&mut self, desk: &mut Desk<T>, len: usize, runs: impl Iterator<Item = &'a [T]>) {
        let Desk { intake, begun, .. } = desk;
        let is_counted = len >= FEW_IN_TURNS;
        let histogram = &mut self.figures.histogram;
        let mut parts = Parts::EMPTY;
        let mut add = |block: &[T]| {
            while is_counted && !intake.counter.reserve(BLOCK.div_ceil(TURNS)) {
                intake.counter.drain(0, 1, histogram);
            }
            parts.push(intake.take(block, Place::InTurns, is_counted, histogram));
        };
        begun.clear();
        for mut run in runs {
            if !begun.is_empty() {
                let (start, rest) = run.split_at(run.len().min(BLOCK - begun.len()));
                begun.extend_from_slice(start);
                run = rest;
                if begun.len() == BLOCK {
                    add(begun);
                    begun.clear();
                }
            }
            let (blocks, rest) = run.as_chunks::<BLOCK>();
            blocks.iter().for_each(|block| add(block));
            begun.extend_from_slice(rest);
        }
        if !begun.is_empty() {
            add(begun);
        }
        if is_counted {
            intake.counter.drain(0, 1, histogram);
        }
        self.close(parts);
    }

    /// Ends a call.
    fn close(&mut self, parts: Parts) {
        self.last = parts.total();
        self.figures.summary = self.figures.summary.merge(self.last);
        self.figures.histogram.add_special(&self.last);
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
/// When there are values but no tallies, when `inner` is 0, or when the period leaves the range of
/// `usize`.
pub fn tally_columns<T: Element>(values: &[T], phase: usize, inner: usize, tallies: &mut [Tally<T>]) {
    assert!(inner > 0, "a column has no values in any period");
    assert!(values.is_empty() || !tallies.is_empty(), "no column for the values");
    let columns = tallies.len();
    let period = columns.checked_mul(inner).expect("the period is in the range of usize");
    T::with_desk(|desk| match tallies {
        [] => {}
        [tally] => tally.add_runs(desk, values.len(), std::iter::once(values)),
        _ if inner == 1 => tally_rows(desk, values, phase % columns, tallies),
        _ => {
            let phase = phase % period;
            for (column, tally) in tallies.iter_mut().enumerate() {
                // Places are counted from the start of the period that the first value is in.
                let starts = (column * inner..phase + values.len()).step_by(period);
                let runs = starts.map(|start| {
                    let end = (start + inner).saturating_sub(phase).min(values.len());
                    &values[start.saturating_sub(phase).min(end)..end]
                });
                tally.add_runs(desk, values.len() / columns, runs);
            }
        }
    });
}

/// Rows whose first value is in column `phase`.
fn tally_rows<T: Element>(desk: &mut Desk<T>, values: &[T], phase: usize, tallies: &mut [Tally<T>]) {
    let Desk { intake, tile, .. } = desk;
    let columns = tallies.len();
    let level = Level::best();
    let is_counted = values.len() / columns >= FEW;
    tile.resize(Counter::<T>::COLUMNS * TILE, T::of_bits(T::Bits::default()));
    // Groups of about the same width.
    let width = columns.div_ceil(columns.div_ceil(Counter::<T>::COLUMNS));
    for first in (0..columns).step_by(width) {
        let width = width.min(columns - first);
        let tally_of = |lane: usize| (phase + first + lane) % columns;
        let mut parts = [Parts::EMPTY; TABLES];
        for rows in values.chunks(BLOCK * columns) {
            // Of a last row that is short, nothing may be left for this group.
            let Some(rows) = rows.get(first..) else { break };
            while is_counted && !intake.counter.reserve(BLOCK) {
                for lane in 0..width {
                    intake.counter.drain(lane, columns, &mut tallies[tally_of(lane)].figures.histogram);
                }
            }
            level.spread(rows, columns, width, is_counted.then_some(&mut intake.counter), tile);
            for (lane, parts) in parts.iter_mut().enumerate().take(width.min(rows.len())) {
                let block = &tile[lane * TILE..][..(rows.len() - lane).div_ceil(columns)];
                let histogram = &mut tallies[tally_of(lane)].figures.histogram;
                parts.push(intake.take(block, Place::Table(lane), is_counted, histogram));
            }
        }
        for (lane, parts) in parts.into_iter().enumerate().take(width) {
            let tally = &mut tallies[tally_of(lane)];
            if is_counted {
                intake.counter.drain(lane, columns, &mut tally.figures.histogram);
            }
            tally.close(parts);
        }
    }
}

/// Values of a column and a call below which to count one by one costs less than to drain tables.
const FEW: usize = 128;

/// The same where one column has several tables.
const FEW_IN_TURNS: usize = 384;

/// What a thread keeps between calls, so that none has to allocate.
pub struct Desk<T: Element> {
    intake: Intake<T>,
    /// Some columns of a block of rows, one after the other.
    tile: Vec<T>,
    /// The beginning of a block whose end lies in another run.
    begun: Vec<T>,
}

impl<T: Element> Desk<T> {
    pub(crate) const fn new() -> Self {
        let intake = Intake { counter: Counter::new(), repaired: Vec::new() };
        Self { intake, tile: Vec::new(), begun: Vec::new() }
    }
}

struct Intake<T: Element> {
    counter: Counter<T>,
    repaired: Vec<T>,
}

impl<T: Element> Intake<T> {
    /// Summary of a block, whose values are counted in the counter or at once in the histogram.
    fn take(
        &mut self,
        block: &[T],
        place: Place,
        is_counted: bool,
        histogram: &mut ExponentHistogram,
    ) -> Summary {
        let level = Level::best();
        if !is_counted {
            histogram.add_each(block);
            return level.summarize_block(block, &mut self.repaired);
        }
        let summary = level.tally_block(block, place, &mut self.counter, &mut self.repaired);
        if summary.subnormals > 0 {
            histogram.add_subnormals(block);
        }
        summary
    }
}

/// The summaries of the blocks of one call, merged in the order in which those of a slice are.
#[derive(Clone, Copy)]
struct Parts {
    chunks: Summary,
    chunk: Summary,
    blocks: usize,
}

impl Parts {
    const EMPTY: Self = Self { chunks: Summary::EMPTY, chunk: Summary::EMPTY, blocks: 0 };

    fn push(&mut self, block: Summary) {
        self.chunk = if self.blocks == 0 { block } else { self.chunk.merge(block) };
        self.blocks += 1;
        if self.blocks == CHUNK / BLOCK {
            *self = Self { chunks: self.total(), ..Self::EMPTY };
        }
    }

    fn total(self) -> Summary {
        if self.chunks.count == 0 { self.chunk } else { self.chunks.merge(self.chunk) }
    }
}
