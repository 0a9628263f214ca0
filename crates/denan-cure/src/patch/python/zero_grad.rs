//! `zero-grad`: a line in front of the backward pass.

use super::optimizer;
use super::program::{self, Change, Program};
use super::source::range;
use super::{NoPatch, PatchContext, SourceTree, expr};
use denan_finding::Patch;
use ruff_python_ast::{Expr, Stmt};

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
        if is_there(step, backward) {
            continue;
        }
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
    if changes.is_empty() {
        return Err(NoPatch::new(
            "the gradients are set to zero before every backward pass already",
            by_hand,
        ));
    }
    program::patch(changes, sources, by_hand)
}

/// Whether `zero_grad()` stands in the block of the backward pass or of the step already.
fn is_there(step: &optimizer::Step<'_>, backward: &Stmt) -> bool {
    let source = step.source;
    let is_zero = |stmt: &Stmt| {
        let Stmt::Expr(own) = stmt else { return false };
        matches!(&*own.value, Expr::Call(call) if matches!(expr::method(call), Some((owner, "zero_grad"))
            if source.of(owner) == step.optimizer))
    };
    let before = source.block_of(backward).map_or(&[][..], |(block, at)| &block[..at]);
    let behind = source.block_of(step.stmt).map_or(&[][..], |(block, at)| &block[at + 1..]);
    before.iter().chain(behind).any(is_zero)
}

/// Whether the step stands under a condition that the backward pass is free of.
fn is_deeper(step: &optimizer::Step<'_>, backward: &Stmt) -> bool {
    let bytes = range(step.stmt);
    let around = step.source.around(bytes.start);
    around.iter().any(|stmt| stmt.is_if_stmt() && !range(*stmt).contains(&range(backward).start))
}
