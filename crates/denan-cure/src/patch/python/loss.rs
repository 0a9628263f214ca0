//! `mean-loss`, `scale-loss`: where the loss is made, and where its backward pass begins.

use super::definition::{self, calls};
use super::optimizer::{self, is_backward};
use super::program::{self, Change, Program};
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, expr, number, walk};
use denan_diagnose::facts;
use denan_finding::Patch;
use ruff_python_ast::{Expr, ExprCall};

pub(super) fn mean(
    elements: u64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let by_hand =
        format!("average the loss instead of adding it up: its gradient is {elements} times too large");
    let refuse = |why: &str| NoPatch::new(why, &*by_hand);
    let program = Program::of(context, sources);
    let place = context.run.and_then(facts::summed_loss).and_then(|(_, place)| place);
    let place = place.ok_or_else(|| refuse("no single line adds it up"))?;
    let source =
        program.file(&place.file).ok_or_else(|| refuse("the line is not among the program's own sources"))?;
    let own: Vec<&ExprCall> = calls(source).filter(|call| source.is_on(*call, place.line)).collect();
    let mut found: Vec<Vec<Change<'_>>> =
        own.iter().filter_map(|call| averaged(&program, source, call)).collect();
    if found.len() > 1 {
        // Of several sums, the one that the record means begins at its column.
        let at_column = |call: &&&ExprCall| source.is_at(range(**call).start, place.line, place.column);
        let exact = own.iter().filter(at_column).filter_map(|call| averaged(&program, source, call));
        found = exact.collect();
    }
    match <[_; 1]>::try_from(found) {
        Ok([changes]) => program::patch(changes, sources, &by_hand),
        Err(all) => {
            Err(refuse(&format!("line {} adds up in {} ways that may be meant", place.line, all.len())))
        }
    }
}

/// What makes a call average in the place of adding up; `None` if it does not add up.
fn averaged<'a>(program: &'a Program, source: &'a Source, call: &'a ExprCall) -> Option<Vec<Change<'a>>> {
    let path = source.names().resolve(&call.func);
    if let Some(path) = &path {
        if path == "torch.sum" {
            let name = match &*call.func {
                Expr::Attribute(attribute) => Edit::replace(range(&attribute.attr), "mean"),
                _ => return None,
            };
            return Some(vec![(source, name)]);
        }
        return settings(program, source, call);
    }
    if let Some((_, "sum")) = expr::method(call) {
        let Expr::Attribute(attribute) = &*call.func else { return None };
        return Some(vec![(source, Edit::replace(range(&attribute.attr), "mean"))]);
    }
    // A loss that was made elsewhere: `criterion(x, y)`.
    let [made] = definition::values(program, source, &call.func)[..] else { return None };
    settings(program, made.source, made.expr.as_call_expr()?)
}

/// `reduction="sum"` and `size_average=False` of a loss.
fn settings<'a>(program: &'a Program, source: &'a Source, call: &'a ExprCall) -> Option<Vec<Change<'a>>> {
    if let Some(reduction) = expr::keyword(call, "reduction") {
        let values = definition::values(program, source, reduction);
        let sums = values.iter().filter(|value| expr::string(value.expr) == Some("sum"));
        let sums: Vec<_> = sums.collect();
        let [sum] = sums[..] else { return None };
        // One of several values is left for the others that use it.
        let sum = if values.len() > 1 { definition::Defined { source, expr: reduction } } else { *sum };
        if !sum.expr.is_string_literal_expr() {
            return Some(vec![(source, Edit::replace(range(reduction), "\"mean\""))]);
        }
        let text = sum.source.of(sum.expr).replace("sum", "mean");
        return Some(vec![(sum.source, Edit::replace(range(sum.expr), text))]);
    }
    let average = expr::keyword(call, "size_average")?;
    let is_off = matches!(average, Expr::BooleanLiteral(literal) if !literal.value);
    is_off.then(|| vec![(source, Edit::replace(range(average), "True"))])
}

pub(super) fn scaled(
    factor: f64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let factor = number::short(factor);
    let factor = factor.strip_suffix(".0").unwrap_or(&factor);
    let by_hand = format!(
        "scale the loss, (loss * {factor}).backward(), and divide every gradient by {factor} before the step; or use \
         torch.amp.GradScaler"
    );
    let refuse = |why: &str| NoPatch::new(why, &*by_hand);
    let program = Program::of(context, sources);
    let sites = optimizer::sites(&program, context);
    let steps = optimizer::steps(&program, context, &sites);
    if steps.is_empty() {
        return Err(refuse("no optimizer.step() was found in the sources"));
    }
    let mut changes: Vec<Change<'_>> = Vec::new();
    for step in &steps {
        if step.scaler.is_some() {
            return Err(refuse("a GradScaler scales the loss already"));
        }
        let (backward, is_own) =
            step.backward().ok_or_else(|| refuse("no backward() was found before the step"))?;
        for call in walk::of_statement(backward).into_iter().filter_map(is_backward) {
            let Some((loss, "backward")) = expr::method(call) else { continue };
            // `accelerator.backward(loss)` begins elsewhere.
            if !call.arguments.args.is_empty() {
                return Err(refuse("the backward pass is begun by a library"));
            }
            let all = step.source.with_parentheses(loss);
            let is_wrapped = all != range(loss);
            if is_wrapped {
                let times = expr::takes_factor(loss);
                let inner = range(loss);
                if !times {
                    changes.push((step.source, Edit::insert(inner.start, "(")));
                }
                let close = if times { "" } else { ")" };
                changes.push((step.source, Edit::insert(inner.end, format!("{close} * {factor}"))));
            } else {
                changes.push((step.source, Edit::insert(all.start, "(")));
                changes.push((step.source, Edit::insert(all.end, format!(" * {factor})"))));
            }
        }
        let parameters = step.parameters(&program, &sites);
        let lines = [
            format!("for p in {parameters}:"),
            "    if p.grad is not None:".to_owned(),
            format!("        p.grad /= {factor}"),
        ];
        let is_behind = is_own || step.closure.is_some();
        let edit = if is_behind {
            step.source.behind(backward, &lines)
        } else {
            step.source.before(step.stmt, &lines)
        };
        changes.push((step.source, edit.ok_or_else(|| refuse("the statement shares its line with others"))?));
    }
    program::patch(changes, sources, &by_hand)
}
