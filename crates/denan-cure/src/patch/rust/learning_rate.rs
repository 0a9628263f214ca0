//! `lower-learning-rate`: the rate where it is defined, or where it is handed to the optimizer.

use super::definition::{self, Number};
use super::expr;
use super::optimizer::function_around;
use super::place::{Candidate, pick};
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, number, walk};
use denan_finding::Patch;
use denan_record::model::Place;
use syn::{BinOp, Expr, ExprMethodCall};

pub(super) fn patch(
    factor: f64,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let by_hand = context.lower_rate(factor);
    let all = Source::all(sources);
    let (source, edits) =
        edits(factor, &all, context, sources).map_err(|why| NoPatch::new(why, &*by_hand))?;
    source.patch(sources, edits, &by_hand)
}

/// The changes that multiply the rate by `factor`, and the file that they are of.
pub(super) fn edits<'a>(
    factor: f64,
    all: &'a [Source],
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<(&'a Source, Vec<Edit>), String> {
    let (source, step) = only_step(all, context, sources)?;
    let rate = step.args.first().ok_or("step is called without a rate")?;
    if let Some(literal) = definition::literal(source, rate) {
        return Ok((source, vec![scaled(&literal, factor)]));
    }
    let is_rate = |number: &Number<'_>| match context.learning_rate {
        Some(rate) => (number.value - rate).abs() <= 1e-6 * rate.abs(),
        None => true,
    };
    let defined: Vec<Number<'_>> =
        definition::literals(all, source, range(rate).start, rate).into_iter().filter(is_rate).collect();
    if let [definition] = defined.as_slice() {
        return Ok((definition.source, vec![scaled(definition, factor)]));
    }
    // `lr * 0.5` needs no second factor.
    if let Expr::Binary(binary) = rate
        && matches!(binary.op, BinOp::Mul(_))
        && let Some(literal) = definition::literal(source, &binary.right)
    {
        return Ok((source, vec![scaled(&literal, factor)]));
    }
    Ok((source, times(rate, &number::short(factor))))
}

/// The call of `optimizer.step(rate, module, gradients)` where it is the only one in its function: an experiment acts
/// on the steps of all optimizers.
pub(super) fn only_step<'a>(
    all: &'a [Source],
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<(&'a Source, ExprMethodCall), String> {
    let (source, step) = find_step(all, context.step_place, sources)?;
    let function = function_around(source, range(&step).start);
    let is_beside = |call: &&Candidate<ExprMethodCall>| {
        function.as_ref().is_some_and(|function| function.contains(&call.range.start))
    };
    match steps(source).iter().filter(is_beside).count() {
        0 | 1 => Ok((source, step)),
        several => Err(format!("{several} optimizers make steps there")),
    }
}

/// The call of `optimizer.step(rate, module, gradients)`.
pub(super) fn find_step<'a>(
    all: &'a [Source],
    place: Option<&Place>,
    sources: &dyn SourceTree,
) -> Result<(&'a Source, ExprMethodCall), String> {
    let Some(place) = place else {
        let mut found: Vec<(&Source, ExprMethodCall)> = Vec::new();
        for source in all {
            let own = steps(source).into_iter().filter(|candidate| !source.is_test(candidate.key));
            found.extend(own.map(|candidate| (source, candidate.what)));
        }
        return match <[_; 1]>::try_from(found) {
            Ok([found]) => Ok(found),
            Err(several) => Err(format!("the program has {} calls of optimizer.step(…)", several.len())),
        };
    };
    let source = all
        .iter()
        .find(|source| source.file() == place.file)
        .or_else(|| all.iter().find(|source| source.is(&place.file)))
        .ok_or_else(|| format!("{} is not among the program's own sources", place.file))?;
    let line = || format!("line {} of {}", place.line, sources.show(source.file()));
    // The place may be of a macro or a function around the call; there is hardly a second one beside it.
    let exact = pick(source, place.line, place.column, vec![steps(source)]);
    match exact.or_else(|_| pick(source, place.line, 0, vec![steps(source)])) {
        Ok(call) => Ok((source, call)),
        Err(0) => Err(format!("{} holds no call of optimizer.step(…)", line())),
        Err(count) => Err(format!("{} holds {count} calls of optimizer.step(…)", line())),
    }
}

/// All calls of `optimizer.step(rate, module, gradients)` in a file.
fn steps(source: &Source) -> Vec<Candidate<ExprMethodCall>> {
    let mut calls = Vec::new();
    walk::expressions(source.syntax(), &mut |expr| {
        if let Expr::MethodCall(call) = expr {
            // A scheduler's `step` takes no argument, an optimizer's three.
            if (call.method == "step" || call.method == "step_multi") && call.args.len() == 3 {
                let what = call.clone();
                calls.push(Candidate { key: range(&call.method).start, range: range(call), what });
            }
        }
    });
    calls
}

fn scaled(number: &Number<'_>, factor: f64) -> Edit {
    Edit::replace(number.digits.clone(), number::in_notation(number.value * factor, number.notation))
}

/// `rate` becomes `rate * factor`, in parentheses where it needs them.
pub(super) fn times(rate: &Expr, factor: &str) -> Vec<Edit> {
    let all = range(rate);
    let binds_as_tightly = match rate {
        Expr::Binary(binary) => matches!(binary.op, BinOp::Mul(_) | BinOp::Div(_) | BinOp::Rem(_)),
        Expr::Unary(_) | Expr::Cast(_) | Expr::Lit(_) => true,
        rate => expr::takes_method(rate),
    };
    if binds_as_tightly {
        vec![Edit::insert(all.end, format!(" * {factor}"))]
    } else {
        vec![Edit::insert(all.start, "("), Edit::insert(all.end, format!(") * {factor}"))]
    }
}
