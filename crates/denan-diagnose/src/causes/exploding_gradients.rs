//! Gradients grow from layer to layer, or from time step to time step, on their way back.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::evidence::view::{View, magnitude};
use crate::words;
use denan_finding::Finding;
use denan_finding::number::float;
use denan_record::model::Phase;

pub(crate) struct ExplodingGradients;

cause!(ExplodingGradients, "exploding-gradients");

/// Growth on the way back that no ordinary network shows.
const GROWN: f64 = 1e4;

/// Products with weights on the way back below which there is nothing to grow through.
const DEEP: usize = 6;

/// A gradient overflowed under a finite loss, after steady growth.
const OVERFLOWED: f64 = 0.94;

/// Gradients grew on their way back, and the update they made destroyed the weights.
const DESTROYED: f64 = 0.88;

/// Growth of the gradient norm over its early values that goes with it.
const NORM_GROWN: f64 = 100.0;

impl Cause for ExplodingGradients {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        let broken = evidence.broken;
        let in_gradient = broken.phase == Phase::Backward && !broken.loss_is_bad;
        let growth = if in_gradient {
            Growth::of(evidence.breaking()?)?
        } else {
            if !evidence.blew_up() || matches!(broken.phase, Phase::Input | Phase::Parameter) {
                return None;
            }
            Growth::of(evidence.before()?)?
        };
        let norms = evidence.history.gradient_growth.is_some_and(|growth| growth >= NORM_GROWN);
        let confidence = match (in_gradient, norms) {
            (true, _) => OVERFLOWED,
            (false, true) => DESTROYED,
            (false, false) => DESTROYED - 0.1,
        };
        let step = if in_gradient { broken.step } else { broken.step - 1 };
        let mut observations = vec![format!(
            "in step {step} gradients grew from {} to {} on their way back through {} products with weights",
            float(words::two_digits(growth.first)),
            float(words::two_digits(growth.last)),
            growth.products,
        )];
        observations.push(format!(
            "values of the forward pass grew {}-fold at most",
            float(words::two_digits(growth.forward.max(1.0)))
        ));
        observations.extend(evidence.history.gradient_growth.filter(|growth| *growth >= 10.0).map(
            |growth| {
                format!(
                    "the gradient norm grew {}-fold over the last steps",
                    float(words::two_digits(growth))
                )
            },
        ));
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
                    "clip the gradients by their norm: {}",
                    evidence.code(
                        ".with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))",
                        "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
                    ),
                ),
                "go back through fewer time steps, or use gates (LSTM, GRU)".to_owned(),
                "begin recurrent weights orthogonal".to_owned(),
            ],
            interventions: vec!["clip-gradients".to_owned(), "lower-learning-rate".to_owned()],
            ..self.finding(
                confidence,
                format!("gradients grow {}-fold on their way back", float(words::two_digits(growth.times))),
            )
        })
    }

    fn names(&self) -> Names {
        Names::Setting
    }

    fn explains(&self) -> &'static [Explains] {
        const {
            &[Explains::from(
                0.75,
                &[
                    "learning-rate-too-high",
                    "infinite-gradient",
                    "exp-overflow",
                    "log-of-zero",
                    "division-by-zero",
                ],
            )]
        }
    }
}

/// Growth of the largest gradient on its way back.
struct Growth {
    first: f64,
    last: f64,
    times: f64,
    products: usize,
    /// Growth of the largest value on the way forward.
    forward: f64,
}

impl Growth {
    fn of(view: &View<'_>) -> Option<Self> {
        // Products of a gradient with a weight: gradients of activations, in the order in which they are made.
        let sizes: Vec<f64> = view
            .nodes()
            .filter(|(_, node)| node.phase == Phase::Backward && node.is_new)
            .filter(|(_, node)| {
                matches!(node.op.as_str(), "matmul" | "linear" | "conv1d" | "conv2d" | "conv3d")
            })
            .filter(|(_, node)| node.inputs.iter().any(|&input| view.parameter(input).is_some()))
            .map(|(_, node)| magnitude(node))
            .collect();
        let finite: Vec<f64> = sizes.iter().copied().take_while(|size| size.is_finite()).collect();
        let first = finite.iter().copied().find(|size| *size > 0.0)?;
        let (at, last) = finite.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let times = last / first;
        // Geometric: the second half of the way multiplies as well as the first.
        let middle = finite[at / 2];
        let is_steady = middle > first && last > middle && (middle / first).ln() > 0.15 * times.ln();
        let layers = view.layers();
        let forward = layers.iter().map(|layer| layer.output_max).fold(0.0, f64::max)
            / layers.first().map_or(1.0, |layer| layer.input_max.max(f64::MIN_POSITIVE));
        // Large activations make large gradients, and are the other cause.
        let is_of_gradients = forward.is_finite() && forward.max(1.0).ln() < 0.5 * times.ln();
        (times >= GROWN && at + 1 >= DEEP && is_steady && is_of_gradients).then_some(Self {
            first,
            last,
            times,
            products: at + 1,
            forward,
        })
    }
}
