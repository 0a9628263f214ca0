//! Nothing fits: everything that was seen, and no guess.

use crate::cause::{Cause, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::words;
use denan_finding::Finding;
use denan_finding::number::float;
use denan_record::model::Phase;

pub(crate) struct Unknown;

cause!(Unknown, "unknown");

/// It is no explanation; the confidence only ranks it last.
const NO_EXPLANATION: f64 = 0.05;

impl Cause for Unknown {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        let broken = evidence.broken;
        let producer = evidence.producer();
        let kind = words::kind(broken.kind);
        let summary = if broken.phase == Phase::Parameter {
            let parameter = producer.parameter.as_deref().unwrap_or("a parameter");
            format!("{parameter} held {kind} before the first step, and no known cause fits")
        } else {
            let (operation, place) = (evidence.operation_in_words(), words::at(producer));
            format!("{operation} made {kind} out of finite values{place}, and no known cause fits")
        };
        Some(Finding {
            evidence: observations(evidence),
            remedies: vec![
                "look at the operation and its inputs: nothing before them was wrong".to_owned(),
                "run it once more to see whether it breaks at the same step: if not, suspect a race or the machine".to_owned(),
            ],
            interventions: interventions(evidence),
            ..self.finding(NO_EXPLANATION, summary)
        })
    }
    fn names(&self) -> Names {
        Names::Nothing
    }
}

fn observations(evidence: &Evidence<'_>) -> Vec<String> {
    let broken = evidence.broken;
    let producer = evidence.producer();
    let mut seen = vec![format!("it happened in step {}, in {}", broken.step, words::phase(broken.phase))];
    seen.extend(producer.inputs.iter().map(|input| evidence.input_in_words(input)));
    seen.extend(producer.scalar.map(|scalar| format!("its number is {}", float(scalar))));
    seen.push(format!("it made {}", words::tensor(&producer.output)));
    seen.extend(producer.module.as_ref().map(|module| format!("it belongs to the module {module}")));
    seen.extend(producer.parameter.as_ref().map(|name| format!("it updates {name}")));
    seen.extend(evidence.path_in_words());
    seen.extend(evidence.origin_in_words());
    let history = &evidence.history;
    if !history.losses.is_empty() {
        seen.push(format!("the last finite losses are {}", history.last_losses_in_words()));
    }
    seen.extend(history.learning_rate.map(|rate| format!("the learning rate is {}", float(rate))));
    seen.extend(history.largest_update.map(|update| {
        format!("the largest update of the last steps is {} times the weights", float(update.value))
    }));
    seen.extend(evidence.run.notes.iter().map(|note| format!("the watcher noted: {note}")));
    seen
}

/// Experiments that rule something in or out at little cost.
fn interventions(evidence: &Evidence<'_>) -> Vec<String> {
    let mut interventions = Vec::new();
    let knows_samples = evidence.origins.iter().any(|origin| origin.sample.is_some());
    if knows_samples && evidence.is_in_few_rows() {
        interventions.push("drop-samples".to_owned());
    }
    if evidence.broken.step > 0 && evidence.broken.phase != Phase::Parameter {
        interventions.extend(["lower-learning-rate".to_owned(), "clip-gradients".to_owned()]);
    }
    interventions
}
