//! A finite value that is far from all others of its column.

use super::{Found, TableCheck, Tables};
use crate::columns::{Classes, Column, Placed, Table};
use denan_finding::number::float;
use denan_finding::scan::Value;

check!(
    OutlierSample,
    Warning,
    "outlier-sample",
    "value is far from all others of its column",
    "values are far from all others of their columns"
);

/// How many times as far from the median as the quantile of its side.
const FACTOR: f64 = 20.0;
/// The share of the values beyond that quantile, of many values and of few.
const TAILS: [f64; 2] = [0.01, 0.1];
/// From this number of values on there are many.
const MANY: u64 = 1000;
/// Of fewer values nothing can be said.
const FEWEST: u64 = 10;

impl TableCheck for OutlierSample {
    fn look(&self, set: &Tables<'_>, tell: &mut dyn FnMut(Found)) -> u64 {
        let mut total = 0;
        for table in set.of_data() {
            for (number, column) in table.numeric() {
                // Labels are names: one that does not count may well be -100 or 255.
                if matches!(column.classes, Some(Classes::Counts(_))) {
                    continue;
                }
                let usual = Usual::of(column);
                let Some([low, high]) = usual.fences() else { continue };
                for (fence, placed) in [(low, &column.extremes.lowest), (high, &column.extremes.highest)] {
                    total += fence.count(&usual);
                    let beyond = placed.iter().take_while(|placed| fence.is_beyond(placed.value));
                    beyond
                        .filter(|placed| placed.value != 0.0 || !usual.is_sparse)
                        .for_each(|placed| tell(far(set, table, number, placed, &usual, fence)));
                }
            }
        }
        total
    }
}

/// Values beyond it are far. It stands at the edge of a bin of the histogram, so that they can be counted.
#[derive(Clone, Copy)]
pub(crate) struct Fence {
    pub(crate) at: f64,
    is_upper: bool,
}

impl Fence {
    /// At the next edge outwards: bins are an eighth of a power of two.
    fn new(at: f64, is_upper: bool) -> Self {
        let magnitude = at.abs();
        if magnitude < f64::MIN_POSITIVE || !magnitude.is_finite() {
            return Self { at, is_upper };
        }
        let bin = 2f64.powi(magnitude.log2().floor() as i32) / 8.0;
        let bins = magnitude / bin;
        let edge = if is_upper == (at > 0.0) { bins.ceil() } else { bins.floor() } * bin;
        Self { at: edge.copysign(at), is_upper }
    }

    /// Bins hold their lower edge by magnitude, and so do the values beyond a fence that magnitudes grow away from.
    pub(crate) fn is_beyond(self, value: f64) -> bool {
        match (self.is_upper, self.at > 0.0) {
            (true, true) => value >= self.at,
            (true, false) => value > self.at,
            (false, true) => value < self.at,
            (false, false) => value <= self.at,
        }
    }

    fn count(self, usual: &Usual<'_>) -> u64 {
        let edge = |bin: &denan_numerics::Bin| if bin.negative { -bin.lower } else { bin.lower };
        let beyond = usual.histogram.bins().filter(|bin| self.is_beyond(edge(bin)));
        let has_zeros = self.is_beyond(0.0) && !usual.is_sparse;
        beyond.map(|bin| bin.count).sum::<u64>() + if has_zeros { usual.histogram.zeros() } else { 0 }
    }
}

/// Beyond these, values are far; nothing where that cannot be said.
pub(crate) fn fences(column: &Column) -> Option<[Fence; 2]> {
    Usual::of(column).fences()
}

/// What the values of a column are compared with.
struct Usual<'a> {
    histogram: &'a denan_numerics::ExponentHistogram,
    /// Most of its values are 0: these say nothing of how far apart the others are, and are themselves far from nothing.
    is_sparse: bool,
}

impl<'a> Usual<'a> {
    fn of(column: &'a Column) -> Self {
        let histogram = &column.figures.histogram;
        Self { histogram, is_sparse: histogram.zeros() > histogram.finite() / 2 }
    }

    /// How many values there are to compare with.
    fn count(&self) -> u64 {
        self.histogram.finite() - if self.is_sparse { self.histogram.zeros() } else { 0 }
    }

    fn quantile(&self, share: f64) -> Option<f64> {
        if !self.is_sparse {
            return self.histogram.quantile(share);
        }
        let rank = (share * self.count() as f64).ceil().max(1.0);
        let negative = self.histogram.bins().filter(|bin| bin.negative).map(|bin| bin.count).sum::<u64>();
        let zeros = if rank > negative as f64 { self.histogram.zeros() as f64 } else { 0.0 };
        self.histogram.quantile((rank + zeros - 0.5) / self.histogram.finite() as f64)
    }

    /// Beyond these, values are far; nothing where that cannot be said.
    fn fences(&self) -> Option<[Fence; 2]> {
        let count = self.count();
        if count < FEWEST {
            return None;
        }
        let tail = TAILS[usize::from(count < MANY)];
        let median = self.quantile(0.5)?;
        let [low, high] = [self.quantile(tail)?, self.quantile(1.0 - tail)?];
        // A side on which nearly all values are the median says nothing by itself.
        let wider = (median - low).max(high - median);
        let room = |side: f64| FACTOR * if side > 0.0 { side.max(wider / FACTOR) } else { wider };
        (wider > 0.0).then(|| {
            [Fence::new(median - room(median - low), false), Fence::new(median + room(high - median), true)]
        })
    }
}

fn far(
    set: &Tables<'_>,
    table: &Table,
    column: usize,
    placed: &Placed,
    usual: &Usual<'_>,
    fence: Fence,
) -> Found {
    let median = usual.quantile(0.5).unwrap_or_default();
    let message = format!(
        "is {}, {} from the median {}; nearly all others are within {}",
        float(placed.value),
        float(placed.value - median),
        float(median),
        float((fence.at - median).abs() / FACTOR)
    );
    Found {
        index: Some(placed.row),
        value: Some(Value::Number(placed.value)),
        ..Found::of_column((set.files)(placed.file), table, column, message)
    }
}
