//! The logarithm of 0, of a negative number, or of a saturated probability.

use crate::cause::{Cause, Identity, cause};
use crate::evidence::Evidence;
use crate::operators::is_logarithm;
use crate::words;
use denan_finding::Finding;
use denan_finding::number::float;
use denan_record::model::{Phase, Role, TensorSeen};

pub(crate) struct LogOfZero;

cause!(LogOfZero, "log-of-zero");

/// The operation read the exact value at which a logarithm is infinite or undefined.
const EXACT: f64 = 0.93;

impl Cause for LogOfZero {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if !matches!(evidence.broken.phase, Phase::Forward | Phase::Loss) {
            return None;
        }
        let edge = Edge::of(&evidence.executed())?;
        let input = evidence.producer().inputs.first()?;
        let value = edge.reached_by(input)?;
        let call = &evidence.producer().op;
        let place = words::at(evidence.producer());
        let looks_like = if is_probability(input) {
            ", which looks like a saturated probability"
        } else if input.role == Role::Data {
            ", which stands in the data"
        } else {
            ""
        };
        Some(Finding {
            evidence: observations(evidence, input),
            remedies: remedies(evidence, input),
            interventions: vec!["safe-op".to_owned()],
            ..self.finding(EXACT, format!("{call}{place} read {value}{looks_like}"))
        })
    }
}

/// Where a logarithm ends.
struct Edge(f64);

impl Edge {
    fn of(executed: &str) -> Option<Self> {
        match executed {
            "log1p" => Some(Self(-1.0)),
            _ if is_logarithm(executed) => Some(Self(0.0)),
            _ => None,
        }
    }

    /// The value at or beyond the edge, in words.
    fn reached_by(&self, input: &TensorSeen) -> Option<String> {
        let min = input.range.min_opt()?;
        if min < self.0 {
            Some(format!("{}, but is defined above {} only", float(min), float(self.0)))
        } else if min == self.0 {
            Some(format!("an exact {}", float(self.0)))
        } else {
            None
        }
    }
}

/// Whether the values are such as a softmax or a sigmoid makes. The operation before the producer
/// is not on the record, so this is a guess, and worded as one.
fn is_probability(input: &TensorSeen) -> bool {
    let range = &input.range;
    input.role == Role::Activation && range.min == 0.0 && range.max <= 1.0 && range.max > 0.0
}

fn observations(evidence: &Evidence<'_>, input: &TensorSeen) -> Vec<String> {
    let mut seen = vec![evidence.input_in_words(input)];
    if is_probability(input) {
        seen.push("all of it lies between 0 and 1, as the output of a softmax or sigmoid does".to_owned());
    }
    seen.extend(evidence.origin_in_words());
    seen.extend(evidence.path_in_words());
    seen
}

fn remedies(evidence: &Evidence<'_>, input: &TensorSeen) -> Vec<String> {
    let clamp = format!(
        "keep the argument away from 0: {}",
        evidence.code("x.clamp_min(1e-6).log()", "x.clamp(min=1e-6).log()"),
    );
    if is_probability(input) {
        vec![
            format!(
                "work on the logits, where nothing saturates: {}",
                evidence.code(
                    "log_softmax(logits, 1), CrossEntropyLoss, or BinaryCrossEntropyLossConfig::new().with_logits(true)",
                    "log_softmax, cross_entropy or binary_cross_entropy_with_logits",
                ),
            ),
            clamp,
        ]
    } else if input.range.min < 0.0 {
        vec!["find out why the argument is negative: a logarithm has no value there".to_owned(), clamp]
    } else {
        vec![clamp]
    }
}
