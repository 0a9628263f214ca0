//! A softmax over a row that is -inf everywhere.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::words;
use denan_finding::Finding;
use denan_record::model::{Kind, Phase, TensorSeen};

pub(crate) struct EmptySoftmax;

cause!(EmptySoftmax, "empty-softmax");

/// Inside a softmax, and the largest value of a row is -inf.
const IN_SOFTMAX: f64 = 0.96;

/// The same, in a softmax that the program wrote itself: it takes the maximum off.
const BY_HAND: f64 = 0.9;

/// Calls that take the largest value of a row off before the exponential.
const SOFTMAXES: &[&str] = &["softmax", "log_softmax", "softmin", "quiet_softmax", "attention"];

impl Cause for EmptySoftmax {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        let producer = evidence.producer();
        if !matches!(evidence.broken.phase, Phase::Forward | Phase::Loss) || evidence.broken.kind != Kind::Nan
        {
            return None;
        }
        let is_empty = |seen: &TensorSeen| seen.range.neg_inf > 0 && seen.range.nan == 0;
        let call = evidence.call();
        let rows = producer.inputs.last().filter(|seen| is_empty(seen))?;
        let executed = evidence.executed();
        let confidence = match () {
            () if SOFTMAXES.contains(&call.as_str()) => IN_SOFTMAX,
            () if executed == "sub" && rows.made_by.as_deref() == Some("max") => BY_HAND,
            () => return None,
        };
        let name = if SOFTMAXES.contains(&call.as_str()) { call.as_str() } else { "a softmax" };
        // The figures of the maximum count rows; those of a whole softmax count elements.
        let count = match executed.as_str() {
            "sub" => format!("{} rows in which everything is -inf", rows.range.neg_inf),
            _ => "a row in which everything is -inf".to_owned(),
        };
        let count = count.replace("1 rows", "1 row");
        let mut observations: Vec<String> =
            producer.inputs.iter().map(|input| evidence.input_in_words(input)).collect();
        observations.push("-inf minus -inf is NaN: such a row has no largest value to take off".to_owned());
        observations.extend(evidence.origin_in_words());
        observations.extend(evidence.path_in_words());
        Some(Finding {
            evidence: observations,
            remedies: vec![
                "keep at least one position of every row, or leave such samples out of the batch".to_owned(),
                format!(
                    "mask with a large finite number instead of -inf: {}",
                    evidence.code("scores.mask_fill(mask, -1.0e9)", "scores.masked_fill(mask, -1e9)"),
                ),
            ],
            interventions: vec!["safe-op".to_owned(), "drop-samples".to_owned()],
            ..self.finding(confidence, format!("{name} got {count}{}", words::at(producer)))
        })
    }

    fn names(&self) -> Names {
        Names::Operation
    }

    fn explains(&self) -> &'static [Explains] {
        const { &[Explains::from(0.9, &["division-by-zero", "learning-rate-too-high", "exp-overflow"])] }
    }
}
