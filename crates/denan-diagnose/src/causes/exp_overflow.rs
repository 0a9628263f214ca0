//! The exponential of too large a number.

use crate::cause::{Cause, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::operators::{is_exponential, is_power};
use crate::precision::Precision;
use crate::words;
use denan_finding::Finding;
use denan_finding::number::float;
use denan_record::model::{Operation, Phase, Role, TensorSeen};

pub(crate) struct ExpOverflow;

cause!(ExpOverflow, "exp-overflow");

/// The operation is an exponential and its input is above the point where the type ends.
const ABOVE_THRESHOLD: f64 = 0.93;

/// A fixed power up to a square overflows only for values near the end of the type, which is a
/// matter of those values and not of the power.
const HARMLESS_POWER: f64 = 2.0;

impl Cause for ExpOverflow {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if matches!(evidence.broken.phase, Phase::Input | Phase::Optimizer | Phase::Parameter) {
            return None;
        }
        let producer = evidence.producer();
        let input = producer.inputs.first()?;
        let executed = evidence.executed();
        let precision = Precision::of(&input.dtype);
        let what = if is_exponential(&executed) {
            let largest = argument(&executed, input);
            let threshold = threshold(&executed, precision);
            (largest > threshold).then(|| {
                let (largest, threshold) = (float(largest), float(threshold));
                format!("{executed} of {largest} overflows {}, which ends at {threshold}", input.dtype)
            })?
        } else if is_power(&executed) {
            power(producer, precision)?
        } else {
            return None;
        };
        let place = words::at(producer);
        Some(Finding {
            evidence: observations(evidence, input),
            remedies: remedies(evidence, input),
            interventions: vec!["safe-op".to_owned()],
            ..self.finding(ABOVE_THRESHOLD, format!("{what}{place}"))
        })
    }
    fn names(&self) -> Names {
        Names::Operation
    }
}

/// The largest argument; both ends count for the even and odd functions.
fn argument(executed: &str, input: &TensorSeen) -> f64 {
    match executed {
        "sinh" | "cosh" => input.range.abs_max(),
        _ => input.range.max,
    }
}

/// The largest argument with a finite result.
///
/// `exp` and `expm1` end at ln(max), that is 88.72 in float32 and bfloat16, 11.09 in float16 and
/// 709.8 in float64; `exp2` at log2(max); `sinh` and `cosh` are half an exponential, so they end at
/// ln(2 max).
fn threshold(executed: &str, precision: Precision) -> f64 {
    use std::f64::consts::LN_2;
    match executed {
        "exp2" => precision.ln_max() / LN_2,
        "sinh" | "cosh" => precision.ln_max() + LN_2,
        _ => precision.ln_max(),
    }
}

/// A power that passes the largest value.
fn power(producer: &Operation, precision: Precision) -> Option<String> {
    let base = producer.inputs.first()?.range.abs_max();
    let exponent = match producer.scalar {
        Some(exponent) => exponent,
        None => producer.inputs.get(1)?.range.max,
    };
    let overflows = exponent > HARMLESS_POWER && exponent * base.ln() > precision.ln_max();
    overflows.then(|| {
        let dtype = &producer.inputs[0].dtype;
        format!("{} to the power of {} overflows {dtype}", float(base), float(exponent))
    })
}

fn observations(evidence: &Evidence<'_>, input: &TensorSeen) -> Vec<String> {
    let mut seen = vec![evidence.input_in_words(input)];
    let float32 = Precision::of("float32");
    if Precision::of(&input.dtype).max < float32.max && input.range.max < float32.ln_max() {
        seen.push("the same value fits into float32".to_owned());
    }
    if input.role == Role::Data {
        seen.push("the input stands in the data as it is".to_owned());
    }
    if evidence.history.losses.len() > 1 && evidence.history.loss_growth.is_some_and(|growth| growth < 2.0) {
        seen.push(format!("the loss was calm until then: {}", evidence.history.last_losses_in_words()));
    }
    seen.extend(evidence.origin_in_words());
    seen.extend(evidence.path_in_words());
    seen
}

/// The first remedy is chosen by what happens to the exponential afterwards.
fn remedies(evidence: &Evidence<'_>, input: &TensorSeen) -> Vec<String> {
    let has_log = evidence.trail_has(&["log", "log1p", "log2"]);
    let has_sum = evidence.trail_has(&["sum"]);
    let mut remedies = Vec::new();
    if has_log && has_sum {
        remedies.push(format!(
            "take the largest value out before the sum: {}",
            evidence.code(
                "log_softmax(x, 1), or x - x.clone().max_dim(1) before the exp",
                "torch.logsumexp(x, dim=1)"
            ),
        ));
    } else if has_log {
        remedies.push(format!(
            "log(1 + exp(x)) has a safe form: {}",
            evidence.code("softplus(x, 1.0)", "torch.nn.functional.softplus(x)"),
        ));
    } else if evidence.trail_has(&["div"]) {
        remedies.push(format!(
            "a softmax written by hand has a safe form: {}",
            evidence.code("softmax(x, 1)", "torch.softmax(x, dim=1)"),
        ));
    }
    remedies.push(format!(
        "bound the argument, as for a log-variance: {}",
        evidence.code("x.clamp(-10.0, 10.0).exp()", "x.clamp(-10, 10).exp()"),
    ));
    if input.role == Role::Data {
        remedies.push("normalise the column before it is fed in".to_owned());
    }
    if Precision::of(&input.dtype).max < Precision::of("float32").max {
        remedies.push("compute this operation in float32".to_owned());
    }
    remedies
}
