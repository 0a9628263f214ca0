//! `constant-learning-rate`, `warm-up`: the rate that is handed to the optimizer.

use super::learning_rate::find_step;
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, number};
use denan_finding::Patch;

pub(super) fn constant(
    rate: f64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let rate = number::short(rate);
    let by_hand = format!("repair the schedule; a constant rate of {rate} survives");
    let all = Source::all(sources);
    let (source, step) =
        find_step(&all, context.step_place, sources).map_err(|why| NoPatch::new(why, &*by_hand))?;
    let argument =
        step.args.first().ok_or_else(|| NoPatch::new("step is called without a rate", &*by_hand))?;
    source.patch(sources, vec![Edit::replace(range(argument), rate)], &by_hand)
}

pub(super) fn warm_up(steps: u64) -> NoPatch {
    let length = number::short(steps as f64);
    NoPatch::new(
        "the line does not say which step it is",
        format!("multiply the rate by ((step + 1) as f64 / {length}).min(1.0)"),
    )
}
