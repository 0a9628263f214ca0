//! A part that was frozen is released, and its gradients blow up.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::words;
use denan_finding::Finding;
use denan_finding::number::{counted, float};
use denan_record::model::Phase;

pub(crate) struct UnfrozenBackbone;

cause!(UnfrozenBackbone, "unfrozen-backbone");

/// The share of the released part's updates below which the training was calm before.
const CALM: f64 = 0.3;

/// Parts were released, the break followed, and their updates are larger than any other or than any before.
const FOLLOWED: f64 = 0.92;

/// Parts were released and the break followed.
const AFTERWARDS: f64 = 0.75;

/// Steps after the release within which a break follows from it.
const SOON: u64 = 60;

/// An update of this share of the weights is large; about 0.001 is healthy.
const LARGE_UPDATE: f64 = 0.05;

impl Cause for UnfrozenBackbone {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if matches!(evidence.broken.phase, Phase::Input | Phase::Parameter) {
            return None;
        }
        let at = released_at(evidence)?;
        let released: Vec<u32> = released(evidence, at);
        let largest = |of_released: bool| {
            let steps = evidence
                .run
                .steps
                .iter()
                .filter(|step| (at..evidence.broken.step.max(at + 1)).contains(&step.step));
            let shares = steps.flat_map(|step| &step.parameters).filter_map(|seen| {
                if released.contains(&seen.slot) != of_released {
                    return None;
                }
                let (update, value) = (seen.update?, seen.value?);
                // Values after the update; what was swept away was as large as the update before.
                let share = update.l2_norm() / value.l2_norm().max(f64::MIN_POSITIVE);
                share.is_finite().then_some(share)
            });
            shares.fold(0.0, f64::max)
        };
        let (own, others) = (largest(true), largest(false));
        // Whatever was released did little.
        if own < LARGE_UPDATE {
            return None;
        }
        // Before the release the training was calm.
        let calm = evidence
            .history
            .updates
            .iter()
            .filter(|update| (at.saturating_sub(SOON)..at).contains(&update.step));
        let calm = calm.rev().take(20);
        let calm = calm.map(|update| update.value).fold(0.0, f64::max);
        let confidence = if own >= others || calm < CALM * own { FOLLOWED } else { AFTERWARDS };
        let names: Vec<String> = released.iter().take(3).map(|slot| evidence.parameter_name(*slot)).collect();
        let more = released.len().saturating_sub(names.len());
        let names =
            if more > 0 { format!("{} and {more} more", names.join(", ")) } else { words::joined(&names) };
        let number = counted(released.len() as u64, "parameter", "parameters");
        let mut observations = vec![
            format!("{number} had their first update in step {at}: {names}"),
            format!("the break followed {} later", counted(evidence.broken.step - at, "step", "steps")),
            format!(
                "since then an update reached {} times its weights there and {} elsewhere; about 0.001 is healthy",
                float(words::two_digits(own)),
                float(words::two_digits(others)),
            ),
        ];
        observations.extend(evidence.history.losses_before_break());
        Some(Finding {
            evidence: observations,
            remedies: vec![
                "release it with a rate a tenth or a hundredth of the head's, or with a warm-up".to_owned(),
                "keep it frozen until the head has settled".to_owned(),
            ],
            interventions: vec!["lower-released-rate".to_owned(), "freeze-released".to_owned()],
            ..self.finding(
                confidence,
                format!("{number} were released at step {at}, and their updates are too large"),
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
                    "exp-overflow",
                    "log-of-zero",
                    "division-by-zero",
                    "infinite-gradient",
                    "exploding-gradients",
                    "exploding-activations",
                    "weight-growth",
                    "sum-reduction",
                    "feature-scale",
                ],
            )]
        }
    }
}

/// The last step in which parameters had their first update, if it is not the first of all and lies near the break.
pub(crate) fn released_at(evidence: &Evidence<'_>) -> Option<u64> {
    let first = evidence.run.parameters.iter().filter_map(|parameter| parameter.first_update);
    let all: Vec<u64> = first.filter(|step| *step <= evidence.broken.step).collect();
    let (earliest, latest) = (*all.iter().min()?, *all.iter().max()?);
    (latest > earliest && latest < evidence.broken.step && evidence.broken.step - latest <= SOON)
        .then_some(latest)
}

/// Slots of the parameters that had their first update in a step.
pub(crate) fn released(evidence: &Evidence<'_>, at: u64) -> Vec<u32> {
    let of_step = evidence.run.parameters.iter().filter(|parameter| parameter.first_update == Some(at));
    of_step.map(|parameter| parameter.slot).collect()
}
