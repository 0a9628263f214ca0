//! Weights drift upwards, step by small step, until something overflows.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::causes::exploding_activations::grown_since_the_start;
use crate::evidence::Evidence;
use crate::evidence::course::RUN_AWAY;
use crate::evidence::view::{Index, View};
use crate::operators::{is_linear, plain};
use crate::words;
use denan_finding::Finding;
use denan_finding::number::float;
use denan_record::model::{Kind, Parameter, Phase, Step};

pub(crate) struct WeightGrowth;

cause!(WeightGrowth, "weight-growth");

/// Growth over the training of a parameter that the overflowing operation reads itself: an exponent, a scale. What
/// overflows is exponential in it, or a product of several such.
const GROWN: f64 = 1.4;

/// Operations between such a parameter and the operation.
const STEPS_TO_PARAMETER: usize = 8;

/// Fewer steps than these are no drift.
const LONG: usize = 20;

/// Share of the tenths of the training in which the norm has to rise.
const STEADY: f64 = 0.8;

/// The largest share of the norm that a drifting step adds; more is a runaway, not a drift.
const SMALL_STEP: f64 = 0.25;

/// Steady growth at small steps over the whole training.
const DRIFTS: f64 = 0.9;

/// Growth of what an operation reads from one step to the next that no drift makes.
const JUMP: f64 = 3.0;

/// The same for the norm of all weights: through many layers a little each multiplies.
const GROWN_TOGETHER: f64 = 1.05;

/// Magnitude below which nothing is near an overflow, squared and exponentiated values aside, which become infinite
/// and not NaN.
const NO_OVERFLOW: f64 = 1e6;

/// The parameter began near 0, so that growth by itself means less.
const FROM_NOTHING: f64 = 0.75;

/// A loss without a lower bound, which falls as the weights grow, up to the overflow.
const BOTTOMLESS: f64 = 0.9;

/// Growth of the norm of all weights that goes with it.
const WEIGHTS_GROWN: f64 = 10.0;

/// Last losses of which each has to be lower than the one before.
const FALLS_IN_A_ROW: usize = 5;

impl Cause for WeightGrowth {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if matches!(evidence.broken.phase, Phase::Input | Phase::Parameter) {
            return None;
        }
        if let Some((growth, layers)) = grown_since_the_start(evidence)
            && !evidence.history.has_run_away()
            && let Some(drift) = Drift::of_all(evidence)
        {
            let through_layers = format!(
                "through {layers} layers values grow {}-fold by now; in the first step they did not",
                float(words::two_digits(growth))
            );
            return Some(self.finding_of(evidence, "the weights", &drift, Some(through_layers)));
        }
        if let Some(descent) = Descent::of(evidence) {
            return Some(self.finding_of_descent(evidence, &descent));
        }
        if jumped(evidence) || is_outside_of_domain(evidence) {
            return None;
        }
        let drifts = evidence
            .run
            .parameters
            .iter()
            .filter_map(|parameter| Some((parameter.slot, Drift::of(evidence, parameter)?)));
        let at_place = read_at_place(evidence);
        let (slot, drift) = drifts
            .filter(|(slot, _)| at_place.contains(slot))
            .max_by(|(_, a), (_, b)| a.times.total_cmp(&b.times))?;
        Some(self.finding_of(evidence, &evidence.parameter_name(slot), &drift, None))
    }

    fn names(&self) -> Names {
        Names::Setting
    }

    fn explains(&self) -> &'static [Explains] {
        const {
            &[Explains::from(
                0.85,
                &[
                    "exploding-activations",
                    "exp-overflow",
                    "learning-rate-too-high",
                    "log-of-zero",
                    "division-by-zero",
                    "infinite-gradient",
                ],
            )]
        }
    }
}

/// A loss that falls below 0 without end, while the weights grow.
///
/// Steps that are too large for the loss surface make the loss rise. Where it falls up to the overflow, each update did
/// what the gradient promised: the loss has no minimum (a critic that nothing bounds, a sign that is wrong), and smaller
/// steps would only take longer to the same end. What such a loss grows by are the weights.
struct Descent {
    first_loss: f64,
    last_loss: f64,
    first_norm: f64,
    last_norm: f64,
}

impl Descent {
    fn of(evidence: &Evidence<'_>) -> Option<Self> {
        let history = &evidence.history;
        let losses: Vec<f64> = history.losses.iter().map(|(_, loss)| *loss).collect();
        let (first_loss, last_loss) = (*losses.first()?, *losses.last()?);
        let is_bottomless = losses.len() >= LONG
            && last_loss < 0.0
            && history.loss_growth.is_some_and(|growth| growth >= RUN_AWAY)
            && losses[losses.len() - FALLS_IN_A_ROW - 1..].windows(2).all(|pair| pair[1] < pair[0]);
        let (tenths, falls) = changes_of_tenths(&losses, |earlier, later| later < earlier);
        // What is no sum or product overflows for reasons of its own: the exponential of a variance that shrinks.
        let is_of_products = is_linear(&evidence.executed()) && !evidence.suspect_is_data();
        let before = evidence.run.steps.iter().filter(|step| step.step < evidence.broken.step);
        let norms: Vec<f64> =
            before.filter_map(|step| step.weight_norm.filter(|norm| norm.is_finite())).collect();
        let (first_norm, last_norm) = (*norms.first()?, *norms.last()?);
        let (norm_tenths, rises) = changes_of_tenths(&norms, |earlier, later| later > earlier);
        let is_descent = is_bottomless
            && falls as f64 >= STEADY * tenths as f64
            && is_of_products
            && rises as f64 >= STEADY * norm_tenths as f64
            && last_norm >= WEIGHTS_GROWN * first_norm;
        is_descent.then_some(Self { first_loss, last_loss, first_norm, last_norm })
    }
}

/// Pairs of neighbours among the tenths of a training, and those of them that change in a way.
fn changes_of_tenths(values: &[f64], changes: impl Fn(f64, f64) -> bool) -> (usize, usize) {
    // Single steps may go back; the tenths of the training tell.
    let tenths: Vec<f64> = values
        .chunks(values.len().div_ceil(10).max(1))
        .map(|part| part.iter().sum::<f64>() / part.len() as f64)
        .collect();
    let changed = tenths.windows(2).filter(|pair| changes(pair[0], pair[1])).count();
    (tenths.len().saturating_sub(1), changed)
}

/// Slots of the parameters that the operation which overflowed, or whose gradient did, reads without a layer in
/// between.
fn read_at_place(evidence: &Evidence<'_>) -> Vec<u32> {
    let Some(view) = evidence.breaking() else { return Vec::new() };
    let (call, place) = (evidence.call(), words::user_place(evidence.producer()));
    let calls = view.forward().filter(|(index, node)| {
        let name = node.call.as_deref().unwrap_or(&node.op);
        (plain(name) == call || plain(&node.op) == call) && view.place(*index) == place
    });
    let mut slots = Vec::new();
    for (index, _) in calls {
        let mut near = vec![index];
        for _ in 0..STEPS_TO_PARAMETER {
            let inputs = near
                .iter()
                // A product of data with a weight is a linear model, in which the weight is all there is.
                .filter(|&&at| {
                    let node = view.node(at);
                    !is_product(&node.op) || node.inputs.iter().any(|&input| view.is_of_data(input))
                })
                .flat_map(|&at| &view.node(at).inputs);
            let mut next: Vec<Index> = inputs.copied().collect();
            next.sort_unstable();
            next.dedup();
            // What is only added bounds nothing.
            let scales = |&at: &Index| {
                view.readers(at).any(|reader| !matches!(view.node(reader).op.as_str(), "add" | "sub"))
            };
            slots.extend(next.iter().filter(|at| scales(at)).filter_map(|&at| view.node(at).slot));
            near = next;
        }
    }
    slots.sort_unstable();
    slots.dedup();
    slots
}

/// Whether an operation mixes a row's values by weights.
fn is_product(op: &str) -> bool {
    op == "matmul" || op == "linear" || op.starts_with("conv")
}

impl WeightGrowth {
    fn finding_of_descent(&self, evidence: &Evidence<'_>, descent: &Descent) -> Finding {
        let two = |value: f64| float(words::two_digits(value));
        let mut observations = vec![
            format!(
                "the loss fell from {} to {} and never turned: it has no lower bound",
                two(descent.first_loss),
                two(descent.last_loss),
            ),
            format!(
                "the norm of all weights rose with it, from {} to {}",
                two(descent.first_norm),
                two(descent.last_norm),
            ),
        ];
        let producer = evidence.producer();
        observations.extend(producer.inputs.iter().map(|input| evidence.input_in_words(input)));
        observations.extend(evidence.history.losses_before_break());
        Finding {
            evidence: observations,
            remedies: vec![
                format!(
                    "bound the weights after each step, or penalise their gradient: {}",
                    evidence.code(
                        "weight.clamp(-c, c)",
                        "with torch.no_grad(): weight.clamp_(-c, c), or torch.nn.utils.parametrizations.spectral_norm",
                    ),
                ),
                "if the loss should have a minimum, look for a sign that is wrong".to_owned(),
            ],
            interventions: vec!["weight-decay".to_owned(), "lower-learning-rate".to_owned()],
            ..self.finding(
                BOTTOMLESS,
                format!(
                    "the weights grew {}-fold after a loss that falls without end, and nothing held them back",
                    two(descent.last_norm / descent.first_norm),
                ),
            )
        }
    }

    fn finding_of(
        &self,
        evidence: &Evidence<'_>,
        name: &str,
        drift: &Drift,
        through_layers: Option<String>,
    ) -> Finding {
        let confidence = if drift.is_from_nothing { FROM_NOTHING } else { DRIFTS };
        let mut observations = vec![
            format!(
                "the norm of {name} went from {} to {} over {} steps, and rose in {} of {} tenths of them",
                float(words::two_digits(drift.first)),
                float(words::two_digits(drift.last)),
                evidence.broken.step,
                drift.rises,
                drift.tenths,
            ),
            format!(
                "no single step changed it by more than {} %",
                float((drift.largest_step * 100.0).round())
            ),
        ];
        let held = if through_layers.is_some() { "them" } else { "it" };
        observations.extend(through_layers);
        let producer = evidence.producer();
        observations.extend(producer.inputs.iter().map(|input| evidence.input_in_words(input)));
        observations.extend(evidence.history.losses_before_break());
        Finding {
            evidence: observations,
            remedies: vec![
                format!(
                    "regularise: {}",
                    evidence.code(
                        "AdamWConfig::new().with_weight_decay(0.01), or SgdConfig::new().with_weight_decay(…)",
                        "torch.optim.AdamW(…, weight_decay=0.01)",
                    ),
                ),
                "bound what may only grow: clamp a scale or its logarithm".to_owned(),
            ],
            interventions: vec!["weight-decay".to_owned(), "lower-learning-rate".to_owned()],
            ..self.finding(
                confidence,
                format!(
                    "{name} grew {}-fold in small steps, and nothing held {held} back",
                    float(words::two_digits(drift.times)),
                ),
            )
        }
    }
}

/// Whether the operation is not defined for what it read (a root or power of a negative number), which is no matter of
/// size.
fn is_outside_of_domain(evidence: &Evidence<'_>) -> bool {
    let inputs = &evidence.producer().inputs;
    evidence.broken.phase == Phase::Forward
        && evidence.broken.kind == Kind::Nan
        && inputs.iter().all(|input| input.range.abs_max() < NO_OVERFLOW)
}

/// Whether what the call read is far beyond what it read one step before: that is the doing of a sample or of a
/// single update, and of no drift.
fn jumped(evidence: &Evidence<'_>) -> bool {
    let (Some(view), Some(before)) = (evidence.breaking(), evidence.before()) else { return false };
    let (call, place) = (evidence.call(), words::user_place(evidence.producer()));
    let size = |view: &View<'_>| {
        let calls = view.forward().filter(|(index, node)| {
            (plain(&node.op) == call || node.call.as_deref().is_some_and(|name| plain(name) == call))
                && view.place(*index) == place
        });
        let inputs =
            calls.flat_map(|(_, node)| node.inputs.iter().map(|&input| view.node(input).range.abs_max()));
        inputs.fold(0.0, f64::max)
    };
    let (now, earlier) = (size(view), size(before));
    earlier > 0.0 && now > JUMP * earlier
}

/// How a norm went.
struct Drift {
    first: f64,
    last: f64,
    times: f64,
    tenths: usize,
    rises: usize,
    largest_step: f64,
    is_from_nothing: bool,
}

impl Drift {
    /// Of one parameter.
    fn of(evidence: &Evidence<'_>, parameter: &Parameter) -> Option<Self> {
        let start = parameter.initial.filter(|initial| initial.is_finite()).map(|initial| initial.l2_norm());
        let norm = |step: &Step| {
            let own = step.parameters.iter().find(|seen| seen.slot == parameter.slot)?;
            Some(own.value.filter(|value| value.is_finite())?.l2_norm())
        };
        Self::through(evidence, start, norm, parameter.shape.iter().product(), GROWN)
    }

    /// Of all parameters together.
    fn of_all(evidence: &Evidence<'_>) -> Option<Self> {
        let elements = evidence.run.parameters.iter().map(|parameter| parameter.shape.iter().product::<u64>());
        let norm = |step: &Step| step.weight_norm.filter(|norm| norm.is_finite());
        Self::through(evidence, None, norm, elements.sum(), GROWN_TOGETHER)
    }

    fn through(
        evidence: &Evidence<'_>,
        start: Option<f64>,
        norm: impl Fn(&Step) -> Option<f64>,
        elements: u64,
        least: f64,
    ) -> Option<Self> {
        let before = evidence.run.steps.iter().filter(|step| step.step < evidence.broken.step);
        let norms: Vec<(u64, f64)> = before.filter_map(|step| Some((step.step, norm(step)?))).collect();
        if norms.len() < LONG {
            return None;
        }
        let (first, last) = (start.unwrap_or(norms[0].1), norms.last()?.1);
        let pairs = norms.windows(2);
        let sizes: Vec<f64> = norms.iter().map(|(_, norm)| *norm).collect();
        let (tenths, rises) = changes_of_tenths(&sizes, |earlier, later| later > earlier);
        // Steps that are thinned out lie further apart.
        let largest_step = pairs
            .map(|pair| {
                let steps = (pair[1].0 - pair[0].0).max(1) as f64;
                ((pair[1].1 / pair[0].1.max(f64::MIN_POSITIVE)).powf(1.0 / steps) - 1.0).abs()
            })
            .fold(0.0, f64::max);
        let elements = elements.max(1) as f64;
        let is_from_nothing = first / elements.sqrt() < 1e-3;
        let times = last / first.max(1e-3 * elements.sqrt());
        let is_drift =
            times >= least && rises as f64 >= STEADY * tenths as f64 && largest_step <= SMALL_STEP;
        is_drift.then_some(Self {
            first,
            last,
            times,
            tenths,
            rises,
            largest_step,
            is_from_nothing,
        })
    }
}
