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
        let (hidden, selection) = hidden_call(evidence, view, &call)?;
        let node = view.node(hidden);
        let producer = evidence.producer();
        let selection_at = words::at_place(view.place(selection));
        let selection_name = &view.node(selection).op;
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
    calls.into_iter().find_map(|(index, _)| {
        let selects = |&at: &Index| SELECTIONS.contains(&view.node(at).op.as_str());
        let selection = view.descendants(index, STEPS_TO_MASK).into_iter().find(selects)?;
        // The hidden value ends there: what was selected is finite, or what the loss reads is.
        (view.node(selection).range.nonfinite() == 0).then_some((index, selection))
    })
}
