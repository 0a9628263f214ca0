//! The same step, run again on the same numbers, is finite: hardware, or a race.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::words;
use denan_finding::Finding;

pub(crate) struct TransientFault;

cause!(TransientFault, "transient-fault");

/// Every loss up to the break came out bit for bit the same, and the breaking step went well.
const SAME_UNTIL_THEN: f64 = 0.93;

impl Cause for TransientFault {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        let again = evidence.again?;
        let broken = evidence.broken;
        let before: Vec<_> = evidence.run.steps.iter().filter(|step| step.step < broken.step).collect();
        let same = before.iter().all(|step| {
            again.steps.iter().any(|other| other.step == step.step && other.loss_bits == step.loss_bits)
        });
        let went_on = again.first_break.as_ref().is_none_or(|first| first.step > broken.step)
            && again
                .steps
                .iter()
                .any(|step| step.step >= broken.step && step.loss.is_some_and(f64::is_finite));
        // Without a step before the break there is nothing that shows that it is the same training.
        if before.is_empty() || !same || !went_on {
            return None;
        }
        let operation = evidence.operation_in_words();
        Some(Finding {
            evidence: vec![
                format!("the training was run again: {} losses before step {} are the same, bit for bit", before.len(), broken.step),
                format!("step {} is finite there", broken.step),
                format!("in the recorded run {operation} made {}{}", words::kind(broken.kind), words::at(evidence.producer())),
            ],
            remedies: vec![
                "suspect the machine: memory, an overclocked or overheated device; run its memory test".to_owned(),
                "suspect a race: a thread of the program that writes to data while a step reads them".to_owned(),
                "suspect what the program draws or reads anew in every run: time, an unseeded generator, a file \
                 that changes"
                    .to_owned(),
            ],
            interventions: Vec::new(),
            ..self.finding(
                SAME_UNTIL_THEN,
                format!("step {} does not break again on the same numbers", broken.step),
            )
        })
    }

    fn names(&self) -> Names {
        Names::Machine
    }

    fn explains(&self) -> &'static [Explains] {
        const { &[Explains::from(0.9, &[])] }
    }
}
