//! BatchNorm over so few values that its statistics jump from batch to batch.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::evidence::view::{Index, View, magnitude};
use crate::words;
use denan_finding::Finding;
use denan_finding::number::{counted, float};
use denan_record::model::{Node, Phase};

pub(crate) struct TinyBatchNorm;

cause!(TinyBatchNorm, "tiny-batch-norm");

/// Values per channel below which the statistics of a batch are noise: their relative error is about
/// sqrt(2 / n), a third of the variance at 16 (Wu and He 2018, "Group Normalization", figure 1).
const FEW: u64 = 16;

/// The bad value was made in such a layer or in its gradient.
const IN_THE_LAYER: f64 = 0.94;

/// The gradient grows through such a layer, its variance is nearly 0, or it gets a handful of values, and the
/// training blew up.
const THROUGH_THE_LAYER: f64 = 0.9;

/// There is such a layer, and the training blew up.
const BESIDE_THE_LAYER: f64 = 0.6;

/// Of so few values hardly anything is left once mean and variance are taken out: two become -1 and 1, whatever
/// they were.
const A_HANDFUL: u64 = 4;

/// Growth of the gradient through one layer that well-filled batches do not show.
const GROWS: f64 = 100.0;

/// A variance so much smaller than that of another channel or batch that dividing by its root amplifies noise.
const NEARLY_NOTHING: f64 = 1e-4;

impl Cause for TinyBatchNorm {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if matches!(evidence.broken.phase, Phase::Input | Phase::Parameter) {
            return None;
        }
        let view = evidence.before().or(evidence.breaking())?;
        let layer = tiny_layers(view).into_iter().min_by_key(|layer| layer.values)?;
        let call = evidence.call();
        let in_layer = is_batch_norm(&call) || in_batch_norm(evidence);
        let views = [evidence.breaking(), evidence.before()];
        let growth = views.into_iter().flatten().map(gradient_growth).fold(0.0, f64::max);
        let smallest = views.into_iter().flatten().filter_map(smallest_variance).reduce(f64::min);
        let amplifies = growth >= GROWS || smallest.is_some_and(|variance| variance < NEARLY_NOTHING);
        let confidence = match () {
            () if in_layer => IN_THE_LAYER,
            () if (amplifies || layer.values <= A_HANDFUL) && evidence.blew_up() => THROUGH_THE_LAYER,
            () if evidence.blew_up() => BESIDE_THE_LAYER,
            () => return None,
        };
        let place =
            words::at_place(view.place(layer.output));
        let mut observations = vec![format!(
            "the layer{place} normalises {} of shape {}: {} per channel",
            layer.dtype,
            words::shape(&layer.shape),
            counted(layer.values, "value", "values"),
        )];
        if growth >= GROWS {
            observations.push(format!(
                "the gradient grew {}-fold on its way back through such a layer",
                float(words::two_digits(growth)),
            ));
        }
        observations.extend(
            smallest.filter(|variance| *variance < NEARLY_NOTHING).map(|variance| {
                format!("the variance of a channel was {}", float(words::two_digits(variance)))
            }),
        );
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
                format!(
                    "freeze the BatchNorm layers: {}",
                    evidence.code("norm.freeze()", "affine off, or momentum=0 and track_running_stats=False"),
                ),
                format!(
                    "use a layer that needs no batch: {}",
                    evidence.code(
                        "GroupNormConfig::new(groups, channels)",
                        "torch.nn.GroupNorm(groups, channels)"
                    ),
                ),
                "make the batch larger".to_owned(),
            ],
            interventions: vec!["freeze-batch-norm".to_owned(), "clip-gradients".to_owned()],
            ..self.finding(
                confidence,
                format!(
                    "BatchNorm takes its statistics from {} per channel{place}",
                    counted(layer.values, "value", "values")
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
                0.85,
                &[
                    "learning-rate-too-high",
                    "exploding-gradients",
                    "infinite-gradient",
                    "division-by-zero",
                    "exp-overflow",
                    "log-of-zero",
                    "weight-growth",
                ],
            )]
        }
    }
}

/// A BatchNorm layer that got few values.
struct Tiny {
    output: Index,
    shape: Vec<u64>,
    dtype: String,
    values: u64,
}

fn is_batch_norm(name: &str) -> bool {
    matches!(name, "batch_norm" | "batch_norm_train")
}

fn is_training(node: &Node) -> bool {
    node.call.as_deref() == Some("batch_norm_train")
}

/// Whether the producer is one of the operations that such a layer is made of.
fn in_batch_norm(evidence: &Evidence<'_>) -> bool {
    let node = evidence.breaking().and_then(|view| Some(view.node(view.producer()?)));
    node.is_some_and(|node| is_training(node) || node.op == "batch_norm")
}

/// Layers in training mode with few values per channel.
fn tiny_layers(view: &View<'_>) -> Vec<Tiny> {
    let layer = |(output, node): (Index, &Node)| {
        let is_layer = node.op == "batch_norm" && (is_training(node) || node.call.is_none());
        let channels = *node.shape.get(1).filter(|_| is_layer)?;
        let values = node.shape.iter().product::<u64>() / channels.max(1);
        let by_batch = view.readers(output).next().is_some() || node.inputs.len() > 1;
        (values < FEW && by_batch && is_training(node)).then(|| Tiny {
            output,
            shape: node.shape.clone(),
            dtype: node.dtype.clone(),
            values,
        })
    };
    view.forward().filter_map(layer).collect()
}

/// The largest growth of a gradient on its way back through a BatchNorm layer.
fn gradient_growth(view: &View<'_>) -> f64 {
    let inside =
        |node: &Node| node.phase == Phase::Backward && node.call.as_deref() == Some("batch_norm_train");
    view.nodes()
        .filter(|(_, node)| inside(node))
        .map(|(_, node)| {
            let incoming = node
                .inputs
                .iter()
                .map(|&input| view.node(input))
                .filter(|input| input.phase == Phase::Backward && !inside(input));
            let before = incoming.map(magnitude).fold(0.0, f64::max);
            // The gradient of the input has its shape and is made last, or at once by an engine with one kernel for all.
            let is_last = |other: &Node| matches!(other.op.as_str(), "mul" | "batch_norm");
            let after = view
                .nodes()
                .filter(|(_, other)| inside(other) && other.shape == node.shape && is_last(other))
                .map(|(_, other)| magnitude(other))
                .fold(0.0, f64::max);
            if before > 0.0 { after / before } else { 0.0 }
        })
        .fold(0.0, f64::max)
}

/// The smallest variance that such a layer divided by.
fn smallest_variance(view: &View<'_>) -> Option<f64> {
    let is_variance = |node: &Node| {
        is_training(node)
            && node.op == "mean"
            && node.inputs.first().is_some_and(|&input| view.node(view.source(input)).op == "mul")
    };
    view.forward().filter(|(_, node)| is_variance(node)).map(|(_, node)| node.range.min).reduce(f64::min)
}
