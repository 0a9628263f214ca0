//! `raise-epsilon`: the term that keeps an adaptive optimizer's divisor away from 0.

use super::optimizer;
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, expr, number};
use denan_finding::Patch;

pub(super) fn patch(
    epsilon: f64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let value = number::short(epsilon);
    let by_hand = format!("set the optimizer's epsilon to {value}");
    let refuse = |why: String| NoPatch::new(why, &*by_hand);
    let all = Source::all(sources);
    let site = optimizer::find(&all, context, sources).map_err(|not_found| refuse(not_found.why()))?;
    let Some(setter) = site.optimizer.set_epsilon else {
        return Err(refuse(format!("{}Config has no epsilon of this kind", site.optimizer.name)));
    };
    // The last one in the chain is in force.
    let present = site.setters().iter().rfind(|call| call.method == setter);
    let edit = match present.and_then(|call| call.args.first()) {
        Some(argument) => {
            if let Some(present) = expr::number(argument).filter(|present| *present >= epsilon) {
                return Err(refuse(format!("the optimizer's epsilon is already {}", number::short(present))));
            }
            Edit::replace(range(argument), value)
        }
        None => site.insert_setter(&format!(".{setter}({value})")),
    };
    site.source.patch(sources, vec![edit], &by_hand)
}
