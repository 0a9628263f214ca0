//! Every target of the batch is ignored: a mean over nothing.

use crate::blame::rows;
use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::view::{Index, View};
use crate::evidence::{Divisor, Evidence};
use crate::operators::is_counted;
use crate::words;
use denan_finding::{BlamedSample, Finding};
use denan_record::model::{Kind, Node, Phase};

pub(crate) struct NoValidTarget;

cause!(NoValidTarget, "no-valid-target");

/// A mean of the loss over no element at all.
const NOTHING_LEFT: f64 = 0.95;

/// The divisor is the count of a mask made of data, which is 0 here and was not before.
const COUNT_IS_ZERO: f64 = 0.95;

/// The same, but there was no step before to compare with.
const COUNT_IS_ZERO_AT_ONCE: f64 = 0.9;

/// Operations between a count and the division by it.
const STEPS_TO_COUNT: usize = 4;

impl Cause for NoValidTarget {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        let broken = evidence.broken;
        if !matches!(broken.phase, Phase::Forward | Phase::Loss) || broken.kind != Kind::Nan {
            return None;
        }
        let producer = evidence.producer();
        let executed = evidence.executed();
        let (confidence, what) = if is_counted(&executed) && producer.inputs.first()?.range.count == 0 {
            let shape = &producer.inputs.first()?.shape;
            let seen = format!("{} got a tensor of shape {}", producer.op, words::shape(shape));
            (NOTHING_LEFT, seen)
        } else {
            count_of_zero(evidence).or_else(|| counted_outside(evidence))?
        };
        let mut observations = vec![what];
        observations.extend(producer.inputs.iter().map(|input| evidence.input_in_words(input)));
        observations.push("0 divided by 0 is NaN, in the loss and in all gradients".to_owned());
        observations.extend(evidence.path_in_words());
        Some(Finding {
            evidence: observations,
            remedies: vec![
                format!(
                    "guard the count: {}",
                    evidence.code("sum / count.clamp_min(1.0)", "sum / count.clamp(min=1)"),
                ),
                "skip a batch without a valid target, or leave such samples out of the data set".to_owned(),
                "if it is the last, smaller batch: drop it".to_owned(),
            ],
            interventions: vec!["safe-op".to_owned(), "drop-samples".to_owned()],
            ..self.finding(
                confidence,
                format!(
                    "no target of step {}'s batch is valid: {} {}{}",
                    broken.step,
                    evidence.operation_in_words(),
                    if executed == "mul" { "multiplies 0 by 1/0" } else { "divides 0 by 0" },
                    words::at(producer),
                ),
            )
        })
    }

    fn blamed(&self, evidence: &Evidence<'_>) -> Vec<BlamedSample> {
        let blame = |row: usize| BlamedSample {
            sample: evidence.samples.get(row).cloned(),
            batch_row: Some(row as u64),
            why: "it has no valid target".to_owned(),
        };
        row_by_row(evidence).map_or_else(|| rows(evidence), |row| vec![blame(row)])
    }

    fn names(&self) -> Names {
        Names::Datum
    }

    fn explains(&self) -> &'static [Explains] {
        const { &[Explains::from(0.9, &["division-by-zero", "learning-rate-too-high"])] }
    }
}

/// The row of the batch, if the loss is taken row by row: in the step before, the call was made once for each
/// sample.
fn row_by_row(evidence: &Evidence<'_>) -> Option<usize> {
    let (view, before) = (evidence.breaking()?, evidence.before()?);
    let producer = view.producer()?;
    let (op, place) = (&view.node(producer).op, view.place(producer)?);
    let calls = |view: &View<'_>, until: Index| {
        let calls = view.forward().filter(|(index, node)| *index < until && node.op == *op);
        calls.filter(|(index, _)| view.place(*index) == Some(place)).count()
    };
    let size = evidence.samples.len();
    (size > 1 && calls(before, Index::MAX) == size).then(|| calls(view, producer))
}

/// Whether the producer divides nothing by a number of valid targets that is 0.
fn count_of_zero(evidence: &Evidence<'_>) -> Option<(f64, String)> {
    let Some(Divisor::Tensor(divisor)) = evidence.divisor() else { return None };
    let numerator = evidence.producer().inputs.first()?;
    let all_zero = |range: &denan_numerics::Range| range.count > 0 && range.zeros == range.count;
    if evidence.executed() != "div" || divisor.range.zeros == 0 || numerator.range.zeros == 0 {
        return None;
    }
    // Several counts (one a sample) may be divided by at once.
    if divisor.range.count == 1 && !(all_zero(&divisor.range) && all_zero(&numerator.range)) {
        return None;
    }
    // One for each class, say, is no count of the batch's targets.
    let is_per_sample = |count: u64| (evidence.samples.len() as u64).max(1) <= count && !evidence.samples.is_empty();
    if divisor.range.count > 1 && !is_per_sample(divisor.range.count) {
        return None;
    }
    let view = evidence.breaking()?;
    let divisor = *view.node(view.producer()?).inputs.get(1)?;
    let (count, mask) = counted_mask(view, divisor)?;
    let place = words::at_place(view.place(count));
    let seen = format!(
        "the divisor counts what a mask of shape {} lets through{place}: nothing",
        words::shape(&view.node(mask).shape),
    );
    // What the network goes on with is a mean of its own values, and no mean over targets.
    if view.reaches_parameter(view.producer()?) {
        return None;
    }
    // The same count in the step before. A loss of the library makes several sums at the user's one line.
    let before = evidence.before().and_then(|before| {
        let same = |(index, node): (Index, &Node)| {
            let of = view.node(count);
            let is_same = node.op == of.op
                && node.call == of.call
                && node.shape == of.shape
                && before.place(index) == view.place(count);
            (is_same && is_mask(before, *node.inputs.first()?)).then_some(node.range)
        };
        before.forward().find_map(same)
    });
    match before {
        // It was 0 before and did no harm, or it counts nothing.
        Some(range) if range.zeros == range.count || range.max.fract() != 0.0 => None,
        Some(_) => Some((COUNT_IS_ZERO, seen)),
        None => is_comparison(view, mask).then_some((COUNT_IS_ZERO_AT_ONCE, seen)),
    }
}

/// Whether nothing is multiplied by 1 over nothing, where the program counted the targets itself: a sum under a mask
/// of data that lets nothing through.
fn counted_outside(evidence: &Evidence<'_>) -> Option<(f64, String)> {
    let number = evidence.producer().scalar?;
    let executed = evidence.executed();
    if !(executed == "mul" && number.is_infinite() || executed == "div" && number == 0.0) {
        return None;
    }
    let view = evidence.breaking()?;
    let sum = *view.node(view.producer()?).inputs.first()?;
    let all_zero = |index: Index| {
        let range = view.node(index).range;
        range.count > 0 && range.zeros == range.count
    };
    let near = [sum].into_iter().chain(view.ancestors(sum, STEPS_TO_COUNT));
    let masked = near.filter(|&at| view.node(at).op == "mul" || view.node(at).op == "mask_fill");
    let mask = masked
        .flat_map(|at| view.node(at).inputs.iter().copied())
        .find(|&input| view.is_of_data(input) && all_zero(input) && view.node(input).range.count > 1)?;
    let place = words::at_place(view.place(mask));
    let seen = format!("the mask of shape {}{place} lets nothing through", words::shape(&view.node(mask).shape));
    all_zero(sum).then_some((COUNT_IS_ZERO_AT_ONCE, seen))
}

/// Whether a tensor comes out of a comparison.
fn is_comparison(view: &View<'_>, mask: Index) -> bool {
    const COMPARISONS: &[&str] =
        &["equal", "not_equal", "greater", "greater_equal", "lower", "lower_equal", "mask_fill"];
    let near = [mask].into_iter().chain(view.ancestors(mask, STEPS_TO_COUNT));
    near.into_iter().any(|at| COMPARISONS.contains(&view.node(at).op.as_str()))
}

/// The sum over a mask of zeros and ones, made of data alone, that a divisor is.
fn counted_mask(view: &View<'_>, divisor: Index) -> Option<(Index, Index)> {
    let near = [divisor].into_iter().chain(view.ancestors(divisor, STEPS_TO_COUNT));
    near.into_iter().find_map(|count| {
        let node = view.node(count);
        if node.op != "sum" {
            return None;
        }
        let mask = *node.inputs.first()?;
        is_mask(view, mask).then_some((count, mask))
    })
}

/// Whether a tensor lies between 0 and 1, and no parameter has a part in it.
fn is_mask(view: &View<'_>, index: Index) -> bool {
    let range = view.node(index).range;
    range.count > 0 && range.min >= 0.0 && range.max <= 1.0 && !reads_parameter(view, index)
}

/// Whether a parameter has a part in a tensor. Masks are often made with `ones_like` of something that has one,
/// so only what was computed counts.
fn reads_parameter(view: &View<'_>, index: Index) -> bool {
    let all = view.ancestors(index, 12);
    all.iter().any(|&at| view.parameter(at).is_some())
}
