//! Patches of programs that train with burn, parsed with `syn`.

mod at_line;
mod batch;
mod change_optimizer;
mod clip_gradients;
mod definition;
mod drop_samples;
mod expr;
mod float32;
mod import;
mod inputs;
mod layers;
mod learning_rate;
mod loss;
mod optimizer;
mod place;
mod raise_epsilon;
mod rate;
mod safe_op;
mod source;
mod walk;
mod weight_decay;

use super::call::{self, Call};
use super::{MOST_NAMES, NoPatch, PatchContext, SourceTree, edit, number};
use denan_diagnose::facts;
use denan_finding::Patch;
use denan_record::plan::Intervention;

/// The change of the user's Rust source that does what `intervention` did.
pub(super) fn patch(
    intervention: &Intervention,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    match intervention {
        Intervention::SafeOp { op, is_form, file, line, margin } => {
            let call = Call { op, is_form: *is_form, file, line: *line, margin: *margin };
            safe_op::patch(&call, context, sources)
        }
        Intervention::LowerLearningRate { factor } => learning_rate::patch(*factor, context, sources),
        Intervention::ClipGradients { by, limit } => clip_gradients::patch(*by, *limit, context, sources),
        Intervention::RaiseEpsilon { epsilon } => raise_epsilon::patch(*epsilon, context, sources),
        Intervention::DropSamples { indices, .. } => drop_samples::patch(indices, context, sources),
        Intervention::ClampInputs { at, low, high } => inputs::clamp(at, *low, *high, sources),
        Intervention::NormalizeInputs { at, axis, means, stds } => {
            inputs::normalize(at, *axis, means, stds, sources)
        }
        Intervention::ReplaceAnchors { at, values } => inputs::anchors(at, values, sources),
        Intervention::Float32 { .. } => float32::patch(sources),
        Intervention::ZeroGrad => Err(NoPatch::new(
            "burn's gradients belong to one backward pass",
            "take the gradients of each backward pass anew",
        )),
        Intervention::ScaleLoss { factor } => loss::scaled(*factor, sources),
        Intervention::MeanLoss { elements } => {
            let place = context.run.and_then(facts::summed_loss).and_then(|(_, place)| place);
            loss::mean(*elements, place.as_ref(), sources)
        }
        Intervention::SmallerBatch { size } => batch::patch(*size, sources),
        Intervention::Reinitialize { parameters } => {
            let known = context.run.map_or(&[][..], |run| &run.parameters);
            layers::reinitialize(parameters, known, sources)
        }
        Intervention::InsertNorm { after } => layers::insert_norm(after, sources),
        Intervention::FreezeBatchNorm { how, .. } => layers::freeze_batch_norm(*how, sources),
        Intervention::ConstantLearningRate { rate } => rate::constant(*rate, context, sources),
        Intervention::WarmUp { steps } => rate::warm_up(*steps, context, sources),
        Intervention::WeightDecay { penalty } => weight_decay::patch(*penalty, context, sources),
        Intervention::ChangeOptimizer { to, rate } => change_optimizer::patch(*to, *rate, context, sources),
        Intervention::FreezeReleased { .. } => Err(NoPatch::new(
            "what is released may be written in many ways",
            "keep the part frozen: leave its gradients out of the step, or module.freeze()",
        )),
        Intervention::LowerReleasedRate { factor, .. } => Err(NoPatch::new(
            "what is released may be written in many ways",
            format!(
                "step the released part with {} of the rate; denan_burn::remedies::Release lets it rise slowly",
                number::short(*factor)
            ),
        )),
    }
}
