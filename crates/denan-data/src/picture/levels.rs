//! How often each value of a channel occurs.

use denan_numerics::{ExponentHistogram, MantissaBits, Summary};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counts of the values of a channel, exact, so that those of many images add up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Levels {
    /// How often each of the values of 8 bits occurs.
    Eight(Vec<u64>),
    /// How often values of 16 bits occur that do.
    Sixteen(BTreeMap<u16, u64>),
    /// Floats are too many to count each.
    Float { summary: Summary, exponents: ExponentHistogram },
}

/// The samples of an image, pixel by pixel.
pub(super) enum Samples {
    Eight(Vec<u8>),
    Sixteen(Vec<u16>),
    Float(Vec<f32>),
}

impl Levels {
    /// Whether there is but one.
    pub(crate) fn are_one(&self) -> bool {
        match self {
            Self::Eight(counts) => counts.iter().filter(|count| **count > 0).count() < 2,
            Self::Sixteen(counts) => counts.len() < 2,
            Self::Float { summary, .. } => summary.min >= summary.max && summary.finite() == summary.count,
        }
    }

    /// Those of each channel, of which pixels have `channels`.
    pub(super) fn of(samples: &Samples, channels: usize) -> Vec<Self> {
        match samples {
            Samples::Eight(samples) => match channels {
                1 => count::<1>(samples),
                2 => count::<2>(samples),
                3 => count::<3>(samples),
                _ => count::<4>(samples),
            },
            Samples::Sixteen(samples) => {
                let count = |channel| {
                    let mut counts = vec![0; 1 << 16];
                    samples
                        .iter()
                        .skip(channel)
                        .step_by(channels)
                        .for_each(|value| counts[usize::from(*value)] += 1);
                    Self::Sixteen((0..=u16::MAX).zip(counts).filter(|(_, count)| *count > 0).collect())
                };
                (0..channels).map(count).collect()
            }
            Samples::Float(samples) => {
                let channel = |channel| samples.iter().skip(channel).step_by(channels).copied().collect();
                let all = (0..channels).map(channel);
                all.map(|values: Vec<f32>| Self::Float {
                    summary: denan_numerics::summarize(&values),
                    exponents: ExponentHistogram::of(&values, MantissaBits::Three),
                })
                .collect()
            }
        }
    }

    /// Adds those of another image.
    ///
    /// # Panics
    ///
    /// If they are of another depth.
    pub(crate) fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Eight(counts), Self::Eight(others)) => {
                counts.iter_mut().zip(others).for_each(|(count, other)| *count += other);
            }
            (Self::Sixteen(counts), Self::Sixteen(others)) => {
                others.into_iter().for_each(|(value, other)| *counts.entry(value).or_default() += other);
            }
            (Self::Float { summary, exponents }, Self::Float { summary: other, exponents: others }) => {
                *summary = summary.merge(other);
                *exponents = exponents.clone().merge(others);
            }
            _ => panic!("levels of one depth do not add to those of another"),
        }
    }

    /// Values that occur, ascending, and how often; none of floats.
    fn counts(&self) -> Box<dyn Iterator<Item = (f64, u64)> + '_> {
        match self {
            Self::Eight(counts) => Box::new(
                (0..=u8::MAX).map(f64::from).zip(counts.iter().copied()).filter(|(_, count)| *count > 0),
            ),
            Self::Sixteen(counts) => {
                Box::new(counts.iter().map(|(value, count)| (f64::from(*value), *count)))
            }
            Self::Float { .. } => Box::new(std::iter::empty()),
        }
    }

    /// Number of values.
    fn count(&self) -> u64 {
        match self {
            Self::Float { summary, .. } => summary.count,
            _ => self.counts().map(|(_, count)| count).sum(),
        }
    }

    /// The figures of the values as they are stored: between 0 and 255, 0 and 65535, or any float.
    pub(crate) fn summary(&self) -> Summary {
        if let Self::Float { summary, .. } = self {
            return *summary;
        }
        let count = self.count();
        let mean =
            self.counts().map(|(value, count)| value * count as f64).sum::<f64>() / count.max(1) as f64;
        let squares = self.counts().map(|(value, count)| (value - mean).powi(2) * count as f64);
        Summary {
            count,
            zeros: self.counts().take_while(|(value, _)| *value == 0.0).map(|(_, count)| count).sum(),
            min: self.counts().next().map_or(f64::INFINITY, |(value, _)| value),
            max: self.counts().last().map_or(f64::NEG_INFINITY, |(value, _)| value),
            mean,
            m2: squares.sum(),
            ..Summary::EMPTY
        }
    }

    /// The `q`-quantile by nearest rank, `q` between 0 and 1; nothing without values or for another `q`. Exact, but of
    /// floats within 6.25 %.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        if let Self::Float { summary, exponents } = self {
            return Some(exponents.quantile(q)?.clamp(summary.min, summary.max));
        }
        let all = self.count();
        if all == 0 || !(0.0..=1.0).contains(&q) {
            return None;
        }
        let rank = ((q * all as f64).ceil() as u64).clamp(1, all);
        let mut seen = 0;
        let mut reached = self.counts().skip_while(|(_, count)| {
            seen += count;
            seen < rank
        });
        reached.next().map(|(value, _)| value)
    }
}

/// The levels of the first N channels of pixels of that many samples.
///
/// Neighbours are mostly alike, and a count must be written before it can be read again: so neighbours have tables of
/// their own.
fn count<const N: usize>(samples: &[u8]) -> Vec<Levels> {
    const TABLES: usize = 4;
    // Images have fewer than 2^32 pixels.
    let mut tables = [[[0u32; 256]; N]; TABLES];
    let (pixels, _) = samples.as_chunks::<N>();
    let (groups, last) = pixels.as_chunks::<TABLES>();
    for group in groups {
        for (table, pixel) in tables.iter_mut().zip(group) {
            for (counts, value) in table.iter_mut().zip(pixel) {
                counts[usize::from(*value)] += 1;
            }
        }
    }
    for pixel in last {
        for (counts, value) in tables[0].iter_mut().zip(pixel) {
            counts[usize::from(*value)] += 1;
        }
    }
    let sum =
        |channel: usize, value: usize| tables.iter().map(|table| u64::from(table[channel][value])).sum();
    (0..N).map(|channel| Levels::Eight((0..256).map(|value| sum(channel, value)).collect())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of_bytes(samples: &[u8]) -> Levels {
        Levels::of(&Samples::Eight(samples.to_vec()), 1).swap_remove(0)
    }

    #[test]
    fn figures_are_those_of_the_values() {
        let levels = of_bytes(&[0, 0, 10, 30, 255]);
        assert_eq!(
            (levels.count(), levels.summary().min_opt(), levels.summary().max_opt(), levels.summary().mean),
            (5, Some(0.0), Some(255.0), 59.0)
        );
        assert!((levels.summary().std() - 9724f64.sqrt()).abs() < 1e-9);
        assert_eq!(
            [0.0, 0.4, 0.41, 0.8, 1.0].map(|q| levels.quantile(q).unwrap()),
            [0.0, 0.0, 10.0, 30.0, 255.0]
        );
        assert_eq!((levels.quantile(1.1), levels.quantile(f64::NAN)), (None, None));
    }

    #[test]
    fn no_values_have_no_figures() {
        for levels in [of_bytes(&[]), Levels::of(&Samples::Sixteen(vec![]), 1).swap_remove(0)] {
            assert_eq!(
                (
                    levels.count(),
                    levels.summary().min_opt(),
                    levels.summary().max_opt(),
                    levels.quantile(0.5)
                ),
                (0, None, None, None)
            );
            assert_eq!((levels.summary().mean, levels.summary().std()), (0.0, 0.0));
        }
    }

    #[test]
    fn floats_that_are_no_numbers_are_counted_apart() {
        let samples = Samples::Float(vec![0.5, 9.0, f32::NAN, 9.0, -1.5, 9.0]);
        let levels = Levels::of(&samples, 2).swap_remove(0);
        assert_eq!((levels.count(), levels.summary().nonfinite()), (3, 1));
        assert_eq!(
            (
                levels.summary().min_opt(),
                levels.summary().max_opt(),
                levels.summary().mean,
                levels.summary().std()
            ),
            (Some(-1.5), Some(0.5), -0.5, 1.0)
        );
        assert_eq!((levels.quantile(0.0), levels.quantile(1.0)), (Some(-1.5), Some(0.5)));
    }

    #[test]
    #[should_panic(expected = "levels of one depth")]
    fn levels_of_different_depths_do_not_add_up() {
        of_bytes(&[1]).merge(Levels::of(&Samples::Sixteen(vec![1]), 1).swap_remove(0));
    }

    #[test]
    fn levels_are_the_same_after_they_were_written() {
        for samples in
            [Samples::Eight(vec![1, 2, 2]), Samples::Sixteen(vec![1, 999, 999]), Samples::Float(vec![0.5])]
        {
            let levels = Levels::of(&samples, 1);
            let written = serde_json::to_string(&levels).unwrap();
            assert_eq!(serde_json::from_str::<Vec<Levels>>(&written).unwrap(), levels);
        }
    }

    proptest! {
        #[test]
        fn each_channel_is_counted_to_its_last_pixel(channels in 1usize..5, values in prop::collection::vec(any::<u8>(), 0..100)) {
            let values = &values[..values.len() / channels * channels];
            let wide = Samples::Sixteen(values.iter().copied().map(u16::from).collect());
            let [narrow, wide] = [Samples::Eight(values.to_vec()), wide].map(|samples| Levels::of(&samples, channels));
            prop_assert_eq!(narrow.len(), channels);
            for (channel, (narrow, wide)) in narrow.iter().zip(&wide).enumerate() {
                let own: Vec<u8> = values.iter().skip(channel).step_by(channels).copied().collect();
                let count = |value: u8| own.iter().filter(|other| **other == value).count() as u64;
                let wanted: Vec<(f64, u64)> =
                    (0..=255).map(|value| (f64::from(value), count(value))).filter(|(_, count)| *count > 0).collect();
                prop_assert_eq!(narrow.counts().collect::<Vec<_>>(), wanted.clone());
                prop_assert_eq!(wide.counts().collect::<Vec<_>>(), wanted);
            }
        }

        #[test]
        fn merged_levels_are_those_of_both(one in prop::collection::vec(any::<u16>(), 0..50), other in prop::collection::vec(any::<u16>(), 0..50)) {
            let of = |values: &[u16]| Levels::of(&Samples::Sixteen(values.to_vec()), 1).swap_remove(0);
            let mut merged = of(&one);
            merged.merge(of(&other));
            prop_assert_eq!(merged, of(&[one.clone(), other.clone()].concat()));
            let bytes = |values: &[u16]| of_bytes(&values.iter().map(|value| *value as u8).collect::<Vec<_>>());
            let mut merged = bytes(&one);
            merged.merge(bytes(&other));
            prop_assert_eq!(merged, bytes(&[one, other].concat()));
        }
    }
}
