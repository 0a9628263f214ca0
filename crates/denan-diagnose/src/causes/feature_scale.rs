//! Columns of wildly different scale are fed in as they are.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::evidence::view::{Index, View};
use crate::words;
use denan_finding::Finding;
use denan_finding::number::float;
use denan_record::model::{DataSeen, Phase};

pub(crate) struct FeatureScale;

cause!(FeatureScale, "feature-scale");

/// Columns whose magnitudes differ by three orders cannot share a learning rate: gradient descent converges as
/// slowly as the ratio of its largest to its smallest curvature, the square of this (LeCun et al. 1998, "Efficient
/// BackProp", section 4.3).
const WIDE: f64 = 1e3;

/// Magnitude from which a column counts as large; normalised ones lie around 1.
const LARGE: f64 = 10.0;

/// A column of this magnitude alone makes the curvature 10,000 times that of a normalised one, so that two orders
/// between it and another one do.
const HUGE: f64 = 100.0;

/// The columns differ, what the first layer makes follows the large one, and the training blew up.
const LAYER_FOLLOWS: f64 = 0.93;

/// The columns differ, but the layer that reads them is not on the record.
const COLUMNS_DIFFER: f64 = 0.75;

impl Cause for FeatureScale {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if !evidence.blew_up() || matches!(evidence.broken.phase, Phase::Input | Phase::Parameter) {
            return None;
        }
        let (data, spread) = evidence
            .run
            .data
            .iter()
            .filter(|data| data.dtype.contains("float"))
            .filter_map(|data| Some((data, Spread::of(data)?)))
            .find(|(data, _)| reaches_layer(evidence, data) != Some(false))?;
        let confidence =
            if reaches_layer(evidence, data) == Some(true) { LAYER_FOLLOWS } else { COLUMNS_DIFFER };
        let place =
            words::at_place(data.place.as_ref());
        let word = if data.axis == 1 && data.shape.len() >= 4 { "channel" } else { "column" };
        let mut observations = vec![
            format!(
                "{word} {} is typically {} in size",
                spread.large,
                float(words::two_digits(spread.large_size))
            ),
            format!(
                "{word} {} is typically {} in size",
                spread.small,
                float(words::two_digits(spread.small_size))
            ),
            format!("data of shape {} entered{place}", words::shape(&data.shape)),
        ];
        observations.extend(evidence.history.losses_before_break());
        observations.extend(evidence.history.largest_update.map(|update| {
            format!(
                "the update of step {} was {} times the weights",
                update.step,
                float(words::two_digits(update.value))
            )
        }));
        Some(Finding {
            evidence: observations,
            remedies: vec![
                format!(
                    "normalise each {word}: (x - mean) / std, with the figures of the training set ({})",
                    evidence.code("(x - mean) / std", "sklearn.preprocessing.StandardScaler"),
                ),
                "take the logarithm of a column that spans many orders of magnitude".to_owned(),
            ],
            interventions: vec!["normalize-inputs".to_owned()],
            ..self.finding(
                confidence,
                format!(
                    "{word}s of the data differ {}-fold in scale and were never normalised{place}",
                    float(words::two_digits(spread.large_size / spread.small_size)),
                ),
            )
        })
    }

    fn names(&self) -> Names {
        Names::Datum
    }

    fn explains(&self) -> &'static [Explains] {
        const {
            &[Explains::from(
                0.9,
                &[
                    "learning-rate-too-high",
                    "exploding-gradients",
                    "exploding-activations",
                    "exp-overflow",
                    "log-of-zero",
                    "division-by-zero",
                    "infinite-gradient",
                    "weight-growth",
                ],
            )]
        }
    }
}

/// The columns that differ most.
struct Spread {
    large: usize,
    large_size: f64,
    small: usize,
    small_size: f64,
}

impl Spread {
    fn of(data: &DataSeen) -> Option<Self> {
        let size = |column: usize| {
            let summary = data.columns.get(column)?;
            // Where most values are 0, as in a one-hot column, the typical one says nothing.
            let typical = data.typical.get(column).copied().unwrap_or(0.0);
            let size = if typical > 0.0 { typical } else { summary.std() };
            (size > 0.0 && size.is_finite() && summary.std() > 0.0).then_some((column, size))
        };
        let sizes: Vec<(usize, f64)> = (0..data.columns.len()).filter_map(size).collect();
        let (large, large_size) = *sizes.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let (small, small_size) = *sizes.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
        let ratio = large_size / small_size;
        let is_wide = large_size >= LARGE && ratio >= WIDE || large_size >= HUGE && ratio >= HUGE;
        is_wide.then_some(Self {
            large,
            large_size,
            small,
            small_size,
        })
    }
}

/// Whether the data reach a layer with weights that makes values of their size, so without being normalised on
/// the way; `None` if the operations are not on the record.
fn reaches_layer(evidence: &Evidence<'_>, data: &DataSeen) -> Option<bool> {
    let view = evidence.first().or(evidence.before()).or(evidence.breaking())?;
    let spread = Spread::of(data)?;
    let entered: Vec<Index> = view
        .nodes()
        .filter(|(index, node)| node.op == "input" && view.place(*index) == data.place.as_ref())
        .map(|(index, _)| index)
        .collect();
    if entered.is_empty() {
        return None;
    }
    Some(view.layers().iter().any(|layer| reads_as_they_are(view, layer.output, &entered, spread.large_size)))
}

/// Whether a layer reads data of this size as they entered.
fn reads_as_they_are(view: &View<'_>, layer: Index, entered: &[Index], size: f64) -> bool {
    let inputs = &view.node(layer).inputs;
    inputs.iter().filter(|&&input| view.parameter(input).is_none()).any(|&input| {
        let comes_from = view.data_behind(input);
        view.is_of_data(input)
            && comes_from.iter().any(|data| entered.contains(data))
            && view.node(input).range.abs_max() >= 0.1 * size
    })
}
