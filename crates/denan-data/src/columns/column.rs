//! What is known of one column.

use super::classes::Classes;
use super::extremes::Extremes;
use super::precision::{Operation, Precision};
use crate::picture::Levels;
use denan_numerics::Figures;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is known of a column or channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Column {
    /// Of all numbers.
    pub(crate) figures: Figures,
    /// Cells that hold nothing.
    pub(crate) missing: u64,
    /// Cells that hold something else than a number.
    pub(crate) texts: u64,
    /// Finite values above 0, and below, that are infinite in the training's precision.
    pub(crate) huge: [u64; 2],
    /// Finite values above 0, and below, that are 0 in the training's precision.
    pub(crate) tiny: [u64; 2],
    /// Finite values other than 0 whose reciprocal is infinite in the training's precision; tiny ones among them.
    pub(crate) near_zero: u64,
    /// Finite values below 1 that are 1 in the training's precision.
    pub(crate) near_one: u64,
    /// Finite values whose exponential is infinite.
    pub(crate) exp_infinite: u64,
    /// Finite values whose square is infinite.
    pub(crate) square_infinite: u64,
    /// How many values fail each check of values, by its position.
    pub(crate) failed: BTreeMap<u8, u64>,
    pub(crate) extremes: Extremes,
    /// Of a channel of images.
    pub(crate) levels: Option<Levels>,
    /// Of a column that may hold targets.
    pub(crate) classes: Option<Classes>,
}

impl Column {
    /// The summary of a channel follows from its levels, once all of them are known.
    pub(crate) fn close(&mut self) {
        if let Some(levels) = &self.levels {
            self.figures.summary = levels.summary();
        }
    }

    /// The `q`-quantile of the finite values; of channels with whole levels exact, else within 6.25 %.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        match &self.levels {
            Some(levels) => levels.quantile(q),
            None => self.figures.histogram.quantile(q),
        }
    }

    /// Whether it is a column of numbers: nearly all of its cells that are not empty hold one.
    pub(crate) fn is_numeric(&self) -> bool {
        let numbers = self.figures.summary.count;
        numbers > 0 && self.texts <= numbers / 10
    }

    /// Whether no cell holds anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.missing > 0 && self.texts == 0 && self.figures.summary.count == 0
    }

    /// Whether all finite values are the same, but for rounding.
    pub(crate) fn is_constant(&self) -> bool {
        /// Units of a `float32`'s last place by which a rounded constant may vary.
        const UNITS: f64 = 8.0;
        let summary = &self.figures.summary;
        let apart = summary.max - summary.min;
        summary.finite() > 1 && apart <= UNITS * f64::from(f32::EPSILON) * summary.abs_max()
    }

    /// With what it is normalised: a standard deviation of 1 where it does not vary, so that it becomes 0.
    pub(crate) fn mean_and_std(&self) -> [f64; 2] {
        let summary = &self.figures.summary;
        let std = summary.std();
        [summary.mean, if self.is_constant() || std == 0.0 { 1.0 } else { std }]
    }

    /// Whether it may hold shares or probabilities: all of its values are from 0 to 1.
    pub(crate) fn is_of_shares(&self) -> bool {
        let summary = &self.figures.summary;
        summary.min >= 0.0 && summary.max <= 1.0
    }

    /// Joins the same column of the part that follows.
    pub(crate) fn join(&mut self, other: Self, most_extremes: usize) {
        self.figures = std::mem::take(&mut self.figures).merge(other.figures);
        for (own, other) in [
            (&mut self.missing, other.missing),
            (&mut self.texts, other.texts),
            (&mut self.near_zero, other.near_zero),
            (&mut self.near_one, other.near_one),
            (&mut self.exp_infinite, other.exp_infinite),
            (&mut self.square_infinite, other.square_infinite),
        ] {
            *own += other;
        }
        for side in 0..2 {
            self.huge[side] += other.huge[side];
            self.tiny[side] += other.tiny[side];
        }
        for (check, count) in other.failed {
            *self.failed.entry(check).or_default() += count;
        }
        self.extremes.join(other.extremes, most_extremes);
        match (&mut self.levels, other.levels) {
            (Some(levels), Some(others)) => levels.merge(others),
            (levels, others) => *levels = levels.take().or(others),
        }
        match (&mut self.classes, other.classes) {
            (Some(classes), Some(others)) => classes.join(others),
            (classes, others) => *classes = classes.take().or(others),
        }
    }

    /// Finite values below 0, and from 1 on.
    fn negatives_and_ones(&self) -> [u64; 2] {
        let mut counts = [0; 2];
        for bin in self.figures.histogram.bins() {
            if bin.negative {
                counts[0] += bin.count;
            } else if bin.lower >= 1.0 {
                counts[1] += bin.count;
            }
        }
        counts
    }

    /// How many of the finite values an operation makes NaN or infinite, exactly.
    pub(crate) fn fails(&self, operation: Operation) -> u64 {
        let zeros = self.figures.summary.zeros;
        let [negatives, from_one] = self.negatives_and_ones();
        let [tiny, tiny_below_zero] = self.tiny;
        let [huge, _] = self.huge;
        match operation {
            Operation::Log => negatives + zeros + tiny + huge,
            Operation::Logit => negatives + zeros + tiny + self.near_one + from_one,
            Operation::Divide => zeros + self.near_zero,
            // The root of -0 is -0.
            Operation::Sqrt => negatives - tiny_below_zero + huge,
            Operation::Exp => self.exp_infinite,
            Operation::Square => self.square_infinite,
        }
    }

    /// What happens to the sum of all finite values in a precision: whether it is infinite.
    pub(crate) fn sum_is_infinite(&self, precision: Precision) -> bool {
        let summary = &self.figures.summary;
        precision.round(summary.mean * summary.finite() as f64).is_infinite()
    }

    /// The median of the magnitudes of the finite values other than 0, within 6.25 %; nothing without any.
    pub(crate) fn typical_magnitude(&self) -> Option<f64> {
        let histogram = &self.figures.histogram;
        let rank = (histogram.finite() - histogram.zeros()).div_ceil(2);
        let mut bins: Vec<(f64, u64)> = histogram.bins().map(|bin| (bin.lower, bin.count)).collect();
        bins.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut seen = 0;
        // The middle of a bin, an eighth of a power of two wide.
        bins.into_iter().find_map(|(lower, count)| {
            seen += count;
            (seen >= rank).then_some(lower * 1.0625)
        })
    }
}
