//! Patches of scripts that train with PyTorch, parsed with ruff's parser.

mod at;
mod batch;
mod change_optimizer;
mod clip_gradients;
mod definition;
mod drop_samples;
mod expr;
mod float32;
mod initialize;
mod inputs;
mod learning_rate;
mod loss;
mod model;
mod names;
mod norms;
mod optimizer;
mod program;
mod released;
mod safe_op;
mod schedule;
mod settings;
mod source;
mod walk;
mod zero_grad;

use super::call::{self, Call};
use super::{NoPatch, PatchContext, SourceTree, edit, number};
use denan_finding::Patch;
use denan_record::plan::Intervention;

/// The change of the user's Python source that does what `intervention` did.
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
        Intervention::ConstantLearningRate { rate } => schedule::constant(*rate, context, sources),
        Intervention::WarmUp { steps } => schedule::warm_up(*steps, context, sources),
        Intervention::ChangeOptimizer { to, rate } => change_optimizer::patch(*to, *rate, context, sources),
        Intervention::ClipGradients { by, limit } => clip_gradients::patch(*by, *limit, context, sources),
        Intervention::ZeroGrad => zero_grad::patch(context, sources),
        Intervention::RaiseEpsilon { epsilon } => settings::epsilon(*epsilon, context, sources),
        Intervention::WeightDecay { penalty } => settings::weight_decay(*penalty, context, sources),
        Intervention::ScaleLoss { factor } => loss::scaled(*factor, context, sources),
        Intervention::MeanLoss { elements } => loss::mean(*elements, context, sources),
        Intervention::Float32 { only } => float32::patch(only.as_ref(), context, sources),
        Intervention::SmallerBatch { size } => batch::patch(*size, context, sources),
        Intervention::DropSamples { indices, .. } => drop_samples::patch(indices, context, sources),
        Intervention::ClampInputs { at, low, high } => inputs::clamp(at, *low, *high, context, sources),
        Intervention::NormalizeInputs { at, axis, means, stds } => {
            inputs::normalize(at, &inputs::Columns { axis: *axis, means, stds }, context, sources)
        }
        Intervention::ReplaceAnchors { at, values } => inputs::anchors(at, values, context, sources),
        Intervention::Reinitialize { parameters } => initialize::patch(parameters, context, sources),
        Intervention::InsertNorm { after } => norms::insert(after, context, sources),
        Intervention::FreezeBatchNorm { how, .. } => norms::freeze(*how, context, sources),
        Intervention::FreezeReleased { parameters } => released::freeze(parameters, context, sources),
        Intervention::LowerReleasedRate { factor, .. } => released::lower(*factor, context, sources),
    }
}
