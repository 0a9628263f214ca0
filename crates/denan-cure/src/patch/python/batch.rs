//! `smaller-batch`: the size of the batches, as a loader is given it or as rows are drawn by hand.

use super::definition::{self, Defined, calls};
use super::optimizer;
use super::program::{self, Change, Program};
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, expr, walk};
use denan_finding::Patch;
use ruff_python_ast::{Expr, ExprCall, Stmt};

pub(super) fn patch(
    size: u64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let by_hand = format!("make batches of {size} samples");
    let program = Program::of(context, sources);
    let loaders: Vec<(&Source, &Expr)> = program
        .files
        .iter()
        .flat_map(|source| loaders(source).into_iter().map(move |call| (source, call)))
        .filter_map(|(source, call)| Some((source, expr::argument(call, "batch_size", 1)?)))
        .collect();
    let found = match &loaders[..] {
        [] => drawn(&program, context),
        [one] => vec![*one],
        several => {
            let steps = optimizer::steps(&program, context, &optimizer::sites(&program, context));
            let trains = |(source, argument): &&(&Source, &Expr)| {
                let loader = calls(source).find(|call| {
                    let call = range(*call);
                    call.start < range(*argument).start
                        && range(*argument).end < call.end
                        && is_loader_at(source, call.start)
                });
                let used = loader.and_then(|call| variable(source, call));
                used.is_some_and(|used| steps.iter().any(|step| is_looped_over(step, used)))
            };
            several.iter().filter(trains).copied().collect()
        }
    };
    let targets: Vec<Defined<'_>> =
        found.iter().map(|(source, argument)| target(&program, source, argument)).collect();
    let mut changes: Vec<Change<'_>> = Vec::new();
    for own in targets {
        changes.push((own.source, Edit::replace(own.source.with_parentheses(own.expr), size.to_string())));
    }
    if changes.is_empty() {
        return Err(NoPatch::new("where the size of a batch is set cannot be told", by_hand));
    }
    program::patch(changes, sources, &by_hand)
}

/// The one number that defines the size, else the argument itself.
fn target<'a>(program: &'a Program, source: &'a Source, argument: &'a Expr) -> Defined<'a> {
    let values = definition::values(program, source, argument);
    match values[..] {
        [only] if expr::number(only.expr).is_some() => only,
        _ => Defined { source, expr: argument },
    }
}

/// The calls that make a loader of PyTorch.
pub(super) fn loaders(source: &Source) -> Vec<&ExprCall> {
    let is_loader = |call: &&ExprCall| {
        source.names().resolve(&call.func).is_some_and(|path| path.ends_with(".DataLoader"))
    };
    calls(source).filter(is_loader).collect()
}

fn is_loader_at(source: &Source, at: usize) -> bool {
    loaders(source).iter().any(|call| range(*call).start == at)
}

/// The variable that a call's value is given to.
pub(super) fn variable<'a>(source: &'a Source, call: &ExprCall) -> Option<&'a str> {
    match source.around(range(call).start).into_iter().next_back()? {
        Stmt::Assign(assign) if range(&*assign.value) == range(call) => {
            assign.targets.first().map(|own| source.of(own))
        }
        _ => None,
    }
}

/// Whether a step stands in a loop over a variable.
pub(super) fn is_looped_over(step: &optimizer::Step<'_>, variable: &str) -> bool {
    optimizer::loops_around(step.source, range(step.stmt).start).into_iter().any(|stmt| {
        matches!(stmt, Stmt::For(each) if walk::inside(&each.iter).into_iter().any(|part| step.source.of(part) == variable))
    })
}

/// Sizes by which a training loop draws its rows: `torch.randint(0, n, (32,))`, `order[i:i + 32]`, `order.split(32)`,
/// `range(0, n, 32)`. All of one loop must be the same.
fn drawn<'a>(program: &'a Program, context: &PatchContext<'_>) -> Vec<(&'a Source, &'a Expr)> {
    let steps = optimizer::steps(program, context, &optimizer::sites(program, context));
    let mut found: Vec<(&Source, &Expr, f64)> = Vec::new();
    for step in &steps {
        let loops = optimizer::loops_around(step.source, range(step.stmt).start);
        let Some(outer) = loops.first() else { continue };
        if repeats_size(step.source, outer) {
            return Vec::new();
        }
        for part in walk::of_statement(outer) {
            for size in sizes(step.source, part) {
                let values = definition::literals(program, step.source, size);
                let size_known = |value: f64| (value, recorded(context));
                let fitting = values
                    .iter()
                    .map(|(_, value)| size_known(*value))
                    .find(|(value, recorded)| recorded.is_none_or(|recorded| recorded == *value));
                if let Some((value, _)) = fitting {
                    found.push((step.source, size, value));
                }
            }
        }
    }
    let first = found.first().map(|(_, _, value)| *value);
    if found.iter().any(|(_, _, value)| Some(*value) != first) {
        return Vec::new();
    }
    found.into_iter().map(|(source, size, _)| (source, size)).collect()
}

/// Whether a loop writes the size of its batches once more, where rows are not drawn: what is made there would no longer
/// fit to a smaller batch.
pub(super) fn repeats_size(source: &Source, outer: &Stmt) -> bool {
    let all = walk::of_statement(outer);
    let own: Vec<&Expr> = all.iter().flat_map(|part| sizes(source, part)).collect();
    let is_own = |part: &Expr| own.iter().any(|size| std::ptr::eq(*size, part));
    let values: Vec<f64> = own.iter().filter_map(|size| expr::number(size)).collect();
    let is_size =
        |part: &&Expr| expr::number(part).is_some_and(|value| values.contains(&value)) && !is_own(part);
    let is_in_shape = |part: &Expr| {
        all.iter().any(|call| {
            matches!(call, Expr::Call(call) if source.names().resolve(&call.func).is_some_and(|path| path.starts_with("torch."))
                && call.arguments.args.iter().any(|argument| walk::inside(argument).iter().any(|inner| std::ptr::eq(*inner, part))))
        })
    };
    all.iter().copied().filter(is_size).any(is_in_shape)
}

/// The size of the breaking batch.
fn recorded(context: &PatchContext<'_>) -> Option<f64> {
    let samples = context.break_.samples.len();
    if samples > 0 {
        return Some(samples as f64);
    }
    let run = context.run?;
    let batch = run.batches.last().map(|batch| batch.samples.len()).filter(|samples| *samples > 0);
    batch.map(|samples| samples as f64)
}

/// The expressions in a call or a slice that say how many rows are drawn.
fn sizes<'a>(source: &Source, part: &'a Expr) -> Vec<&'a Expr> {
    match part {
        Expr::Call(call) => {
            let path = source.names().resolve(&call.func);
            match path.as_deref() {
                Some("torch.randint") => {
                    let size = expr::keyword(call, "size").or_else(|| call.arguments.args.last());
                    size.and_then(expr::elements)
                        .filter(|all| all.len() == 1)
                        .map(|all| &all[0])
                        .into_iter()
                        .collect()
                }
                Some(_) => Vec::new(),
                None => match (expr::method(call), &*call.func) {
                    (Some((_, "split")), _) => call.arguments.args.first().into_iter().collect(),
                    (_, Expr::Name(name)) if name.id.as_str() == "range" => {
                        call.arguments.args.get(2).into_iter().collect()
                    }
                    _ => Vec::new(),
                },
            }
        }
        Expr::Subscript(subscript) => {
            let slices = match &*subscript.slice {
                Expr::Slice(slice) => vec![slice],
                Expr::Tuple(tuple) => {
                    tuple.elts.first().and_then(|first| first.as_slice_expr()).into_iter().collect()
                }
                _ => Vec::new(),
            };
            let of_slice = |slice: &'a ruff_python_ast::ExprSlice| {
                let upper = slice.upper.as_deref()?;
                let is_permutation = || matches!(&*subscript.value, Expr::Call(call) if source.names().resolve(&call.func).as_deref() == Some("torch.randperm"));
                match (slice.lower.as_deref(), upper) {
                    (Some(lower), Expr::BinOp(sum)) if source.of(&*sum.left) == source.of(lower) => {
                        Some(&*sum.right)
                    }
                    (None, upper) if is_permutation() => Some(upper),
                    _ => None,
                }
            };
            slices.into_iter().filter_map(of_slice).collect()
        }
        _ => Vec::new(),
    }
}
