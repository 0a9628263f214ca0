//! `zero-grad`: a line in front of the backward pass.

use super::optimizer;
use super::program::{self, Change, Program};
use super::source::range;
use super::{NoPatch, PatchContext, SourceTree};
use denan_finding::Patch;

pub(super) fn patch(context: &PatchContext<'_>, sources: &dyn SourceTree) -> Result<Patch, NoPatch> {
    let by_hand = "optimizer.zero_grad() before loss.backward() (p.grad = None for every parameter where there \
                   is no optimizer)";
    let program = Program::of(context, sources);
    let sites = optimizer::sites(&program, context);
    let steps = optimizer::steps(&program, context, &sites);
    if steps.is_empty() {
        return Err(NoPatch::new("no optimizer.step() was found in the sources", by_hand));
    }
    let mut changes: Vec<Change<'_>> = Vec::new();
    for step in &steps {
        let lines = [format!("{}.zero_grad()", step.optimizer)];
        let Some((backward, is_own)) = step.backward() else {
            return Err(NoPatch::new("no backward() was found before the step", by_hand));
        };
        // Where several backward passes make one step, the gradients may go only after it.
        let gathers = !is_own && step.closure.is_none() && is_deeper(step, backward);
        let edit = if gathers {
            step.source.behind(step.stmt, &lines)
        } else {
            step.source.before(backward, &lines)
        };
        let edit = edit.ok_or_else(|| NoPatch::new("the statement shares its line with others", by_hand))?;
        changes.push((step.source, edit));
    }
    program::patch(changes, sources, by_hand)
}

/// Whether the step stands under a condition that the backward pass is free of.
fn is_deeper(step: &optimizer::Step<'_>, backward: &ruff_python_ast::Stmt) -> bool {
    let bytes = range(step.stmt);
    let around = step.source.around(bytes.start);
    around.iter().any(|stmt| stmt.is_if_stmt() && !range(*stmt).contains(&range(backward).start))
}
