//! A parameter or buffer is NaN or infinite before the first step: a poisoned checkpoint, memory that was
//! never filled.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::words;
use denan_finding::Finding;
use denan_finding::number::counted;
use denan_record::model::{Phase, Role};

pub(crate) struct NonFiniteParameter;

cause!(NonFiniteParameter, "non-finite-parameter");

/// The tensor is a parameter, and was bad before any step changed it.
const IS_PARAMETER: f64 = 0.96;

/// The tensor is as old as the parameters, and nothing says what it is.
const IS_PERHAPS_BUFFER: f64 = 0.7;

impl Cause for NonFiniteParameter {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if evidence.broken.phase != Phase::Parameter {
            return None;
        }
        let producer = evidence.producer();
        let seen = &producer.output;
        let confidence = if seen.role == Role::Parameter { IS_PARAMETER } else { IS_PERHAPS_BUFFER };
        let name = producer.parameter.as_ref().or(seen.parameter.as_ref());
        let name = name.cloned().unwrap_or_else(|| "a parameter".to_owned());
        let summary = format!(
            "{name} holds {} before the first step{}",
            words::nonfinite(&seen.range),
            words::at(producer),
        );
        let mut observations = vec![format!("it is {}", words::tensor(seen))];
        let others: Vec<String> = evidence
            .run
            .parameters
            .iter()
            .filter(|parameter| parameter.initial.is_some_and(|initial| !initial.is_finite()))
            .map(|parameter| evidence.parameter_name(parameter.slot))
            .filter(|other| *other != name)
            .collect();
        if !others.is_empty() {
            let number = counted(others.len() as u64, "other parameter", "other parameters");
            observations.push(format!("{number} as well: {}", words::joined(&others)));
        }
        if evidence.broken.step > 0 {
            observations.push(format!("step {} is the first that used its bad values", evidence.broken.step));
        }
        observations.extend(evidence.path_in_words());
        Some(Finding {
            evidence: observations,
            remedies: vec![
                "load the last checkpoint that is clean".to_owned(),
                "initialise the values that are not finite anew".to_owned(),
                "check a record for NaN before it is saved, and never over a clean one".to_owned(),
            ],
            interventions: vec!["reinitialize".to_owned()],
            ..self.finding(confidence, summary)
        })
    }

    fn names(&self) -> Names {
        Names::State
    }

    fn explains(&self) -> &'static [Explains] {
        const { &[Explains::from(0.9, &[])] }
    }
}
