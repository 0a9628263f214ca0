//! The logarithm of 0, of a negative number, or of a saturated probability.

use crate::cause::{Cause, Identity, Names, cause};
use crate::evidence::{Divisor, Evidence};
use crate::operators::{has_logarithm, is_logarithm, is_saturating, plain};
use crate::words;
use denan_finding::Finding;
use denan_finding::number::float;
use denan_record::model::{Phase, Role, TensorSeen};

pub(crate) struct LogOfZero;

cause!(LogOfZero, "log-of-zero");

/// The operation read the exact value at which a logarithm is infinite or undefined.
const EXACT: f64 = 0.93;

/// As above, but the loss did not see the value: it was masked or not selected, and came back with
/// the gradient.
const EXACT_IN_GRADIENT: f64 = 0.9;

impl Cause for LogOfZero {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        match evidence.broken.phase {
            Phase::Forward | Phase::Loss => self.forwards(evidence),
            // A bad loss makes every gradient bad: nothing to be learnt there.
            Phase::Backward if !evidence.broken.loss_is_bad => self.backwards(evidence),
            _ => None,
        }
    }
    fn names(&self) -> Names {
        Names::Operation
    }
}

impl LogOfZero {
    fn forwards(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        let edge = Edge::of(&evidence.executed())?;
        let input = evidence.producer().inputs.first()?;
        let value = edge.reached_by(input)?;
        let call = &evidence.producer().op;
        let place = words::at(evidence.producer());
        let looks_like = match (probability(input), input.role) {
            (Some(Probability::MadeBy(maker)), _) => format!(": the {maker} before it is saturated"),
            (Some(Probability::LooksLike), _) => ", which looks like a saturated probability".to_owned(),
            (None, Role::Data) => ", which stands in the data".to_owned(),
            (None, _) => String::new(),
        };
        Some(Finding {
            evidence: observations(evidence, input),
            remedies: remedies(evidence, input),
            interventions: vec!["safe-op".to_owned()],
            ..self.finding(EXACT, format!("{call}{place} read {value}{looks_like}"))
        })
    }

    /// The slope of a logarithm is one over what it read.
    fn backwards(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        let call = &evidence.producer().op;
        if !has_logarithm(&evidence.call()) {
            return None;
        }
        let read = match evidence.divisor() {
            Some(Divisor::Tensor(divisor)) => divisor,
            _ if evidence.executed() == evidence.call() => evidence.producer().inputs.first()?,
            _ => return None,
        };
        if read.range.zeros == 0 {
            return None;
        }
        let mut observations = vec![
            evidence.input_in_words(read),
            "the loss is finite: what log made of the 0 was masked or not selected; a mask does not stop its gradient"
                .to_owned(),
        ];
        observations.extend(evidence.origin_in_words());
        observations.extend(evidence.path_in_words());
        let place = words::at(evidence.producer());
        let summary = format!(
            "{call}{place} read a value where it is infinite; the loss did not see it, its gradient did"
        );
        Some(Finding {
            evidence: observations,
            remedies: remedies(evidence, read),
            interventions: vec!["safe-op".to_owned()],
            ..self.finding(EXACT_IN_GRADIENT, summary)
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

/// Why the values are taken for probabilities.
enum Probability<'a> {
    /// A softmax or a sigmoid made them.
    MadeBy(&'a str),
    /// All of them lie between 0 and 1, which is a guess and worded as one.
    LooksLike,
}

fn probability(input: &TensorSeen) -> Option<Probability<'_>> {
    let maker = input.made_by.as_deref().filter(|maker| is_saturating(&plain(maker)));
    let range = &input.range;
    let is_between = range.min == 0.0 && range.max <= 1.0 && range.max > 0.0;
    match maker {
        Some(maker) => Some(Probability::MadeBy(maker)),
        None => (input.role == Role::Activation && is_between).then_some(Probability::LooksLike),
    }
}

fn observations(evidence: &Evidence<'_>, input: &TensorSeen) -> Vec<String> {
    let mut seen = vec![evidence.input_in_words(input)];
    match probability(input) {
        Some(Probability::MadeBy(maker)) => seen.push(format!("what it read was made by {maker}")),
        Some(Probability::LooksLike) => {
            seen.push("all of it lies between 0 and 1, as the output of a softmax or sigmoid does".to_owned())
        }
        None => {}
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
    if probability(input).is_some() {
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
