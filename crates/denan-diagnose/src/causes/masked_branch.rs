//! A mask hides a bad value from the loss, but not from its gradient: infinity times 0.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::evidence::view::{Index, View};
use crate::operators::{has_logarithm, is_division, is_exponential, is_power, is_steep, plain};
use crate::words;
use denan_finding::Finding;
use denan_record::model::{Kind, Phase};

pub(crate) struct MaskedBranch;

cause!(MaskedBranch, "masked-branch");

/// The forward call's own value was bad or on the edge, a selection hid it, and its gradient broke.
const HIDDEN_VALUE: f64 = 0.95;

/// Operations between the call and the selection around it.
const STEPS_TO_MASK: usize = 6;

/// Operations between a truth value and the number that is multiplied: a cast, `1 - mask`, a product of masks.
const STEPS_OF_MASK: usize = 4;

/// Operations that make truth values.
const COMPARISONS: &[&str] = &[
    "equal",
    "not_equal",
    "greater",
    "greater_equal",
    "lower",
    "lower_equal",
    "logical_and",
    "logical_or",
    "logical_not",
    "isnan",
    "isinf",
    "isfinite",
    "eye",
];

/// Operations that select between two values.
const SELECTIONS: &[&str] = &["mask_where", "mask_fill", "where", "masked_fill"];

impl Cause for MaskedBranch {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        let broken = evidence.broken;
        if broken.phase != Phase::Backward || broken.loss_is_bad {
            return None;
        }
        let call = evidence.call();
        let can_fail = has_logarithm(&call)
            || is_division(&call)
            || is_steep(&call)
            || is_power(&call)
            || is_exponential(&call);
        if !can_fail {
            return None;
        }
        // What a mask hides gets a gradient of 0, and 0 times an infinite slope is NaN. An infinite slope that meets
        // another gradient stays infinite: nothing hid it.
        let mut meets = broken.trail.iter().take_while(|next| next.op == evidence.producer().op).peekable();
        let becomes_nan = match meets.peek() {
            Some(_) => meets.any(|next| next.output.range.nan > 0),
            None => broken.kind == Kind::Nan,
        };
        if !becomes_nan {
            return None;
        }
        let view = evidence.breaking()?;
        let hidden = hidden_call(evidence, view, &call);
        let (hidden, selection) = hidden.or_else(|| multiplied_away(evidence, view, &call))?;
        let node = view.node(hidden);
        let producer = evidence.producer();
        let selection_at = words::at_place(view.place(selection));
        let selection_name = match view.node(selection).op.as_str() {
            "mul" => "a product with a mask of 0 and 1",
            name => name,
        };
        let value = if node.range.nonfinite() > 0 {
            format!("made {} that the loss never saw", words::nonfinite(&node.range))
        } else {
            "has values on the edge of its domain that the loss never saw".to_owned()
        };
        let mut observations = vec![
            format!("{} {value}", producer.op),
            format!("{selection_name} selects around it{selection_at}"),
            "the mask makes the incoming gradient 0 there, and 0 times an infinite slope is NaN".to_owned(),
        ];
        observations.extend(producer.inputs.first().map(|input| evidence.input_in_words(input)));
        observations.extend(evidence.origin_in_words());
        Some(Finding {
            evidence: observations,
            remedies: vec![
                format!(
                    "mask what goes into {} as well as what comes out: {}",
                    producer.op,
                    evidence.code(
                        "x.mask_fill(bad.clone(), 1.0) first, then the call, then mask_where",
                        "torch.where(good, x, 1.0) first, then the call, then torch.where",
                    ),
                ),
                format!("keep the argument of {} inside its domain: clamp it", producer.op),
            ],
            interventions: vec!["safe-op".to_owned()],
            ..self.finding(
                HIDDEN_VALUE,
                format!(
                    "{selection_name} hides a bad value of {} from the loss, but not from its gradient{}",
                    producer.op,
                    words::at(producer),
                ),
            )
        })
    }

    fn names(&self) -> Names {
        Names::Operation
    }

    fn explains(&self) -> &'static [Explains] {
        const {
            &[Explains::from(
                0.9,
                &[
                    "infinite-gradient",
                    "division-by-zero",
                    "log-of-zero",
                    "exp-overflow",
                    "learning-rate-too-high",
                ],
            )]
        }
    }
}

/// The forward call whose gradient broke, and the selection that hid its value.
fn hidden_call(evidence: &Evidence<'_>, view: &View<'_>, call: &str) -> Option<(Index, Index)> {
    bad_calls(evidence, view, call).into_iter().find_map(|index| {
        let selects = |&at: &Index| SELECTIONS.contains(&view.node(at).op.as_str());
        let selection = view.descendants(index, STEPS_TO_MASK).into_iter().find(selects)?;
        // The hidden value ends there: what was selected is finite, or what the loss reads is.
        (view.node(selection).range.nonfinite() == 0).then_some((index, selection))
    })
}

/// The forward call whose gradient broke, and the product with a mask of 0 and 1 that took its value out.
///
/// Such a product selects as `where` does: the gradient that comes back through it is exactly 0 where the mask is. The
/// edge of the call's domain met nothing else than these zeros if no element became infinite, and if as many became
/// NaN as the mask takes out.
fn multiplied_away(evidence: &Evidence<'_>, view: &View<'_>, call: &str) -> Option<(Index, Index)> {
    let producer = evidence.producer();
    let of_call = evidence.broken.trail.iter().take_while(|next| next.op == producer.op);
    let bad = [producer].into_iter().chain(of_call).find(|operation| operation.output.range.nan > 0)?;
    let bad = &bad.output.range;
    if bad.pos_inf + bad.neg_inf > 0 {
        return None;
    }
    bad_calls(evidence, view, call).into_iter().find_map(|index| {
        let product = view.descendants(index, STEPS_TO_MASK).into_iter().find(|&at| {
            let node = view.node(at);
            let of_call = |input: Index| input == index || view.ancestors(input, STEPS_TO_MASK).contains(&index);
            let takes_out = |&mask: &Index| {
                let range = view.node(mask).range;
                let is_as_many = u128::from(range.zeros) * u128::from(bad.count)
                    == u128::from(bad.nan) * u128::from(range.count);
                is_as_many && is_mask(view, mask, STEPS_OF_MASK) && !of_call(mask)
            };
            node.op == "mul" && node.range.nonfinite() == 0 && node.inputs.iter().any(takes_out)
        })?;
        Some((index, product))
    })
}

/// The calls whose gradient may be the broken one, with a value that is bad or on the edge of the domain.
fn bad_calls(evidence: &Evidence<'_>, view: &View<'_>, call: &str) -> Vec<Index> {
    let place = words::user_place(evidence.producer());
    let is_bad_branch = |index: Index| {
        let node = view.node(index);
        let on_edge = |input: &Index| view.node(*input).range.zeros > 0;
        node.range.nonfinite() > 0 || node.inputs.iter().any(on_edge)
    };
    let calls = view.forward().filter(|(index, node)| {
        let name = node.call.as_deref().unwrap_or(&node.op);
        let is_call = plain(name) == call || plain(&node.op) == call;
        is_call && (place.is_none() || view.place(*index) == place) && is_bad_branch(*index)
    });
    calls.map(|(index, _)| index).collect()
}

/// Whether a tensor holds 0 and 1 and nothing else, because its elements or its type say so, or because it was made of
/// comparisons.
fn is_mask(view: &View<'_>, index: Index, steps: usize) -> bool {
    let range = view.node(index).range;
    if range.min != 0.0 || range.max != 1.0 || range.nonfinite() > 0 {
        return false;
    }
    let source = view.source(index);
    let node = view.node(source);
    let is_whole = !node.dtype.contains("float");
    let holds_both = !node.values.is_empty() && node.values.iter().all(|value| *value == 0.0 || *value == 1.0);
    let is_made_of_masks = || {
        // `1 - mask` and products of masks.
        let is_closed = node.op == "mul" || node.op == "sub" && node.scalar == Some(1.0);
        steps > 0 && is_closed && node.inputs.iter().all(|&input| is_mask(view, input, steps - 1))
    };
    is_whole || holds_both || COMPARISONS.contains(&node.op.as_str()) || is_made_of_masks()
}
