//! The schedule itself makes a rate that is NaN, infinite or negative.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use denan_finding::Finding;
use denan_finding::number::float;
use denan_record::model::{Phase, Step};

pub(crate) struct LearningRateSchedule;

cause!(LearningRateSchedule, "learning-rate-schedule");

/// The rate in force is not a number: nothing is left to infer.
const NOT_A_NUMBER: f64 = 0.97;

/// The rate turned negative after it had been positive, and the loss rose from then on.
const NEGATIVE: f64 = 0.94;

/// It is negative, but the break came before the loss could tell of it.
const NEGATIVE_FOR_A_MOMENT: f64 = 0.85;

impl Cause for LearningRateSchedule {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        let broken = evidence.broken;
        let up_to =
            if broken.phase == Phase::Optimizer { broken.step } else { broken.step.checked_sub(1)? };
        let steps: Vec<&Step> = evidence.run.steps.iter().filter(|step| step.step <= up_to).collect();
        let rate = |step: &Step| step.learning_rate;
        // At the break the rate may only be seen in the operation itself.
        let in_operation = evidence.producer().scalar.filter(|scalar| {
            broken.phase == Phase::Optimizer && !scalar.is_finite() && evidence.executed() == "mul"
        });
        let bad = steps.iter().find(|step| rate(step).is_some_and(|rate| !rate.is_finite()));
        let negative = steps.iter().find(|step| rate(step).is_some_and(|rate| rate < 0.0));
        let sane =
            steps.iter().rev().find_map(|step| rate(step).filter(|rate| rate.is_finite() && *rate > 0.0));
        let (confidence, at, value) = match (bad, in_operation, negative) {
            (Some(step), ..) => (NOT_A_NUMBER, step.step, rate(step)?),
            (None, Some(scalar), _) => (NOT_A_NUMBER, broken.step, scalar),
            // A rate that is negative throughout is a choice (ascent), however odd.
            (None, None, Some(step)) if sane.is_some() => {
                let rose = evidence.history.rises > 0;
                (if rose { NEGATIVE } else { NEGATIVE_FOR_A_MOMENT }, step.step, rate(step)?)
            }
            _ => return None,
        };
        let summary = format!("the schedule makes a learning rate of {} at step {at}", float(value));
        let mut observations = Vec::new();
        let before: Vec<String> = steps
            .iter()
            .filter(|step| step.step <= at)
            .rev()
            .take(4)
            .filter_map(|step| Some(format!("step {}: {}", step.step, float(rate(step)?))))
            .collect();
        if before.is_empty() {
            observations.push(format!("it multiplies the update of step {at}"));
        } else {
            let before: Vec<String> = before.into_iter().rev().collect();
            observations.push(format!("the rates up to there: {}", before.join(", ")));
        }
        if value < 0.0 {
            observations.push("a negative rate climbs the loss instead of descending it".to_owned());
            observations.push(format!("the last losses: {}", evidence.history.last_losses_in_words()));
        } else if !broken.loss_is_bad {
            observations.push("loss and gradients of this step are finite".to_owned());
        }
        Some(Finding {
            evidence: observations,
            remedies: vec![
                "repair the schedule: look for a division by a number of steps that may be 0, a root or power \
                 of a negative number, and a step count that passes its end"
                    .to_owned(),
                "keep what it gives within bounds: rate.clamp(0.0, largest)".to_owned(),
            ],
            interventions: vec!["constant-learning-rate".to_owned()],
            ..self.finding(confidence, summary)
        })
    }

    fn names(&self) -> Names {
        Names::Setting
    }

    fn explains(&self) -> &'static [Explains] {
        const { &[Explains::from(0.9, &[])] }
    }
}
