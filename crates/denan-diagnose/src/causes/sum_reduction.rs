//! The loss adds up over the batch instead of averaging, so that its gradient grows with the batch.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::evidence::view::{Index, View, magnitude};
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
///
/// Of several sums that are added up (one for each sample of a batch) it is the first, and the elements are those
/// of all.
pub(crate) fn summed_loss(view: &View<'_>) -> Option<(Index, u64)> {
    let mut sums = Vec::new();
    collect_sums(view, loss(view)?, 1, MOST_TERMS, &mut sums)?;
    let largest = sums.iter().map(|sum| magnitude(view.node(sum.at))).fold(0.0, f64::max);
    // A term that hardly counts beside the others is no part of what the loss is.
    sums.retain(|sum| magnitude(view.node(sum.at)) >= SHARE_OF_TERM * largest);
    let elements = sums.iter().map(|sum| sum.elements).sum();
    Some((sums.first()?.at, elements))
}

/// A sum over elements.
struct Sum {
    at: Index,
    elements: u64,
}

/// Terms of a loss that are followed.
const MOST_TERMS: usize = 512;

/// Share of the largest term below which another one is left out.
const SHARE_OF_TERM: f64 = 0.01;

/// From the loss backwards through what changes neither the number of elements nor the size of them. Nothing if
/// what counts in the loss is divided again: whatever it divides by, somebody has thought of the size.
fn collect_sums(view: &View<'_>, at: Index, elements: u64, most: usize, sums: &mut Vec<Sum>) -> Option<()> {
    let most = most.checked_sub(1)?;
    let node = view.node(at);
    match node.op.as_str() {
        "sum" => {
            let before = view.node(*node.inputs.first()?);
            let number = elements * (before.range.count.max(1) / node.range.count.max(1));
            // A sum of sums adds up all.
            let input = view.source(*node.inputs.first()?);
            if view.node(input).op == "sum" {
                return collect_sums(view, input, number, most, sums);
            }
            sums.push(Sum { at, elements: number });
            return Some(());
        }
        "mean" | "div" | "recip" => return None,
        "mul" if node.scalar.is_some_and(|scalar| scalar.abs() < 0.1) => return None,
        "mul" if node.scalar.is_none() && node.shape.iter().product::<u64>() <= 1 => return None,
        "neg" | "reshape" | "add" | "sub" | "mul" | "cat" | "clamp" | "clamp_min" | "squeeze" => {}
        _ => return None,
    }
    let mut terms: Vec<Index> = node.inputs.clone();
    terms.retain(|&input| view.node(input).role == Role::Activation);
    terms.sort_by(|&a, &b| magnitude(view.node(b)).total_cmp(&magnitude(view.node(a))));
    let (&first, others) = terms.split_first()?;
    // What counts most decides; the others may be means.
    collect_sums(view, first, elements, most, sums)?;
    for &other in others {
        let _ = collect_sums(view, other, elements, most, sums);
    }
    Some(())
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
