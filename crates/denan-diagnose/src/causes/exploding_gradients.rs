//! Gradients grow from layer to layer, or from time step to time step, on their way back.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::evidence::view::{Index, Layer, View, magnitude};
use crate::words;
use denan_finding::Finding;
use denan_finding::number::float;
use denan_record::model::Phase;
use std::collections::BTreeMap;

pub(crate) struct ExplodingGradients;

cause!(ExplodingGradients, "exploding-gradients");

/// Growth on the way back that no ordinary network shows.
const GROWN: f64 = 1e3;

/// The same through time, where each step adds to the gradient, so that it grows a little in any case.
const GROWN_IN_TIME: f64 = 100.0;

/// Products with weights on the way back below which there is nothing to grow through.
const DEEP: usize = 6;

/// Time steps from which a growth through time is judged.
const LONG: usize = 16;

/// A gradient overflowed under a finite loss, after steady growth.
const OVERFLOWED: f64 = 0.94;

/// Gradients grew on their way back through weights that no update had spoilt, and the update they made destroyed
/// them.
const DESTROYED: f64 = 0.9;

/// The same, but updates before may have made the weights so.
const GROWN_LATER: f64 = 0.7;

/// Growth through time of a gradient that a small update has raised to the skies.
const GROWN_AT_A_CLIFF: f64 = 10.0;

/// Gradient norm over that of the step before, in between which only a small update lay.
const CLIFF: f64 = 100.0;

/// An update of a tenth of the weights is no small one any more; a healthy one is a hundredth of that.
const SMALL_UPDATE: f64 = 0.1;

/// Gradients that grow through time, at a cliff.
const AT_A_CLIFF: f64 = 0.85;

/// An update of less than the weights leaves something of the network as it was.
const MILD_UPDATE: f64 = 1.0;

/// Growth in the first step that speaks for the network rather than for the updates.
const FROM_THE_START: f64 = 30.0;

/// Growth of the gradient norm over its early values that goes with it.
const NORM_GROWN: f64 = 100.0;

impl Cause for ExplodingGradients {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        let broken = evidence.broken;
        let in_gradient = broken.phase == Phase::Backward && !broken.loss_is_bad;
        let mut cliff = None;
        let growth = if in_gradient {
            Growth::of(evidence.breaking()?)?
        } else {
            if !evidence.blew_up() || matches!(broken.phase, Phase::Input | Phase::Parameter) {
                return None;
            }
            let before = evidence.before()?;
            Growth::of(before).or_else(|| {
                cliff = cliff_of(evidence);
                Growth::of_any(before)
                    .filter(|growth| cliff.is_some() && growth.is_in_time && growth.times >= GROWN_AT_A_CLIFF)
            })?
        };
        let norms = evidence.history.gradient_growth.is_some_and(|growth| growth >= NORM_GROWN);
        // What was there in the first step no update has made.
        let from_the_start =
            evidence.first().and_then(Growth::of_any).is_some_and(|growth| growth.times >= FROM_THE_START);
        let not_of_updates = from_the_start || weights_were_sane(evidence);
        let confidence = match (in_gradient, not_of_updates, norms) {
            _ if cliff.is_some() => AT_A_CLIFF,
            (true, ..) => OVERFLOWED,
            (false, true, true) => DESTROYED,
            (false, true, false) => DESTROYED - 0.1,
            (false, false, _) => GROWN_LATER,
        };
        let step = if in_gradient { broken.step } else { broken.step - 1 };
        let mut observations = vec![format!(
            "in step {step} gradients grew from {} to {} on their way back through {} products",
            float(words::two_digits(growth.first)),
            float(words::two_digits(growth.last)),
            growth.products,
        )];
        observations.extend(cliff.map(|cliff| {
            format!(
                "from the step before, the norm of all gradients went from {} to {}, though the update in between was only {} of the weights",
                float(words::two_digits(cliff.before)),
                float(words::two_digits(cliff.after)),
                float(words::two_digits(cliff.update)),
            )
        }));
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

/// Whether all updates before that of the last step were mild.
fn weights_were_sane(evidence: &Evidence<'_>) -> bool {
    let updates = &evidence.history.updates;
    let before = updates.iter().filter(|update| update.step + 1 < evidence.broken.step);
    let mut seen = before.peekable();
    seen.peek().is_some() && seen.all(|update| update.value < MILD_UPDATE)
}

/// A gradient that a small change of the weights multiplies.
struct Cliff {
    before: f64,
    after: f64,
    /// The update between the two, in units of the weights.
    update: f64,
}

/// Whether the last step before the break stood at a cliff: no update had been large, and still the gradient leapt.
///
/// A weight that is applied in each of many time steps enters with a power of their number, so that the loss has walls
/// at which a small step meets an enormous gradient (Pascanu, Mikolov and Bengio 2013, "On the difficulty of training
/// recurrent neural networks"). It is the step down from there that destroys the weights, which clipping prevents. Of a
/// rate that is too high the updates are large before the gradients are.
fn cliff_of(evidence: &Evidence<'_>) -> Option<Cliff> {
    let step = evidence.broken.step.checked_sub(1)?;
    let norm = |of: u64| {
        let found = evidence.run.steps.iter().find(|found| found.step == of)?;
        found.gradient_norm.filter(|norm| norm.is_finite())
    };
    let (before, after) = (norm(step.checked_sub(1)?)?, norm(step)?);
    let earlier = || evidence.history.updates.iter().filter(|update| update.step < step);
    let update = earlier().find(|update| update.step + 1 == step)?.value;
    let all_small = earlier().all(|update| update.value < SMALL_UPDATE);
    (all_small && before > 0.0 && after >= CLIFF * before).then_some(Cliff { before, after, update })
}

/// Growth of the largest gradient on its way back.
struct Growth {
    first: f64,
    last: f64,
    times: f64,
    products: usize,
    /// Growth of the largest value on the way forward.
    forward: f64,
    /// From one time step to the one before it, with the same weight.
    is_in_time: bool,
}

impl Growth {
    /// Growth that is large enough to be a cause.
    fn of(view: &View<'_>) -> Option<Self> {
        Self::of_any(view).filter(|growth| growth.excess() >= 1.0)
    }

    /// Any steady growth over many products.
    fn of_any(view: &View<'_>) -> Option<Self> {
        // Products of a gradient with a weight: gradients of activations, in the order in which they are made.
        let products: Vec<(Index, f64)> = view
            .nodes()
            .filter(|(_, node)| node.phase == Phase::Backward && node.is_new)
            .filter(|(_, node)| {
                matches!(node.op.as_str(), "matmul" | "linear" | "conv1d" | "conv2d" | "conv3d")
            })
            .filter_map(|(_, node)| {
                let weight = node.inputs.iter().find_map(|&input| view.parameter(input))?;
                Some((weight, magnitude(node)))
            })
            .collect();
        let all: Vec<f64> = products.iter().map(|(_, size)| *size).collect();
        let in_layers = Self::through(view, &all, false);
        // Through time like is compared with like: the products with one weight, once for each time step.
        let mut weights: Vec<Index> = products.iter().map(|(weight, _)| *weight).collect();
        weights.sort_unstable();
        weights.dedup();
        let in_time = weights.into_iter().filter_map(|weight| {
            let own = products.iter().filter(|(of, _)| *of == weight);
            let own: Vec<f64> = own.map(|(_, size)| *size).collect();
            Self::through(view, &own, true).filter(|_| own.len() >= LONG)
        });
        // Where time goes on by arithmetic alone: the same operation of the backward pass, again and again.
        let mut series: BTreeMap<(&str, &[u64]), Vec<f64>> = BTreeMap::new();
        for (_, node) in view.nodes().filter(|(_, node)| node.phase == Phase::Backward && node.is_new) {
            if matches!(node.op.as_str(), "mul" | "div" | "matmul") && node.scalar.is_none() {
                series.entry((node.call.as_deref().unwrap_or(&node.op), &node.shape)).or_default().push(magnitude(node));
            }
        }
        let long = series.into_values().filter(|sizes| sizes.len() >= LONG);
        let by_arithmetic = long.filter_map(|sizes| Self::through(view, &sizes, false));
        in_layers.into_iter().chain(in_time).chain(by_arithmetic).max_by(|a, b| a.excess().total_cmp(&b.excess()))
    }

    /// Growth over what counts as a cause.
    fn excess(&self) -> f64 {
        self.times / if self.is_in_time { GROWN_IN_TIME } else { GROWN }
    }

    /// Growth over these sizes.
    fn through(view: &View<'_>, sizes: &[f64], is_in_time: bool) -> Option<Self> {
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
        // Large activations of a deep network make large gradients, and are the other cause. In a recurrent one
        // both grow by the same factor in each step.
        let is_of_gradients = forward.is_finite() && forward.max(1.0).ln() < 0.5 * times.ln();
        (at + 1 >= DEEP && is_steady && (is_of_gradients || is_recurrent(&layers))).then_some(Self {
            first,
            last,
            times,
            products: at + 1,
            forward,
            is_in_time,
        })
    }
}

/// Whether one layer is called again and again.
fn is_recurrent(layers: &[Layer]) -> bool {
    layers.iter().any(|layer| layers.iter().filter(|other| other.slot == layer.slot).count() >= DEEP)
}
