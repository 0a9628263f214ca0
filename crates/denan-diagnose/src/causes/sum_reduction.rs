//! The loss adds up over the batch instead of averaging, so that its gradient grows with the batch.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::evidence::view::{Index, View};
use crate::words;
use denan_finding::Finding;
use denan_finding::number::{count, float};
use denan_record::model::{Phase, Role};

pub(crate) struct SumReduction;

cause!(SumReduction, "sum-reduction");

/// A sum over this many elements makes the gradient so many times as large as the mean would: two orders of
/// magnitude are beyond what a rate that was chosen for a mean forgives.
const MANY: u64 = 64;

/// The loss is such a sum and the training ran away at once; that the mean survives is left to an experiment.
const SUMS_AND_RUNS_AWAY: f64 = 0.9;

/// The same for fewer elements.
const SUMS_FEW: f64 = 0.7;

/// Fewer than these are no batch to speak of.
const FEW: u64 = 16;

impl Cause for SumReduction {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if !evidence.blew_up() || matches!(evidence.broken.phase, Phase::Input | Phase::Parameter) {
            return None;
        }
        // In the breaking step the loss may never have been made.
        let view = evidence.before().or(evidence.first()).or(evidence.breaking())?;
        let (sum, elements) = summed_loss(view)?;
        let confidence = match elements {
            MANY.. => SUMS_AND_RUNS_AWAY,
            FEW.. => SUMS_FEW,
            _ => return None,
        };
        let place = view.place(sum).map(|place| format!(" at {}", words::place(place))).unwrap_or_default();
        let mut observations = vec![format!(
            "the loss is the sum of {} elements; their mean would make its gradient {} times smaller",
            count(elements),
            count(elements),
        )];
        observations.extend(evidence.history.largest_update.map(|update| {
            format!(
                "the update of step {} was {} times the weights; about 0.001 is healthy",
                update.step,
                float((update.value * 1000.0).round() / 1000.0),
            )
        }));
        if evidence.history.losses.len() > 1 {
            let losses = evidence.history.last_losses_in_words();
            observations.push(format!("the losses before the break: {losses}"));
        }
        Some(Finding {
            evidence: observations,
            remedies: vec![
                format!(
                    "average instead: {}",
                    evidence.code(".mean() in the place of .sum()", "reduction='mean'")
                ),
                "or keep the sum and divide the learning rate by the number of elements".to_owned(),
            ],
            interventions: vec![
                "mean-loss".to_owned(),
                "lower-learning-rate".to_owned(),
                "smaller-batch".to_owned(),
            ],
            ..self.finding(
                confidence,
                format!("the loss adds up {} elements instead of averaging them{place}", count(elements)),
            )
        })
    }

    fn names(&self) -> Names {
        Names::Setting
    }

    fn explains(&self) -> &'static [Explains] {
        const {
            &[Explains::from(
                0.7,
                &[
                    "learning-rate-too-high",
                    "exp-overflow",
                    "log-of-zero",
                    "division-by-zero",
                    "infinite-gradient",
                ],
            )]
        }
    }
}

/// The sum that the loss is, and over how many elements; none if it is divided again.
pub(crate) fn summed_loss(view: &View<'_>) -> Option<(Index, u64)> {
    let loss = loss(view)?;
    let (mut at, mut elements) = (loss, 1);
    let mut sum = None;
    // From the loss backwards through what changes neither the number of elements nor the size of them.
    for _ in 0..24 {
        let node = view.node(at);
        match node.op.as_str() {
            "sum" => {
                let before = view.node(*node.inputs.first()?);
                let number = before.range.count.max(1) / node.range.count.max(1);
                elements *= number;
                sum = sum.or(Some(at)).filter(|_| number > 1).or(sum);
            }
            // Whatever it divides by, somebody has thought of the size.
            "mean" | "div" | "recip" => return None,
            "mul" if node.scalar.is_some_and(|scalar| scalar.abs() < 0.1) => return None,
            "mul" if node.scalar.is_none() && sum.is_some() && node.shape.iter().product::<u64>() <= 1 => {
                return None;
            }
            "neg" | "reshape" | "add" | "sub" | "mul" | "cat" | "clamp" | "clamp_min" | "squeeze" => {}
            _ if sum.is_some() => break,
            _ => return None,
        }
        // Of several terms the one with a sum in it, which is the larger one.
        let followed = node.inputs.iter().copied().filter(|&input| view.node(input).role == Role::Activation);
        let Some(next) =
            followed.max_by(|&a, &b| view.node(a).range.abs_max().total_cmp(&view.node(b).range.abs_max()))
        else {
            break;
        };
        // Behind the sum only more sums count.
        if sum.is_some() && view.node(next).op != "sum" && view.node(at).op == "sum" {
            let is_reshape = view.node(next).op == "reshape";
            if !is_reshape {
                break;
            }
        }
        at = next;
    }
    sum.map(|sum| (sum, elements))
}

/// What the backward pass started from: the last tensor of one element that the forward pass made before it, and
/// that nothing reads but the gradient.
fn loss(view: &View<'_>) -> Option<Index> {
    let start = view.nodes().find(|(_, node)| node.phase == Phase::Backward).map(|(index, _)| index)?;
    view.forward()
        .filter(|(index, node)| *index < start && node.range.count == 1 && node.dtype.contains("float"))
        .filter(|(index, _)| {
            !view.readers(*index).any(|reader| view.node(reader).phase == Phase::Forward && reader < start)
        })
        .filter(|(index, _)| {
            view.ancestors(*index, usize::MAX).iter().any(|&at| view.parameter(at).is_some())
        })
        .map(|(index, _)| index)
        .last()
}
