//! `clip-gradients`: a line between the backward pass and the step, or the limit of the clip that is there.

use super::definition::calls;
use super::optimizer::{self, Step};
use super::program::{self, Change, Program};
use super::source::{Edit, range};
use super::{NoPatch, PatchContext, SourceTree, expr, number};
use denan_finding::Patch;
use denan_record::plan::ClipBy;
use ruff_python_ast::Stmt;

pub(super) fn patch(
    by: ClipBy,
    limit: f64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let function = match by {
        ClipBy::Norm | ClipBy::GlobalNorm => "clip_grad_norm_",
        ClipBy::Value => "clip_grad_value_",
    };
    let written = number::short(limit);
    let by_hand =
        format!("torch.nn.utils.{function}(model.parameters(), {written}) between backward() and step()");
    let program = Program::of(context, sources);
    let sites = optimizer::sites(&program, context);
    let steps = optimizer::steps(&program, context, &sites);
    if steps.is_empty() {
        return Err(NoPatch::new("no optimizer.step() was found in the sources", by_hand));
    }
    let mut changes: Vec<Change<'_>> = Vec::new();
    for step in &steps {
        if by != ClipBy::Norm
            && let Some(found) = existing(step, function, limit)
        {
            changes.push((step.source, found.map_err(|why| NoPatch::new(why, &*by_hand))?));
            continue;
        }
        let mut edits = Vec::new();
        let name = step.source.reach(&format!("torch.nn.utils.{function}"), &mut edits);
        let parameters = step.parameters(&program, &sites);
        let mut lines = match by {
            ClipBy::Norm => vec![format!("for p in {parameters}:"), format!("    {name}(p, {written})")],
            _ => vec![format!("{name}({parameters}, {written})")],
        };
        let edit = match (step.closure, step.backward()) {
            (Some(_), Some((backward, _))) => step.source.behind(backward, &lines),
            (Some(_), None) => None,
            (None, _) => {
                lines.splice(0..0, unscaling(step));
                step.source.before(step.stmt, &lines)
            }
        };
        let edit = edit.ok_or_else(|| {
            NoPatch::new("there is no line of its own for it between backward() and step()", &*by_hand)
        })?;
        changes.extend(edits.into_iter().map(|edit| (step.source, edit)));
        changes.push((step.source, edit));
    }
    program::patch(changes, sources, &by_hand)
}

/// The limit of a clip in the step's own block.
fn existing(step: &Step<'_>, function: &str, limit: f64) -> Option<Result<Edit, String>> {
    let (block, at) = step.source.block_of(step.stmt)?;
    let own = block[..at].iter().filter(|stmt| matches!(stmt, Stmt::Expr(_) | Stmt::Assign(_))).map(range);
    let own: Vec<_> = own.collect();
    let call = calls(step.source).find(|call| {
        let is_own = own.iter().any(|stmt| stmt.contains(&range(*call).start));
        let path = step.source.names().resolve(&call.func);
        is_own && path.is_some_and(|path| path.ends_with(&format!(".{function}")))
    })?;
    let name = if function == "clip_grad_norm_" { "max_norm" } else { "clip_value" };
    let present = expr::argument(call, name, 1)?;
    if let Some(present) = expr::number(present).filter(|present| *present <= limit) {
        return Some(Err(format!("the gradients are already clipped at {}", number::short(present))));
    }
    Some(Ok(Edit::replace(step.source.with_parentheses(present), number::short(limit))))
}

/// `scaler.unscale_(optimizer)`, where gradients are scaled and nothing takes that back before the step.
fn unscaling(step: &Step<'_>) -> Option<String> {
    let scaler = step.scaler?;
    let is_there = calls(step.source).any(|call| {
        matches!(expr::method(call), Some((receiver, "unscale_")) if step.source.of(receiver) == scaler)
    });
    (!is_there).then(|| format!("{scaler}.unscale_({})", step.optimizer))
}
