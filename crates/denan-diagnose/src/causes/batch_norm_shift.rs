//! The running statistics of a BatchNorm layer do not fit the data that it sees in evaluation mode.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::evidence::view::{Index, View, magnitude};
use crate::words;
use denan_finding::Finding;
use denan_finding::number::float;
use denan_record::model::{Node, Phase};

pub(crate) struct BatchNormShift;

cause!(BatchNormShift, "batch-norm-shift");

/// A normalised value lies within 10 of 0, an outlier within 30: with fitting statistics no batch of a million
/// values passes this.
const FAR_OFF: f64 = 100.0;

/// Normalised values are far off, and the training blew up or the layer itself overflowed.
const BROKE_THROUGH_IT: f64 = 0.93;

/// Normalised values are far off, and something else broke.
const BESIDE_IT: f64 = 0.7;

impl Cause for BatchNormShift {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if matches!(evidence.broken.phase, Phase::Input | Phase::Parameter) {
            return None;
        }
        let first = evidence.first().into_iter().flat_map(shifted_layers);
        let later = [evidence.before(), evidence.breaking()].into_iter().flatten().flat_map(shifted_layers);
        // What the first step shows no update has made.
        let layer = first.chain(later).max_by(|a, b| a.off.total_cmp(&b.off))?;
        let confidence = if evidence.blew_up() || evidence.made_infinity() { BROKE_THROUGH_IT } else { BESIDE_IT };
        let place = words::at_place(layer.place);
        let mut observations = vec![
            format!(
                "with its running statistics the layer{place} makes values up to {}; 10 would be many",
                float(words::two_digits(layer.off)),
            ),
            format!("it read values {}", words::range(&layer.input.range)),
            "it is in evaluation mode or frozen: it does not look at the batch".to_owned(),
        ];
        observations.extend(
            evidence
                .producer()
                .inputs
                .iter()
                .map(|input| format!("{}{}", evidence.input_in_words(input), words::at(evidence.producer()))),
        );
        Some(Finding {
            evidence: observations,
            remedies: vec![
                "run some batches of the new data through it in training mode first, so that its statistics fit"
                    .to_owned(),
                format!(
                    "let it use the batch's statistics: {}",
                    evidence.code("unfreeze the layer (norm.unfreeze())", "track_running_stats=False"),
                ),
                "feed the data in the scale of the pretraining".to_owned(),
            ],
            interventions: vec!["freeze-batch-norm".to_owned(), "lower-learning-rate".to_owned()],
            ..self.finding(
                confidence,
                format!("the running statistics of the BatchNorm{place} do not fit the data it sees"),
            )
        })
    }

    fn names(&self) -> Names {
        Names::State
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
                    "tiny-batch-norm",
                    "weight-growth",
                    "feature-scale",
                ],
            )]
        }
    }
}

/// A BatchNorm layer whose running statistics do not fit.
struct Shifted<'a> {
    place: Option<&'a denan_record::model::Place>,
    /// Largest magnitude after normalising, before weight and bias.
    off: f64,
    input: &'a Node,
}

/// The layers in evaluation mode that make values far off.
fn shifted_layers<'a>(view: &View<'a>) -> Vec<Shifted<'a>> {
    let in_evaluation = |node: &Node| {
        node.call.as_deref() == Some("batch_norm") || node.op == "batch_norm" && node.call.is_none()
    };
    let layer = |(index, node): (Index, &'a Node)| {
        if !in_evaluation(node) {
            return None;
        }
        let (off, source) = match node.op.as_str() {
            // In a layer that is differentiated step by step.
            "div" => {
                let centred = *node.inputs.first()?;
                (magnitude(node), *view.node(centred).inputs.first().unwrap_or(&centred))
            }
            // Weight and bias begin at 1 and 0, and pretrained ones are of that size.
            "batch_norm" => (magnitude(node), *node.inputs.first()?),
            _ => return None,
        };
        (off >= FAR_OFF).then(|| Shifted { place: view.place(index), off, input: view.node(source) })
    };
    view.nodes().filter(|(_, node)| node.phase == Phase::Forward && node.is_new).filter_map(layer).collect()
}
