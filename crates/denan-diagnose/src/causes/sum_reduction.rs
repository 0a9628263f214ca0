//! The loss adds up over the batch instead of averaging, so that its gradient grows with the batch.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::evidence::view::{Index, View, magnitude};
use crate::words;
use denan_finding::Finding;
use denan_finding::number::{count, float};
use denan_record::model::{Phase, Role};
use std::collections::BTreeSet;

pub(crate) struct SumReduction;

cause!(SumReduction, "sum-reduction");

/// A sum over this many elements makes the gradient so many times as large as the mean would: two orders of
/// magnitude are beyond what a rate that was chosen for a mean forgives.
const MANY: u64 = 64;

/// The loss is such a sum and the training ran away at once; that the mean survives is left to an experiment.
const SUMS_AND_RUNS_AWAY: f64 = 0.9;

/// The same for fewer elements.
const SUMS_FEW: f64 = 0.7;

/// A sample of so many times the elements it had in the first step is another size of sample.
const LARGER: u64 = 4;

/// Fewer than these are no batch to speak of.
const FEW: u64 = 16;

impl Cause for SumReduction {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if !evidence.blew_up() || matches!(evidence.broken.phase, Phase::Input | Phase::Parameter) {
            return None;
        }
        // In the breaking step the loss may never have been made.
        let view = evidence.before().or(evidence.first()).or(evidence.breaking())?;
        let Some(Summed { at: sum, elements, .. }) = summed_loss(view) else {
            return self.of_growing_samples(evidence, view);
        };
        let confidence = match elements {
            MANY.. => SUMS_AND_RUNS_AWAY,
            FEW.. => SUMS_FEW,
            _ => return None,
        };
        let what = format!(
            "the loss is the sum of {} elements; their mean would make its gradient {} times smaller",
            count(elements),
            count(elements),
        );
        let place = words::at_place(view.place(sum));
        let summary = format!("the loss adds up {} elements instead of averaging them{place}", count(elements));
        Some(self.finding_of(evidence, confidence, what, summary))
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

impl SumReduction {
    /// Samples that are averaged, each a sum over its own elements, which have become more.
    fn of_growing_samples(&self, evidence: &Evidence<'_>, view: &View<'_>) -> Option<Finding> {
        let (sum, elements) = sum_per_sample(view)?;
        let (_, at_first) = sum_per_sample(evidence.first()?)?;
        if elements < MANY || elements < LARGER * at_first {
            return None;
        }
        let what = format!(
            "each sample's loss is the sum of {} elements, and was one of {} in the first step",
            count(elements),
            count(at_first),
        );
        let place = words::at_place(view.place(sum));
        let summary = format!(
            "the loss adds up the elements of each sample instead of averaging them{place}, and these have become {} \
             times as many",
            count(elements / at_first.max(1)),
        );
        Some(self.finding_of(evidence, SUMS_AND_RUNS_AWAY, what, summary))
    }

    fn finding_of(&self, evidence: &Evidence<'_>, confidence: f64, what: String, summary: String) -> Finding {
        let mut observations = vec![what];
        observations.extend(evidence.history.largest_update.map(|update| {
            format!(
                "the update of step {} was {} times the weights; about 0.001 is healthy",
                update.step,
                float((update.value * 1000.0).round() / 1000.0),
            )
        }));
        observations.extend(evidence.history.losses_before_break());
        Finding {
            evidence: observations,
            remedies: vec![
                format!(
                    "average instead: {}",
                    evidence.code(".mean() in the place of .sum()", "reduction='mean'")
                ),
                "keep the sum and divide the learning rate by the number of elements".to_owned(),
            ],
            interventions: vec![
                "mean-loss".to_owned(),
                "lower-learning-rate".to_owned(),
                "smaller-batch".to_owned(),
            ],
            ..self.finding(confidence, summary)
        }
    }
}

/// The sum that the loss is, and over how many elements; none if it is divided again.
///
/// Of several sums that are added up (one for each sample of a batch) it is the first, and the elements are those
/// of all.
pub(crate) fn summed_loss(view: &View<'_>) -> Option<Summed> {
    let mut search = Search { view, seen: BTreeSet::new(), sums: Vec::new() };
    search.visit(loss(view)?, 1)?;
    let mut sums = search.sums;
    let largest = sums.iter().map(|sum| magnitude(view.node(sum.at))).fold(0.0, f64::max);
    // A term that hardly counts beside the others is no part of what the loss is.
    sums.retain(|sum| magnitude(view.node(sum.at)) >= SHARE_OF_TERM * largest);
    let elements = sums.iter().map(|sum| sum.elements).sum();
    Some(Summed { at: sums.first()?.at, elements, terms: sums.len() })
}

/// The sum that a loss is.
pub(crate) struct Summed {
    /// It, or the first of several that are added up.
    pub(crate) at: Index,
    /// Elements of all.
    pub(crate) elements: u64,
    /// How many sums there are.
    pub(crate) terms: usize,
}

/// The sum over the elements of each sample, of which the loss is the mean, and over how many.
pub(crate) fn sum_per_sample(view: &View<'_>) -> Option<(Index, u64)> {
    let mut at = loss(view)?;
    for _ in 0..MOST_TERMS {
        let node = view.node(at);
        let input = *node.inputs.first()?;
        match node.op.as_str() {
            "mean" => {
                let sum = view.source(input);
                let of = view.node(sum);
                let before = view.node(*of.inputs.first()?).range.count;
                return (of.op == "sum" && of.range.count > 1).then(|| (sum, before / of.range.count));
            }
            // Of several terms the one that counts most.
            "add" | "sub" | "neg" | "mul" | "reshape" | "clone" => {
                let terms = node.inputs.iter().copied().filter(|&term| view.node(term).role == Role::Activation);
                at = terms.max_by(|&a, &b| magnitude(view.node(a)).total_cmp(&magnitude(view.node(b))))?;
            }
            _ => return None,
        }
    }
    None
}

/// A sum over elements.
struct Sum {
    at: Index,
    elements: u64,
}

/// Operations of a loss that are followed.
const MOST_TERMS: usize = 512;

/// Share of the largest term below which another one is left out.
const SHARE_OF_TERM: f64 = 0.01;

/// On the way from the loss to its sums.
struct Search<'v, 'a> {
    view: &'v View<'a>,
    seen: BTreeSet<Index>,
    sums: Vec<Sum>,
}

impl Search<'_, '_> {
    /// From the loss backwards through what changes neither the number of elements nor the size of them. Nothing if
    /// what counts in the loss is divided again: whatever it divides by, somebody has thought of the size.
    fn visit(&mut self, at: Index, elements: u64) -> Option<()> {
        if self.seen.len() >= MOST_TERMS || !self.seen.insert(at) {
            return None;
        }
        let view = self.view;
        let node = view.node(at);
        match node.op.as_str() {
            "sum" => {
                let before = view.node(*node.inputs.first()?);
                let number = elements * (before.range.count.max(1) / node.range.count.max(1));
                // A sum of sums adds up all.
                let input = view.source(*node.inputs.first()?);
                if view.node(input).op == "sum" {
                    return self.visit(input, number);
                }
                self.sums.push(Sum { at, elements: number });
                return Some(());
            }
            "mean" | "div" | "recip" => return None,
            "mul" if node.scalar.is_some_and(|scalar| scalar.abs() < 0.1) => return None,
            "mul" if node.scalar.is_none() && node.shape.iter().product::<u64>() <= 1 => return None,
            "neg" | "reshape" | "add" | "sub" | "mul" | "cat" | "stack" | "clamp" | "clamp_min" | "clone" => {}
            _ => return None,
        }
        let mut terms: Vec<Index> = node.inputs.clone();
        terms.retain(|&input| view.node(input).role == Role::Activation);
        terms.sort_by(|&a, &b| magnitude(view.node(b)).total_cmp(&magnitude(view.node(a))));
        let (&first, others) = terms.split_first()?;
        // What counts most decides; the others may be means.
        self.visit(first, elements)?;
        for &other in others {
            let _ = self.visit(other, elements);
        }
        Some(())
    }
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
