//! A function is finite at the edge of its domain, and its slope is not.

use crate::cause::{Cause, Identity, Names, cause};
use crate::evidence::{Divisor, Evidence};
use crate::operators::{has_logarithm, is_division, is_logarithm, is_steep};
use crate::words;
use denan_finding::Finding;
use denan_finding::number::float;
use denan_record::model::{Phase, TensorSeen};

pub(crate) struct InfiniteGradient;

cause!(InfiniteGradient, "infinite-gradient");

/// The loss is finite, and a value lies exactly on the edge at which the slope is infinite.
const ON_THE_EDGE: f64 = 0.93;

/// As above, but the function is not one that is known to have such an edge.
const EDGE_OF_UNKNOWN: f64 = 0.6;

/// The function has such an edge, and nothing else in it can fail for the values it read.
const BY_EXCLUSION: f64 = 0.6;

/// No value on the edge, but some so near to it that the slope passes the largest value.
const NEAR_THE_EDGE: f64 = 0.75;

impl Cause for InfiniteGradient {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if evidence.broken.phase != Phase::Backward || evidence.broken.loss_is_bad {
            return None;
        }
        let call = evidence.call();
        // Where the forward call divides, the division itself is the cause.
        if is_division(&call) {
            return None;
        }
        let is_known = is_steep(&call) || is_logarithm(&call);
        let (edge, input) = edge(evidence, &call)?;
        // A logarithm is not finite there itself, which is the cause log-of-zero.
        if has_logarithm(&call) && matches!(edge, Edge::On(_)) {
            return None;
        }
        let confidence = match (&edge, is_known) {
            (Edge::On(_), true) => ON_THE_EDGE,
            (Edge::Near(_), true) => NEAR_THE_EDGE,
            (Edge::Hidden, _) => BY_EXCLUSION,
            (_, false) => EDGE_OF_UNKNOWN,
        };
        let name = &evidence.producer().op;
        let place = words::at(evidence.producer());
        let summary = match edge {
            Edge::On(value) => {
                format!("{name} is finite at {}, but its gradient there is not{place}", float(value))
            }
            Edge::Near(value) => {
                format!("the gradient of {name} overflows for an argument of {}{place}", float(value))
            }
            Edge::Hidden => {
                format!("{name} is finite where it is 0, but its gradient there is not{place}")
            }
        };
        Some(Finding {
            evidence: observations(evidence, input),
            remedies: remedies(evidence, &call),
            interventions: vec!["safe-op".to_owned()],
            ..self.finding(confidence, summary)
        })
    }
    fn names(&self) -> Names {
        Names::Operation
    }
}

/// Where a value lies.
enum Edge {
    /// Exactly where the slope is infinite.
    On(f64),
    /// Next to it.
    Near(f64),
    /// On it by exclusion of everything else.
    Hidden,
}

/// The input on the edge of the call's domain.
///
/// Engines compute a slope in their own ways (`x^-0.5`, `1 / (2 sqrt x)`, `1 / sqrt(1 - x^2)`), so
/// any input of the operation that was carried out may show it.
fn edge<'a>(evidence: &Evidence<'a>, call: &str) -> Option<(Edge, &'a TensorSeen)> {
    let inputs = &evidence.producer().inputs;
    let is_arc = matches!(call, "acos" | "asin");
    if is_arc || call == "acosh" {
        let on_one = inputs.iter().find(|seen| seen.range.abs_max() == 1.0);
        let value = |seen: &TensorSeen| if seen.range.max == 1.0 { 1.0 } else { -1.0 };
        if let Some(seen) = on_one {
            return Some((Edge::On(value(seen)), seen));
        }
    }
    let divisor = match evidence.divisor() {
        Some(Divisor::Tensor(seen)) => Some(seen),
        _ => None,
    };
    // Without a divisor the engine carries out the gradient in one operation, which reads what the
    // call read; a product or sum beside it would read zeros as well, and mean nothing by it.
    let is_whole_gradient = evidence.executed() == call && (is_steep(call) || is_logarithm(call));
    let whole = || inputs.first().filter(|_| is_whole_gradient);
    if let Some(seen) = divisor.or_else(whole).filter(|seen| seen.range.zeros > 0) {
        // A divisor of 0 inside the gradient of an arc function is its 1 - x^2.
        let at = if is_arc { 1.0 } else { 0.0 };
        return Some((Edge::On(at), seen));
    }
    let is_near = |seen: &&TensorSeen| {
        let power = evidence.producer().scalar.filter(|power| *power < 0.0).unwrap_or(-1.0);
        seen.range.min > 0.0 && seen.range.min.powf(power) > evidence.precision().max
    };
    if let Some(seen) = divisor.filter(is_near) {
        return Some((Edge::Near(seen.range.min), seen));
    }
    // The gradients of a spread and of a distance are 0/0 where all values agree, which the figures
    // of the whole tensor do not show; nothing else in them can fail for values of this size.
    let is_ordinary = |seen: &&TensorSeen| seen.range.abs_max() < evidence.precision().sqrt_max();
    let is_spread = is_whole_gradient && matches!(call, "std" | "norm" | "cdist" | "hypot");
    inputs.first().filter(is_ordinary).filter(|_| is_spread).map(|seen| (Edge::Hidden, seen))
}

fn observations(evidence: &Evidence<'_>, input: &TensorSeen) -> Vec<String> {
    let mut seen = vec![evidence.input_in_words(input)];
    match evidence.history.losses.last() {
        Some((step, loss)) if *step == evidence.broken.step => {
            seen.push(format!("the loss of this step is finite: {}", float(*loss)));
        }
        _ => seen.push("the loss of this step is finite".to_owned()),
    }
    seen.extend(evidence.origin_in_words());
    seen.extend(evidence.path_in_words());
    seen
}

fn remedies(evidence: &Evidence<'_>, call: &str) -> Vec<String> {
    let inside = match call {
        "acos" | "asin" => format!(
            "keep the argument off the edge: {}",
            evidence.code("x.clamp(-1.0 + 1e-6, 1.0 - 1e-6)", "x.clamp(-1 + 1e-6, 1 - 1e-6)"),
        ),
        _ if is_logarithm(call) => format!(
            "clamp before the logarithm: {}",
            evidence.code("x.clamp_min(1e-6).log()", "x.clamp(min=1e-6).log()"),
        ),
        _ => format!(
            "add a little inside the root: {}",
            evidence.code("(x + 1e-12).sqrt()", "(x + 1e-12).sqrt()"),
        ),
    };
    vec![
        inside,
        "if a mask selects around the value, mask the input of the function as well as its output".to_owned(),
    ]
}
