//! Division by 0, or by so little that the quotient overflows.

use crate::cause::{Cause, Identity, Names, cause};
use crate::evidence::{Divisor, Evidence};
use crate::operators::{is_counted, is_division, is_power};
use crate::words;
use denan_finding::Finding;
use denan_finding::number::float;
use denan_record::model::{Kind, Phase, Role, TensorSeen};

pub(crate) struct DivisionByZero;

cause!(DivisionByZero, "division-by-zero");

/// The divisor holds an exact 0, or there is nothing to take the mean of.
const EXACT: f64 = 0.93;

/// In a gradient: the forward division was finite or its value masked, so the user's line is the
/// same but the remedy may have to reach further.
const EXACT_IN_GRADIENT: f64 = 0.85;

/// No zero, but the largest numerator over the smallest divisor passes the largest value.
const OVERFLOWS: f64 = 0.8;

/// The divisor passes through 0 without hitting it: the only way a division of such numbers can
/// fail, but the small value itself was not seen.
const CHANGES_SIGN: f64 = 0.5;

impl Cause for DivisionByZero {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        let in_gradient = match evidence.broken.phase {
            Phase::Forward | Phase::Loss => false,
            // A bad loss makes every gradient bad: nothing to be learnt there.
            Phase::Backward if !evidence.broken.loss_is_bad => true,
            _ => return None,
        };
        let (call, executed) = (evidence.call(), evidence.executed());
        // The gradient of a root or logarithm divides too; that is the cause infinite-gradient.
        if in_gradient && !is_division(&call) {
            return None;
        }
        let (confidence, what) = if is_counted(&executed) {
            (EXACT, over_nothing(evidence)?)
        } else {
            match evidence.divisor()? {
                Divisor::Number(number) => (EXACT, (number == 0.0).then(|| by_number(evidence))?),
                Divisor::Tensor(divisor) => by_tensor(evidence, divisor)?,
            }
        };
        let confidence = if in_gradient { confidence.min(EXACT_IN_GRADIENT) } else { confidence };
        let place = words::at(evidence.producer());
        Some(Finding {
            evidence: observations(evidence, in_gradient),
            remedies: remedies(evidence, &executed),
            interventions: vec!["safe-op".to_owned()],
            ..self.finding(confidence, format!("{what}{place}"))
        })
    }
    fn names(&self) -> Names {
        Names::Operation
    }
}

/// A mean over no element, or a spread over a single one.
fn over_nothing(evidence: &Evidence<'_>) -> Option<String> {
    let producer = evidence.producer();
    let input = producer.inputs.first()?;
    let call = &producer.op;
    if input.range.count == 0 {
        return Some(format!("{call} over no element divides 0 by 0"));
    }
    // As many results as values: each is the spread of one value, and divides by 1 - 1.
    let is_of_one = producer.output.range.count == input.range.count && evidence.executed() != "mean";
    is_of_one.then(|| format!("{call} over a single value divides 0 by 0"))
}

fn by_number(evidence: &Evidence<'_>) -> String {
    format!("{} divides by the number 0", evidence.operation_in_words())
}

fn by_tensor(evidence: &Evidence<'_>, divisor: &TensorSeen) -> Option<(f64, String)> {
    let name = evidence.operation_in_words();
    let range = &divisor.range;
    let (min, max) = (range.min_opt()?, range.max_opt()?);
    if range.zeros > 0 {
        let quotient = match evidence.broken.kind {
            Kind::Nan if evidence.producer().inputs.len() > 1 => "divides 0 by 0",
            _ => "divides by an exact 0",
        };
        return Some((EXACT, format!("{name} {quotient}: {} 0", words::values(range.zeros, range.count))));
    }
    let is_positive_only = matches!(evidence.executed().as_str(), "rsqrt");
    if is_positive_only && min < 0.0 {
        return Some((EXACT, format!("{name} takes the root of {}", float(min))));
    }
    let (executed, producer) = (evidence.executed(), evidence.producer());
    let power = if is_power(&executed) { producer.scalar.unwrap_or(-1.0) } else { -1.0 };
    let numerator = if producer.inputs.len() > 1 { producer.inputs[0].range.abs_max() } else { 1.0 };
    let smallest = if min > 0.0 { min } else { -max };
    if smallest > 0.0 && numerator * smallest.powf(power) > evidence.precision().max {
        let what = format!("{name} divides by as little as {}, so that it overflows", float(smallest));
        return Some((OVERFLOWS, what));
    }
    let changes_sign = min < 0.0 && max > 0.0;
    changes_sign.then(|| (CHANGES_SIGN, format!("{name} divides by values that pass through 0")))
}

fn observations(evidence: &Evidence<'_>, in_gradient: bool) -> Vec<String> {
    let mut seen = Vec::new();
    if let Some(suspect) = evidence.suspect() {
        let numerator = evidence.producer().inputs.first().filter(|first| !std::ptr::eq(*first, suspect));
        if let Some(numerator) = numerator {
            seen.push(format!("the numerator is {}", words::tensor(numerator)));
            seen.push(format!("the divisor is {}", words::tensor(suspect)));
        } else {
            seen.push(evidence.input_in_words(suspect));
        }
        if suspect.role == Role::Data {
            seen.push("the divisor stands in the data as it is".to_owned());
        }
    }
    if in_gradient {
        seen.push(
            "the loss itself is finite: the value may be masked forwards, its gradient is not".to_owned(),
        );
    }
    seen.extend(evidence.origin_in_words());
    seen.extend(evidence.path_in_words());
    seen
}

fn remedies(evidence: &Evidence<'_>, executed: &str) -> Vec<String> {
    if is_counted(executed) {
        return vec![
            "skip the step, or take the sum over the count kept at 1 or more".to_owned(),
            "find out why nothing is left: an empty batch, or every target masked away".to_owned(),
        ];
    }
    vec![
        format!(
            "keep the divisor away from 0: {}",
            evidence.code("a / b.clamp_min(1e-6)", "a / b.clamp(min=1e-6)"),
        ),
        "for a divisor of either sign, mask it before the division as well as after it".to_owned(),
        "a standard deviation over one value has no meaning: use more values, or the biased variance"
            .to_owned(),
    ]
}
