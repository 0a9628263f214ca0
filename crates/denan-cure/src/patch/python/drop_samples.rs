//! `drop-samples`: the loader's data set without them, or the rows that are drawn by hand.

use super::batch::{is_looped_over, loaders, repeats_size, variable};
use super::optimizer::{self, Step};
use super::program::{self, Change, Program};
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, expr, walk};
use denan_finding::Patch;
use ruff_python_ast::{Expr, ExprCall, Stmt};
use std::collections::BTreeSet;

/// More samples than this belong into a cleaned data set, not into source.
const MOST_SAMPLES: usize = 32;

pub(super) fn patch(
    indices: &[u64],
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let by_hand = format!("repair or leave out {}", context.samples_left_out(indices));
    let refuse = |why: String| NoPatch::new(why, &*by_hand);
    if indices.len() > MOST_SAMPLES {
        return Err(refuse(format!("{} samples are too many to write into the source", indices.len())));
    }
    let program = Program::of(context, sources);
    let steps = optimizer::steps(&program, context, &optimizer::sites(&program, context));
    let all: Vec<(&Source, &ExprCall)> = program
        .files
        .iter()
        .flat_map(|source| loaders(source).into_iter().map(move |call| (source, call)))
        .collect();
    let list = indices.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    if all.is_empty() {
        let changes = by_rows(&steps, &list).map_err(|why| refuse(why.to_owned()))?;
        return program::patch(changes, sources, &by_hand);
    }
    let trains = |(source, call): &&(&Source, &ExprCall)| {
        let is_in_header = || {
            steps.iter().any(|step| {
                std::ptr::eq(*source, step.source)
                    && optimizer::loops_around(step.source, range(step.stmt).start).into_iter().any(|stmt| {
                        matches!(stmt, Stmt::For(each) if range(&*each.iter).contains(&range(*call).start))
                    })
            })
        };
        match variable(source, call) {
            Some(name) => steps.iter().any(|step| is_looped_over(step, name)),
            None => is_in_header(),
        }
    };
    let chosen = match &all[..] {
        [one] => Some(*one),
        several => {
            let mut own = several.iter().filter(trains);
            own.next().copied().filter(|_| own.next().is_none())
        }
    };
    let Some((source, call)) = chosen else {
        return Err(refuse(format!("{} loaders are made, and the training's cannot be told", all.len())));
    };
    let edits = subset(source, call, &list).map_err(|why| refuse(why.to_owned()))?;
    program::patch(edits.into_iter().map(|edit| (source, edit)).collect(), sources, &by_hand)
}

/// `DataLoader(data, …)` becomes `DataLoader(torch.utils.data.Subset(data, […]), …)`.
fn subset(source: &Source, call: &ExprCall, list: &str) -> Result<Vec<Edit>, &'static str> {
    if ["sampler", "batch_sampler"].iter().any(|name| expr::keyword(call, name).is_some()) {
        return Err("a sampler of the program's own chooses the samples");
    }
    let data = expr::argument(call, "dataset", 0).ok_or("the loader names no data set")?;
    let mut edits = Vec::new();
    let class = source.reach("torch.utils.data.Subset", &mut edits);
    let kept =
        |name: &str| format!("{class}({name}, [i for i in range(len({name})) if i not in {{{list}}}])");
    if matches!(data, Expr::Name(_) | Expr::Attribute(_)) {
        edits.push(Edit::replace(source.with_parentheses(data), kept(source.of(data))));
        return Ok(edits);
    }
    let stmt =
        source.around(range(call).start).into_iter().next_back().ok_or("the loader is made nowhere")?;
    let used: BTreeSet<&str> =
        source.expressions().into_iter().filter_map(|expr| Some(expr.as_name_expr()?.id.as_str())).collect();
    let name = ["dataset", "all_samples", "whole_dataset"].into_iter().find(|name| !used.contains(name));
    let name = name.ok_or("no name is free for the data set")?;
    let text = source.of(data);
    if text.contains('\n') {
        return Err("the data set is made on several lines inside of the loader");
    }
    let line = source.before(stmt, &[format!("{name} = {text}")]).ok_or("the loader shares its line")?;
    edits.push(line);
    edits.push(Edit::replace(source.with_parentheses(data), kept(name)));
    Ok(edits)
}

/// The rows that a loop draws by hand, without some.
fn by_rows<'a>(steps: &[Step<'a>], list: &str) -> Result<Vec<Change<'a>>, &'static str> {
    let mut found: Vec<(&Source, &str, Edit)> = Vec::new();
    for step in steps {
        let source = step.source;
        let loops = optimizer::loops_around(source, range(step.stmt).start);
        let Some(outer) = loops.first() else { continue };
        if repeats_size(source, outer) {
            return Err("the size of a batch is written in the loop once more, so that none may get smaller");
        }
        let all = walk::of_statement(outer);
        let is_index = |name: &str| {
            all.iter().any(|part| {
                let Expr::Subscript(subscript) = part else { return false };
                let first =
                    expr::elements(&subscript.slice).and_then(<[Expr]>::first).unwrap_or(&subscript.slice);
                matches!(first, Expr::Name(own) if own.id.as_str() == name)
            })
        };
        let mut edits = Vec::new();
        let function = source.reach("torch.isin", &mut edits);
        let tensor = source.reach("torch.tensor", &mut edits);
        let line = |name: &str| [format!("{name} = {name}[~{function}({name}, {tensor}([{list}]))]")];
        for stmt in walk::statements(std::slice::from_ref(*outer)) {
            let (name, edit) = match stmt {
                Stmt::For(each) if draws_rows(source, &each.iter) => {
                    let Some(name) = each.target.as_name_expr().map(|name| name.id.as_str()) else {
                        continue;
                    };
                    let Some(first) = each.body.first() else { continue };
                    (name, source.before(first, &line(name)))
                }
                Stmt::Assign(assign) if draws_rows(source, &assign.value) => {
                    let [Expr::Name(name)] = &assign.targets[..] else { continue };
                    (name.id.as_str(), source.behind(stmt, &line(&name.id)))
                }
                _ => continue,
            };
            if is_index(name) {
                let edit = edit.ok_or("the rows are drawn on a line that holds other statements")?;
                found.extend(edits.iter().map(|edit| (source, name, edit.clone())));
                found.push((source, name, edit));
            }
        }
    }
    let names: BTreeSet<&str> = found.iter().map(|(_, name, _)| *name).collect();
    if names.len() != 1 {
        return Err("the program has no loader, and which rows it draws cannot be told");
    }
    Ok(found.into_iter().map(|(source, _, edit)| (source, edit)).collect())
}

/// Whether an expression gives row numbers: `torch.randint(…)`, `order[i:i + 32]`, `order.split(32)`.
fn draws_rows(source: &Source, value: &Expr) -> bool {
    match value {
        Expr::Call(call) => match source.names().resolve(&call.func).as_deref() {
            Some(path) => matches!(path, "torch.randint" | "torch.randperm"),
            None => {
                matches!(expr::method(call), Some((receiver, "split" | "chunk")) if is_order(source, receiver))
            }
        },
        Expr::Subscript(subscript) => {
            matches!(&*subscript.slice, Expr::Slice(_)) && is_order(source, &subscript.value)
        }
        _ => false,
    }
}

/// Whether it is a permutation of row numbers.
fn is_order(source: &Source, value: &Expr) -> bool {
    match value {
        Expr::Call(call) => source.names().resolve(&call.func).as_deref() == Some("torch.randperm"),
        Expr::Name(name) => source.statements().into_iter().any(|stmt| {
            matches!(stmt, Stmt::Assign(assign) if !assign.value.is_name_expr() && is_order(source, &assign.value)
                && assign.targets.iter().any(|target| matches!(target, Expr::Name(own) if own.id == name.id)))
        }),
        _ => false,
    }
}
