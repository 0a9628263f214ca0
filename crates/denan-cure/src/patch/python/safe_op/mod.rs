//! `safe-op`: one call's argument is kept away from the edge of its domain, or a form without the edge is written.

mod divisor;
mod empty;
mod forms;
mod guard;

use super::at::{self, Form, Found};
use super::call::{Call, is_forward};
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, definition, expr, number, program, walk};
use denan_finding::Patch;
use denan_record::model::{Operation, Phase};
use guard::Guard;
use ruff_python_ast::Expr;

pub(super) fn patch(
    call: &Call<'_>,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let advice = advice(call);
    let source = Source::open(sources, call.file, &advice)?;
    let refuse = |why: String| NoPatch::new(why, &*advice);
    let place = format!("line {} of {}", call.line, sources.show(source.file()));
    if call.is_form {
        return match forms::edits(&source, call) {
            Some(edits) => source.patch(sources, edits, &advice),
            None => Err(refuse(format!("{place} does not write {} out in a form that is known", call.op))),
        };
    }
    if matches!(call.op, "cross_entropy" | "nll_loss") {
        return empty::cross_entropy(call, context, sources, &advice);
    }
    let seen = call.recorded(context);
    let dtype = seen.and_then(|seen| seen.inputs.first()).map_or("float32", |input| input.dtype.as_str());
    if dtype == "float16" && call.margin.abs() < 3e-8 {
        return Err(refuse(format!("a margin of {} is 0 in {dtype}", number::short(call.margin))));
    }
    let column = seen.and_then(|seen| call.place_of(seen)).map_or(0, |place| place.column);
    let all = at::operations(&source, call.op);
    let found = at::pick(&source, call.line, column, all).map_err(|count| {
        refuse(match count {
            0 => format!(
                "{place} holds no call of {}, so it happens inside something that the line calls",
                call.op
            ),
            _ => format!("{place} holds {count} calls of {} and the record cannot tell them apart", call.op),
        })
    })?;
    let edits = edits(&source, call, &found, seen, dtype).map_err(|why| refuse(why.to_owned()))?;
    source.patch(sources, edits, &advice)
}

fn edits(
    source: &Source,
    call: &Call<'_>,
    found: &Found<'_>,
    seen: Option<&Operation>,
    dtype: &str,
) -> Result<Vec<Edit>, &'static str> {
    let forward = seen.filter(|seen| is_forward(seen));
    let first = found.operand(0).ok_or("the call has no argument")?;
    match call.op {
        "div" | "true_divide" | "reciprocal" => {
            let is_reciprocal = call.op == "reciprocal" && !matches!(found.form, Form::Operator(..));
            let divisor =
                if is_reciprocal { first } else { found.operand(1).ok_or("the call has no divisor")? };
            let is_of_number = matches!(found.form, Form::Operator(left, _) if expr::number(left).is_some());
            let inputs = forward.map(|seen| &seen.inputs[..]);
            if inputs.is_some_and(|inputs| inputs.len() == 1) && !is_of_number && !is_reciprocal {
                return Err("the divisor is a plain number, not a tensor");
            }
            let seen = inputs.and_then(|inputs| inputs.last());
            divisor::guarded(source, divisor, call.margin, seen)
        }
        "pow" | "powi" | "powf" => {
            let exponent = found.operand(1).and_then(expr::number);
            if exponent.is_some_and(|exponent| exponent >= 1.0) {
                return Err("a power of 1 or more is only too large where its base is");
            }
            Ok(Guard::AtLeast(call.margin).around(source, first))
        }
        "mul" => match found.form {
            Form::Operator(_, factor) if forward.is_some_and(|seen| seen.inputs.len() == 1) => {
                let all = source.with_parentheses(factor);
                let bound = number::short(call.margin);
                Ok(vec![Edit::insert(all.start, "min("), Edit::insert(all.end, format!(", {bound})"))])
            }
            _ => Err("which of the factors is too large cannot be told"),
        },
        "std" | "var" | "norm" | "vector_norm" => empty::spread(source, call, found, seen),
        "mean" => empty::mean(source, found),
        _ => {
            let guard = Guard::of(call.op, call.margin, dtype)
                .ok_or("there is no general way to make it safe in its own line")?;
            Ok(guard.around(source, first))
        }
    }
}

fn advice(call: &Call<'_>) -> String {
    let margin = number::short(call.margin);
    match call.op {
        "div" | "true_divide" | "reciprocal" => {
            format!("keep the divisor away from 0, e.g. with .clamp(min={margin}) if it is never negative")
        }
        "logsigmoid" => "write F.logsigmoid(x)".to_owned(),
        "softplus" => "write F.softplus(x)".to_owned(),
        "logsumexp" if call.is_form => "write torch.logsumexp(x, dim)".to_owned(),
        "log_softmax" if call.is_form => "write F.log_softmax(x, dim)".to_owned(),
        "softmax" | "log_softmax" | "logsumexp" => {
            format!(
                "mask with {} instead of -inf, or keep one position of every row",
                number::short(-call.margin)
            )
        }
        "cross_entropy" | "nll_loss" => {
            "divide the sum of the loss by the number of valid targets, at least 1".to_owned()
        }
        "mean" => "skip the mean of nothing, or divide the sum by the count, at least 1".to_owned(),
        "std" | "var" => "pass correction=0, or keep the variance above 0 before its root".to_owned(),
        "mul" => format!("bound the factor by {margin}"),
        op => match Guard::of(op, call.margin, "float32") {
            Some(guard) => {
                format!("keep the argument of {op} inside its domain, e.g. with {}", guard.method())
            }
            None => format!("look at what {op} is given in line {} of {}", call.line, call.file),
        },
    }
}

/// Whether an expression may be written again without drawing random numbers or moving anything.
fn is_pure(expr: &Expr) -> bool {
    const PURE: [&str; 24] = [
        "sum",
        "mean",
        "abs",
        "sqrt",
        "exp",
        "pow",
        "square",
        "unsqueeze",
        "squeeze",
        "view",
        "reshape",
        "norm",
        "std",
        "var",
        "min",
        "max",
        "amin",
        "amax",
        "float",
        "clamp",
        "t",
        "transpose",
        "size",
        "detach",
    ];
    walk::inside(expr).into_iter().all(|part| match part {
        Expr::Call(call) => matches!(expr::method(call), Some((_, name)) if PURE.contains(&name)),
        Expr::Named(_) | Expr::Await(_) | Expr::Yield(_) | Expr::YieldFrom(_) => false,
        _ => true,
    })
}
