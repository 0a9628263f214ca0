//! Gradients pile up from step to step, because nothing sets them to zero.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use denan_finding::Finding;
use denan_finding::number::{counted, float};
use denan_record::model::{Phase, Step};

pub(crate) struct MissingZeroGrad;

cause!(MissingZeroGrad, "missing-zero-grad");

/// Every backward pass added to gradients of earlier steps, and the training blew up.
const PILES_UP_AND_BLOWS_UP: f64 = 0.94;

/// They pile up; what broke may have another reason.
const PILES_UP: f64 = 0.6;

/// Share of the steps that carry gradients over: less is a program that sets them to zero, though not always.
const NEARLY_ALWAYS: f64 = 0.8;

/// Growth of the gradient norm that goes with it.
const GROWN: f64 = 10.0;

impl Cause for MissingZeroGrad {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if matches!(evidence.broken.phase, Phase::Input | Phase::Parameter) {
            return None;
        }
        let known = |step: &&Step| step.step <= evidence.broken.step && step.carries_gradients.is_some();
        let steps: Vec<&Step> = evidence.run.steps.iter().filter(known).collect();
        let carrying = steps.iter().filter(|step| step.carries_gradients == Some(true)).count();
        if carrying == 0 || (carrying as f64) < NEARLY_ALWAYS * steps.len() as f64 {
            return None;
        }
        let growth = evidence.history.gradient_growth.filter(|growth| *growth >= GROWN);
        let confidence =
            if evidence.blew_up() || growth.is_some() { PILES_UP_AND_BLOWS_UP } else { PILES_UP };
        let mut observations = vec![format!(
            "gradients of an earlier step were still there at the backward pass of {} in {}",
            carrying,
            counted(steps.len() as u64, "step", "steps"),
        )];
        observations.extend(
            growth.map(|growth| format!("the gradient norm has grown {}-fold since", float(growth.round()))),
        );
        observations.extend(evidence.history.losses_before_break());
        Some(Finding {
            evidence: observations,
            remedies: vec![
                format!(
                    "set them to zero in each step, before the backward pass: {}",
                    evidence.code("GradientsParams::from_grads(loss.backward(), &model)", "optimizer.zero_grad()"),
                ),
                "if micro-batches are to add up, set them to zero after each step of the optimizer".to_owned(),
            ],
            interventions: vec!["zero-grad".to_owned()],
            ..self.finding(
                confidence,
                "gradients are never set to zero, so that each step also takes all earlier ones again".to_owned(),
            )
        })
    }

    fn names(&self) -> Names {
        Names::Setting
    }

    fn explains(&self) -> &'static [Explains] {
        const {
            &[Explains::from(
                0.9,
                &[
                    "learning-rate-too-high",
                    "exploding-gradients",
                    "exploding-activations",
                    "exp-overflow",
                    "log-of-zero",
                    "division-by-zero",
                    "infinite-gradient",
                    "weight-growth",
                    "sum-reduction",
                ],
            )]
        }
    }
}
