//! Weights that are too large, too small or all the same when the training begins.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::evidence::view::Layer;
use crate::facts::fans;
use crate::words;
use denan_finding::Finding;
use denan_finding::number::{counted, float};
use denan_record::model::Phase;

pub(crate) struct BadInitialization;

cause!(BadInitialization, "bad-initialization");

/// How many times the standard deviation of Kaiming's rule, sqrt(2 / fan_in) (He et al. 2015), is too large.
///
/// The usual rules (LeCun, Xavier, Kaiming, orthogonal) lie within a factor of 2.5 of each other; every layer
/// multiplies the variance of what it gets by the square of this.
const TOO_LARGE: f64 = 3.0;

/// How small a part of it is too small: such layers put out next to nothing.
const TOO_SMALL: f64 = 0.02;

/// Fewer inputs than these make the rule meaningless.
const LEAST_FAN_IN: u64 = 4;

/// Weights beyond the rule, values that grow through the layers in the first step, and a break by size.
const WEIGHTS_AND_GROWTH: f64 = 0.94;

/// Weights beyond the rule and a break by size, soon.
const WEIGHTS_ALONE: f64 = 0.8;

/// Steps after which the first weights are no longer to blame by themselves.
const SOON: u64 = 100;

/// Growth of the largest value through a layer that a layer of fitting weights hardly shows.
const GROWS: f64 = 3.0;

impl Cause for BadInitialization {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if matches!(evidence.broken.phase, Phase::Input | Phase::Parameter) || evidence.broken.step > SOON {
            return None;
        }
        let misfits = misfits(evidence);
        let worst = misfits.iter().max_by(|a, b| a.badness().total_cmp(&b.badness()))?;
        let is_large = worst.times >= TOO_LARGE;
        // Large weights break by size. Small or constant ones leave nothing to divide by or to take a log of.
        if is_large && !evidence.blew_up() && !overflows_at_once(evidence) {
            return None;
        }
        if !is_large && evidence.blew_up() {
            return None;
        }
        let layers = evidence.first().map(|view| view.layers()).unwrap_or_default();
        let grows = layers.iter().any(|layer| {
            layer.slot == Some(worst.slot)
                && layer.output_max >= GROWS * layer.input_max.max(f64::MIN_POSITIVE)
        });
        let confidence = match (is_large, grows) {
            (true, true) => WEIGHTS_AND_GROWTH,
            (true, false) => WEIGHTS_ALONE,
            _ => WEIGHTS_ALONE - 0.2,
        };
        let name = evidence.parameter_name(worst.slot);
        let mut observations = vec![format!(
            "{name} began with a standard deviation of {}; sqrt(2 / {}) = {} fits its fan-in",
            float(three_digits(worst.std)),
            worst.fan_in,
            float(three_digits(worst.fitting)),
        )];
        if misfits.len() > 1 {
            observations
                .push(format!("so did {}", counted(misfits.len() as u64 - 1, "other layer", "other layers")));
        }
        observations.extend(growth_in_words(&layers));
        let losses = evidence.history.losses_before_break();
        observations.push(losses.unwrap_or_else(|| format!("it broke at step {}", evidence.broken.step)));
        let how = match worst.times {
            _ if worst.std == 0.0 => "begins with one value everywhere".to_owned(),
            times if times >= TOO_LARGE => {
                format!("begins with weights {} times too large", float(words::two_digits(times)))
            }
            times => format!("begins with weights {} times too small", float(words::two_digits(1.0 / times))),
        };
        Some(Finding {
            evidence: observations,
            remedies: vec![
                format!(
                    "use the initialiser that fits: {}",
                    evidence.code(
                        "Initializer::KaimingNormal { gain: 2.0_f64.sqrt(), fan_out_only: false } (XavierNormal for tanh)",
                        "torch.nn.init.kaiming_normal_(weight) (xavier_normal_ for tanh)",
                    ),
                ),
                "for a convolution: normal with std = sqrt(2 / (kernel height * width * output channels))".to_owned(),
            ],
            interventions: vec!["reinitialize".to_owned()],
            ..self.finding(confidence, format!("{name} {how} for its fan-in of {}", worst.fan_in))
        })
    }

    fn names(&self) -> Names {
        Names::State
    }

    fn explains(&self) -> &'static [Explains] {
        const {
            &[Explains::from(
                0.75,
                &[
                    "learning-rate-too-high",
                    "exploding-activations",
                    "exploding-gradients",
                    "exp-overflow",
                    "log-of-zero",
                    "division-by-zero",
                    "infinite-gradient",
                    "weight-growth",
                    "tiny-batch-norm",
                ],
            )]
        }
    }
}

/// A weight that does not fit its fan-in.
struct Misfit {
    slot: u32,
    fan_in: u64,
    std: f64,
    fitting: f64,
    times: f64,
}

impl Misfit {
    fn badness(&self) -> f64 {
        if self.times > 0.0 { self.times.ln().abs() } else { f64::MAX }
    }
}

/// Slots of the weights that do not fit.
pub(crate) fn misfit_slots(evidence: &Evidence<'_>) -> Vec<u32> {
    misfits(evidence).iter().map(|misfit| misfit.slot).collect()
}

fn misfits(evidence: &Evidence<'_>) -> Vec<Misfit> {
    let layers = evidence.first().or(evidence.breaking()).map(|view| view.layers()).unwrap_or_default();
    let is_weight = |slot: u32| layers.iter().any(|layer| layer.slot == Some(slot));
    let weights = evidence.run.parameters.iter().filter(|parameter| is_weight(parameter.slot));
    weights
        .filter_map(|parameter| {
            let (fan_in, _) = fans(evidence.run, parameter).filter(|(fan_in, _)| *fan_in >= LEAST_FAN_IN)?;
            let initial = parameter.initial.filter(|initial| initial.is_finite() && initial.count > 1)?;
            let (std, fitting) = (initial.std(), (2.0 / fan_in as f64).sqrt());
            // A last layer of zeros is a choice (it begins with an even guess).
            if initial.abs_max() == 0.0 {
                return None;
            }
            // A constant layer is as large as its value.
            let times = if std == 0.0 { initial.abs_max() / fitting } else { std / fitting };
            (times >= TOO_LARGE || times <= TOO_SMALL).then_some(Misfit {
                slot: parameter.slot,
                fan_in,
                std,
                fitting,
                times,
            })
        })
        .collect()
}

/// Whether the very first step overflowed, before any update.
fn overflows_at_once(evidence: &Evidence<'_>) -> bool {
    evidence.broken.step <= 1 && evidence.made_infinity()
}

fn growth_in_words(layers: &[Layer]) -> Option<String> {
    let (first, last) = (layers.first()?, layers.last()?);
    (last.output_max > GROWS * first.input_max && layers.len() > 1).then(|| {
        format!(
            "in the first step values grow from {} to {} through {} layers",
            float(words::two_digits(first.input_max)),
            float(words::two_digits(last.output_max)),
            layers.len(),
        )
    })
}

fn three_digits(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}
