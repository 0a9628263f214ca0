//! An adaptive optimizer divides by a second moment near 0.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::{Divisor, Evidence};
use crate::operators::is_adaptive_optimizer;
use denan_finding::Finding;
use denan_finding::number::{float, percent};
use denan_numerics::Summary;
use denan_record::model::{Parameter, ParameterStep, Phase, Step};

pub(crate) struct OptimizerEpsilon;

cause!(OptimizerEpsilon, "optimizer-epsilon");

/// The optimizer's own division read an exact 0.
const DIVISOR_IS_ZERO: f64 = 0.95;

/// The optimizer's own division overflowed over a divisor that is tiny.
const DIVISOR_IS_TINY: f64 = 0.85;

/// A tiny gradient made an update far beyond the rate in the step before the break.
const UPDATE_IS_HUGE: f64 = 0.7;

/// Largest gradient whose square leaves the normal numbers of float32,
/// `sqrt(f32::MIN_POSITIVE)` = 1.08e-19: below it the second moment loses its digits or becomes 0.
const VANISHING_SQUARE: f64 = 1.08e-19;

/// How far an update of Adam may exceed the rate.
///
/// |update| <= rate * (1 - beta1) / sqrt(1 - beta2) = 3.2 * rate for the default betas (Kingma and
/// Ba 2015, section 2.1); beyond ten times the rate the bias correction no longer explains it.
const LARGEST_UPDATE_PER_RATE: f64 = 10.0;

/// Epsilon that engines use when the user sets none: burn 1e-5, PyTorch 1e-8.
const DEFAULT_EPSILON_BURN: f64 = 1e-5;

/// See [`DEFAULT_EPSILON_BURN`].
const DEFAULT_EPSILON_TORCH: f64 = 1e-8;

impl Cause for OptimizerEpsilon {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        match evidence.broken.phase {
            Phase::Optimizer => self.in_division(evidence),
            Phase::Forward | Phase::Loss | Phase::Backward => self.in_last_update(evidence),
            Phase::Input | Phase::Parameter => None,
        }
    }
    fn names(&self) -> Names {
        Names::Setting
    }

    fn explains(&self) -> &'static [Explains] {
        // An optimizer that divides by nothing makes the very updates from which the rate is judged.
        const { &[Explains::from(0.7, &["learning-rate-too-high"])] }
    }
}

impl OptimizerEpsilon {
    /// The break happened inside the optimizer, in its division.
    fn in_division(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        let producer = evidence.producer();
        let is_adaptive = is_adaptive_optimizer(&producer.op);
        let Some(Divisor::Tensor(divisor)) = evidence.divisor() else {
            return None;
        };
        let gradient = gradient_of_producer(evidence);
        // A gradient that was bad before the optimizer saw it has another cause.
        if !is_adaptive || gradient.is_some_and(|gradient| !gradient.is_finite()) {
            return None;
        }
        let largest = producer.inputs.first().map_or(1.0, |seen| seen.range.abs_max());
        let confidence = if divisor.range.zeros > 0 {
            DIVISOR_IS_ZERO
        } else if divisor.range.min > 0.0 && largest / divisor.range.min > evidence.precision().max {
            DIVISOR_IS_TINY
        } else {
            return None;
        };
        let parameter = producer.parameter.as_deref().unwrap_or("a parameter");
        let little = if divisor.range.zeros > 0 {
            "0".to_owned()
        } else {
            format!("as little as {}", float(divisor.range.min))
        };
        let mut observations = vec![evidence.input_in_words(divisor)];
        observations.extend(gradient.map(gradient_in_words));
        if !evidence.broken.loss_is_bad {
            observations.push("loss and gradients of this step are finite".to_owned());
        }
        Some(Finding {
            evidence: observations,
            remedies: remedies(evidence),
            interventions: interventions(),
            ..self.finding(
                confidence,
                format!("{} divides by {little} in its update of {parameter}", producer.op),
            )
        })
    }

    /// The break came one step after an update that no sane epsilon would have let through.
    fn in_last_update(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        let previous = evidence.broken.step.checked_sub(1)?;
        let step = evidence.run.steps.iter().find(|step| step.step == previous)?;
        let rate = step.learning_rate.or(evidence.history.learning_rate).filter(|rate| *rate > 0.0)?;
        let (seen, gradient, update) = huge_update(step, rate)?;
        let name = name(evidence, seen);
        let summary = format!(
            "a vanishing gradient made an update of {} in {name}, {} times the learning rate",
            float(update.abs_max()),
            float((update.abs_max() / rate).round()),
        );
        Some(Finding {
            evidence: vec![
                gradient_in_words(gradient),
                format!("step {previous} updated {name} by up to {}", float(update.abs_max())),
                format!(
                    "an update of Adam exceeds its rate ({}) hardly ever by more than 3 times",
                    float(rate)
                ),
            ],
            remedies: remedies(evidence),
            interventions: interventions(),
            ..self.finding(UPDATE_IS_HUGE, summary)
        })
    }
}

fn huge_update(step: &Step, rate: f64) -> Option<(&ParameterStep, &Summary, &Summary)> {
    step.parameters.iter().find_map(|seen| {
        let (gradient, update) = (seen.gradient.as_ref()?, seen.update.as_ref()?);
        let vanishes = gradient.is_finite() && gradient.abs_max() <= VANISHING_SQUARE;
        let is_huge = update.abs_max() > LARGEST_UPDATE_PER_RATE * rate;
        (vanishes && is_huge).then_some((seen, gradient, update))
    })
}

/// The gradient of the parameter that the producer was updating.
fn gradient_of_producer<'a>(evidence: &Evidence<'a>) -> Option<&'a Summary> {
    let wanted = evidence.producer().parameter.as_deref()?;
    let step = evidence.run.steps.iter().find(|step| step.step == evidence.broken.step)?;
    let seen = step.parameters.iter().find(|seen| name(evidence, seen) == wanted)?;
    seen.gradient.as_ref()
}

/// The parameter's name, or `parameter 3` by its slot.
fn name(evidence: &Evidence<'_>, seen: &ParameterStep) -> String {
    let known = evidence.run.parameters.iter().find(|parameter: &&Parameter| parameter.slot == seen.slot);
    known.and_then(|parameter| parameter.name.clone()).unwrap_or_else(|| format!("parameter {}", seen.slot))
}

fn gradient_in_words(gradient: &Summary) -> String {
    let zeros = gradient.zeros as f64 / gradient.count.max(1) as f64;
    format!(
        "its gradient reaches {} at most, and {} of it is exactly 0",
        float(gradient.abs_max()),
        percent(zeros),
    )
}

fn remedies(evidence: &Evidence<'_>) -> Vec<String> {
    vec![
        format!(
            "raise epsilon: {}",
            evidence.code("AdamConfig::new().with_epsilon(1e-4)", "torch.optim.Adam(…, eps=1e-4)"),
        ),
        format!(
            "do not set epsilon to 0; the default is {} in burn and {} in PyTorch",
            float(DEFAULT_EPSILON_BURN),
            float(DEFAULT_EPSILON_TORCH),
        ),
        "find out why the gradient vanishes: a part that is never used, or dead units".to_owned(),
    ]
}

fn interventions() -> Vec<String> {
    vec!["raise-epsilon".to_owned(), "lower-learning-rate".to_owned()]
}
