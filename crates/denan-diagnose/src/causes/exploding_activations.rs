//! Activations grow layer by layer, and no layer normalises them.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::evidence::view::{Layer, View};
use crate::words;
use denan_finding::Finding;
use denan_finding::number::float;
use denan_record::model::Phase;

pub(crate) struct ExplodingActivations;

cause!(ExplodingActivations, "exploding-activations");

/// Fewer layers than these are not deep.
const DEEP: usize = 6;

/// Growth through all layers in the last step that no normalised network shows.
const GROWN: f64 = 1e3;

/// The same in the first step: with weights that fit their fan-in the largest value stays within a factor of ten,
/// however deep the network.
const GROWN_AT_FIRST: f64 = 30.0;

/// The growth was there in the first step, before any update could have made it.
const FROM_THE_START: f64 = 0.93;

/// It is there in the last step, while the updates were small.
const WITHOUT_LARGE_UPDATES: f64 = 0.85;

/// It is there in the last step; large updates may have made it.
const WITH_LARGE_UPDATES: f64 = 0.6;

/// An update of this share of the weights is large; about 0.001 is healthy.
const LARGE_UPDATE: f64 = 0.1;

impl Cause for ExplodingActivations {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if matches!(evidence.broken.phase, Phase::Input | Phase::Parameter)
            || !evidence.blew_up() && !evidence.made_infinity()
        {
            return None;
        }
        let at_start = evidence.first().and_then(|view| Growth::of(view, GROWN_AT_FIRST));
        let at_end = evidence.before().and_then(|view| Growth::of(view, GROWN));
        let breaking = evidence.breaking().and_then(|view| Growth::of(view, GROWN));
        let large_updates =
            evidence.history.largest_update.is_some_and(|update| update.value >= LARGE_UPDATE);
        let (growth, confidence, when) = match (at_start, at_end.or(breaking)) {
            (Some(growth), _) => (growth, FROM_THE_START, "already in the first step"),
            (None, Some(growth)) if !large_updates => (growth, WITHOUT_LARGE_UPDATES, "in the last step"),
            (None, Some(growth)) => (growth, WITH_LARGE_UPDATES, "in the last step"),
            _ => return None,
        };
        let per_layer = growth.times.powf(1.0 / growth.layers as f64);
        let mut observations = vec![
            format!(
                "{when} values grow from {} to {} through {} layers, about {} times a layer",
                float(words::two_digits(growth.first)),
                float(words::two_digits(growth.last)),
                growth.layers,
                float((per_layer * 100.0).round() / 100.0),
            ),
            "no layer on the way normalises them".to_owned(),
        ];
        observations.extend(
            evidence
                .producer()
                .inputs
                .iter()
                .map(|input| format!("{}{}", evidence.input_in_words(input), words::at(evidence.producer()))),
        );
        observations.extend(evidence.history.losses_before_break());
        Some(Finding {
            evidence: observations,
            remedies: vec![
                format!(
                    "normalise between the layers: {}",
                    evidence.code("LayerNormConfig::new(width).init(device)", "torch.nn.LayerNorm(width)"),
                ),
                "scale what a residual branch adds: x + branch(x) / sqrt(number of blocks)".to_owned(),
                "fewer or narrower layers".to_owned(),
            ],
            interventions: vec![
                "insert-norm".to_owned(),
                "reinitialize".to_owned(),
                "lower-learning-rate".to_owned(),
            ],
            ..self.finding(
                confidence,
                format!(
                    "activations grow {}-fold through {} layers without normalisation",
                    float(words::two_digits(growth.times)),
                    growth.layers,
                ),
            )
        })
    }

    fn names(&self) -> Names {
        Names::Setting
    }

    fn explains(&self) -> &'static [Explains] {
        const {
            &[Explains::from(
                0.8,
                &[
                    "learning-rate-too-high",
                    "exploding-gradients",
                    "exp-overflow",
                    "log-of-zero",
                    "division-by-zero",
                    "infinite-gradient",
                ],
            )]
        }
    }
}

/// Growth of the largest magnitude through the layers of a step.
struct Growth {
    first: f64,
    last: f64,
    times: f64,
    layers: usize,
}

/// By how much values grow through the layers in the last step, and through how many, if updates that were small have
/// brought it about: in the first step they did not.
pub(crate) fn grown_since_the_start(evidence: &Evidence<'_>) -> Option<(f64, usize)> {
    let at_start = evidence.first()?;
    let is_mild = evidence.history.largest_update.is_some_and(|update| update.value < LARGE_UPDATE);
    if !is_mild || Growth::of(at_start, GROWN_AT_FIRST).is_some() {
        return None;
    }
    let views = [evidence.before(), evidence.breaking()];
    let growth = views.into_iter().flatten().find_map(|view| Growth::of(view, GROWN))?;
    Some((growth.times, growth.layers))
}

impl Growth {
    /// `None` if the network is not deep, normalises, or does not grow steadily.
    fn of(view: &View<'_>, least: f64) -> Option<Self> {
        let layers: Vec<Layer> = view.layers();
        if layers.len() < DEEP || view.forward().any(|(index, _)| view.is_normalisation(index)) {
            return None;
        }
        // One layer that is called again and again is a recurrent one, where values grow with time.
        let mut slots: Vec<Option<u32>> = layers.iter().map(|layer| layer.slot).collect();
        slots.sort_unstable();
        slots.dedup();
        if slots.len() < DEEP {
            return None;
        }
        let reached = layers.iter().map(|layer| layer.output_max).take_while(|max| max.is_finite());
        let sizes: Vec<f64> = reached.collect();
        // The output layer may make its values small again.
        let (at, last) = sizes.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        if at + 1 < DEEP {
            return None;
        }
        // Branches and bottlenecks make neighbours differ, so quarters of the way are compared.
        let quarter = (at + 1).div_ceil(4);
        let peaks: Vec<f64> =
            sizes[..=at].chunks(quarter).map(|sizes| sizes.iter().copied().fold(0.0, f64::max)).collect();
        let is_steady = peaks.windows(2).all(|pair| pair[1] > pair[0]);
        let first = peaks[0];
        let times = last / first.max(f64::MIN_POSITIVE);
        (times >= least && is_steady).then_some(Self { first, last, times, layers: at + 1 })
    }
}
