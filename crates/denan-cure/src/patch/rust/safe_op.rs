//! `safe-op`: one call's argument is kept away from the edge of its domain.

use super::call::{Call, is_forward};
use super::expr::{self, inside_parentheses, is_scalar};
use super::place::{Candidate, pick};
use super::source::{Edit, Source, range};
use super::{NoPatch, PatchContext, SourceTree, at_line, number, walk};
use denan_finding::Patch;
use denan_record::model::TensorSeen;
use denan_record::plan::exponent_limit;
use syn::{BinOp, Expr, ExprMethodCall};

pub(super) fn patch(
    call: &Call<'_>,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    if matches!(call.op, "softmax" | "log_softmax") {
        return unmasked(call, sources);
    }
    if call.is_form {
        return softplus(call, sources);
    }
    if call.op == "mul" {
        return bounded_factor(call, context, sources);
    }
    let seen = call.recorded(context);
    let dtype = seen.and_then(|seen| seen.inputs.first()).map_or("float32", |input| input.dtype.as_str());
    let Some(function) = Function::of(call.op, call.margin, dtype) else {
        return Err(NoPatch::new(
            format!("there is no general way to make {} safe in its own line", call.op),
            format!("look at what {} is given in line {} of {}", call.op, call.line, sources.show(call.file)),
        ));
    };
    let by_hand = function.advice(call.op);
    let refuse = |why: String| NoPatch::new(why, by_hand.clone());
    if dtype_flushes(dtype, call.margin) && !matches!(function, Function::Exp { .. }) {
        return Err(refuse(format!("a margin of {} is 0 in {dtype}", number::short(call.margin))));
    }

    let source = Source::open(sources, call.file, &by_hand)?;
    let column = seen.and_then(|seen| call.place_of(seen)).map_or(0, |place| place.column);
    let site = pick(&source, call.line, column, candidates(&source, call.op)).map_err(|count| {
        let line = format!("line {} of {}", call.line, sources.show(source.file()));
        let in_macro = || {
            let lines = |hidden: std::ops::Range<usize>| source.line(hidden.start)..=source.line(hidden.end);
            walk::opaque_macros(source.syntax()).into_iter().any(|hidden| lines(hidden).contains(&call.line))
        };
        refuse(match count {
            0 if in_macro() => {
                format!("{line} is inside a macro call whose content is no plain expression")
            }
            0 => format!(
                "{line} holds no call of {}, so it happens inside something that the line calls",
                call.op
            ),
            _ => format!("{line} holds {count} calls of {} and the record cannot tell them apart", call.op),
        })
    })?;

    let edits = match (function, &site) {
        (Function::Divide, Site::Divisor(divisor)) => {
            let seen = seen.filter(|seen| is_forward(seen));
            if call.op == "div" && seen.is_some_and(|seen| seen.inputs.len() == 1) {
                return Err(NoPatch::new(
                    "the divisor is a plain number, not a tensor",
                    "make sure that the number in the divisor is not 0, e.g. with .max(1.0)",
                ));
            }
            let divisor_seen = seen
                .and_then(|seen| if call.op == "recip" { seen.inputs.first() } else { seen.inputs.get(1) });
            guard_divisor(&source, divisor, call.margin, Sign::of(divisor_seen)).map_err(refuse)?
        }
        (Function::Divide, Site::Receiver(method)) => {
            let seen = seen.filter(|seen| is_forward(seen));
            let sign = Sign::of(seen.and_then(|seen| seen.inputs.first()));
            match sign.guard(call.margin) {
                Some(guard) => guard_receiver(&source, method, guard),
                None if expr::is_variable(without_clone(&method.receiver)) => {
                    vec![fill_small(&source, &method.receiver, call.margin)]
                }
                None => {
                    return Err(refuse("the argument of recip may have either sign".to_owned()));
                }
            }
        }
        (Function::Power, Site::Receiver(method)) => {
            let exponent = method.args.first().and_then(expr::number).or_else(|| {
                let seen = seen.filter(|seen| seen.carried_out.is_none());
                seen.and_then(|seen| seen.scalar)
            });
            let base = seen.filter(|seen| is_forward(seen)).and_then(|seen| seen.inputs.first());
            match exponent {
                Some(exponent) if exponent >= 1.0 => {
                    return Err(NoPatch::new(
                        format!("a power of {} is only too large where its base is", number::short(exponent)),
                        "make the base smaller, e.g. by normalising it",
                    ));
                }
                // A whole exponent is defined for negative bases, which a clamp would change.
                Some(exponent) if exponent.fract() == 0.0 && Sign::of(base) != Sign::NotNegative => {
                    return Err(refuse("the base may have either sign".to_owned()));
                }
                Some(_) => guard_receiver(&source, method, Guard::AtLeast(call.margin)),
                None => return Err(refuse("the exponent is not known".to_owned())),
            }
        }
        (Function::Exp { least, most }, Site::Receiver(method)) => {
            match widen_clamp(&method.receiver, Guard::AtMost(most)) {
                Some(edit) => vec![edit],
                None => guard_receiver(&source, method, Guard::Within(least, most)),
            }
        }
        (Function::Domain(guard), Site::Receiver(method)) => guard_receiver(&source, method, guard),
        (_, Site::Divisor(_)) => {
            return Err(refuse("the line divides where another call was expected".to_owned()));
        }
    };
    source.patch(sources, edits, &by_hand)
}

/// `softmax(x, 1)` becomes `softmax(x.clamp_min(-1e9), 1)`: a row that is masked everywhere becomes even.
fn unmasked(call: &Call<'_>, sources: &dyn SourceTree) -> Result<Patch, NoPatch> {
    let low = number::short(-call.margin);
    let by_hand = format!("mask with {low} instead of -inf, or keep one position of every row");
    let (source, softmax) = at_line::function(call.file, call.line, &[call.op], sources, &by_hand)?;
    let argument = softmax.args.first().ok_or_else(|| NoPatch::new("the call has no argument", &*by_hand))?;
    let at = range(argument);
    let edits = if expr::takes_method(argument) {
        vec![Edit::insert(at.end, format!(".clamp_min({low})"))]
    } else {
        vec![Edit::insert(at.start, "("), Edit::insert(at.end, format!(").clamp_min({low})"))]
    };
    source.patch(sources, edits, &by_hand)
}

/// `sum * per_target` becomes `sum * per_target.min(1.0)`.
fn bounded_factor(
    call: &Call<'_>,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    let bound = format!("{:?}", call.margin);
    let by_hand = format!("bound the factor: .min({bound})");
    let source = Source::open(sources, call.file, &by_hand)?;
    let mut factors = Vec::new();
    walk::expressions(source.syntax(), &mut |expr| {
        let (key, factor) = match expr {
            Expr::Binary(binary) if matches!(binary.op, BinOp::Mul(_)) => {
                (range(&*binary.left).start, (*binary.right).clone())
            }
            Expr::MethodCall(method) if method.method == "mul_scalar" && method.args.len() == 1 => {
                (range(&method.method).start, method.args[0].clone())
            }
            _ => return,
        };
        factors.push(Candidate { key, range: range(expr), what: factor });
    });
    let column = call.recorded(context).and_then(|seen| call.place_of(seen)).map_or(0, |place| place.column);
    let factor = pick(&source, call.line, column, vec![factors]).map_err(|count| {
        NoPatch::new(format!("line {} holds {count} products that may be meant", call.line), &*by_hand)
    })?;
    let all = range(&factor);
    let edits = if expr::takes_method(&factor) {
        vec![Edit::insert(all.end, format!(".min({bound})"))]
    } else {
        vec![Edit::insert(all.start, "("), Edit::insert(all.end, format!(").min({bound})"))]
    };
    source.patch(sources, edits, &by_hand)
}

/// `(x.exp() + 1.0).log()` becomes `burn::tensor::activation::softplus(x, 1.0)`.
fn softplus(call: &Call<'_>, sources: &dyn SourceTree) -> Result<Patch, NoPatch> {
    let by_hand = "use burn::tensor::activation::softplus(x, 1.0)";
    let source = Source::open(sources, call.file, by_hand)?;
    let mut found: Vec<Edit> = Vec::new();
    walk::expressions(source.syntax(), &mut |expr| {
        let Some(argument) = softplus_of(expr) else { return };
        let lines = source.line(range(expr).start)..=source.line(range(expr).end);
        if lines.contains(&call.line) {
            let argument = source.text(range(argument));
            let name = format!("burn::tensor::activation::softplus({argument}, 1.0)");
            found.push(Edit::replace(range(expr), name));
        }
    });
    let count = found.len();
    let [edit] = <[Edit; 1]>::try_from(found).map_err(|_| {
        let line = format!("line {} of {}", call.line, sources.show(source.file()));
        NoPatch::new(format!("{line} holds {count} of the form (x.exp() + 1.0).log()"), by_hand)
    })?;
    source.patch(sources, vec![edit], by_hand)
}

/// `x`, of `(x.exp() + 1.0).log()`, `(x.exp().add_scalar(1.0)).log()` and `x.exp().log1p()`.
fn softplus_of(expr: &Expr) -> Option<&Expr> {
    let Expr::MethodCall(log) = expr else { return None };
    let inner = inside_parentheses(&log.receiver);
    let is_one = |expr: &Expr| expr::number(expr) == Some(1.0);
    let exp = match (log.method.to_string().as_str(), inner) {
        ("log1p", inner) => inner,
        ("log", Expr::Binary(sum)) if matches!(sum.op, BinOp::Add(_)) && is_one(&sum.right) => &sum.left,
        ("log", Expr::MethodCall(sum))
            if sum.method == "add_scalar" && sum.args.first().is_some_and(is_one) =>
        {
            &sum.receiver
        }
        _ => return None,
    };
    match inside_parentheses(exp) {
        Expr::MethodCall(call) if call.method == "exp" && call.args.is_empty() => Some(&call.receiver),
        _ => None,
    }
}

/// How a call's argument can leave its domain.
#[derive(Clone, Copy)]
enum Function {
    /// A domain with edges.
    Domain(Guard),
    /// Overflows above some argument, is 0 below another.
    Exp { least: f64, most: f64 },
    /// Undefined at 0, defined on both sides of it.
    Divide,
    /// Depends on the exponent.
    Power,
}

/// Values that an argument is kept to.
#[derive(Clone, Copy)]
enum Guard {
    AtLeast(f64),
    AtMost(f64),
    Within(f64, f64),
}

impl Function {
    fn of(op: &str, margin: f64, dtype: &str) -> Option<Self> {
        // Next to 1 a margin must be at least the spacing of the numbers there.
        let near_one = margin.max(spacing_at_one(dtype));
        Some(match op {
            "log" | "sqrt" => Self::Domain(Guard::AtLeast(margin)),
            "log1p" => Self::Domain(Guard::AtLeast(-1.0 + near_one)),
            "acosh" => Self::Domain(Guard::AtLeast(1.0 + near_one)),
            "acos" | "asin" | "atanh" => Self::Domain(Guard::Within(-1.0 + near_one, 1.0 - near_one)),
            "exp" => Self::Exp { least: -exponent_limit(dtype), most: margin },
            "div" | "recip" => Self::Divide,
            "powf" | "powi" => Self::Power,
            _ => return None,
        })
    }

    fn advice(self, op: &str) -> String {
        match self {
            Self::Domain(guard) => {
                format!("keep the argument of {op} inside its domain, e.g. with {}", guard.method())
            }
            Self::Exp { least, most } => {
                format!("keep the argument of {op} small, e.g. with {}", Guard::Within(least, most).method())
            }
            Self::Divide => {
                "keep the divisor away from 0, e.g. with .clamp_min(1e-7) if it is never negative".to_owned()
            }
            Self::Power => "keep the base away from 0, e.g. with .clamp_min(1e-7)".to_owned(),
        }
    }
}

impl Guard {
    /// The call of burn that does it.
    fn method(self) -> String {
        match self {
            Self::AtLeast(low) => format!(".clamp_min({})", number::short(low)),
            Self::AtMost(high) => format!(".clamp_max({})", number::short(high)),
            Self::Within(low, high) => {
                format!(".clamp({}, {})", number::short(low), number::short(high))
            }
        }
    }
}

/// Which side of 0 a divisor was seen on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sign {
    NotNegative,
    NotPositive,
    Unknown,
}

impl Sign {
    fn of(tensor: Option<&TensorSeen>) -> Self {
        let bounds = tensor.and_then(|tensor| Some((tensor.range.min_opt()?, tensor.range.max_opt()?)));
        match bounds {
            Some((min, _)) if min >= 0.0 => Self::NotNegative,
            Some((_, max)) if max <= 0.0 => Self::NotPositive,
            _ => Self::Unknown,
        }
    }

    fn guard(self, margin: f64) -> Option<Guard> {
        match self {
            Self::NotNegative => Some(Guard::AtLeast(margin)),
            Self::NotPositive => Some(Guard::AtMost(-margin)),
            Self::Unknown => None,
        }
    }
}

/// What is to be changed at the place.
enum Site {
    /// The receiver of a method call.
    Receiver(Box<ExprMethodCall>),
    /// What is divided by.
    Divisor(Box<Expr>),
}

/// Everything in the file that may be the operation, the likeliest group first.
fn candidates(source: &Source, op: &str) -> Vec<Vec<Candidate<Site>>> {
    let mut own = Vec::new();
    let mut others = Vec::new();
    walk::expressions(source.syntax(), &mut |expr| match expr {
        Expr::MethodCall(call) if !is_scalar(&call.receiver) => {
            let name = call.method.to_string();
            let receiver = || Site::Receiver(Box::new(call.clone()));
            let argument = call.args.first();
            let (group, what) = match (op, name.as_str(), call.args.len()) {
                ("div", "div", 1) => match argument {
                    Some(divisor) if !is_scalar(divisor) => {
                        (&mut own, Site::Divisor(Box::new(divisor.clone())))
                    }
                    _ => return,
                },
                ("powf", "powf" | "powf_scalar", 1) => (&mut own, receiver()),
                ("powi", "powi" | "powi_scalar" | "powf_scalar", 1) => (&mut own, receiver()),
                // burn turns an exponent of -1 into a reciprocal.
                ("recip", "powf_scalar" | "powi_scalar", 1)
                    if argument.and_then(expr::number) == Some(-1.0) =>
                {
                    (&mut others, receiver())
                }
                (_, method, 0) if method == op => (&mut own, receiver()),
                _ => return,
            };
            group.push(Candidate { key: range(&call.method).start, range: range(call), what });
        }
        Expr::Binary(binary) if matches!(binary.op, BinOp::Div(_) | BinOp::DivAssign(_)) => {
            if is_scalar(&binary.right) {
                return;
            }
            let group = match op {
                "div" => &mut own,
                // burn turns number / tensor into a reciprocal.
                "recip" => &mut others,
                _ => return,
            };
            let all = range(binary);
            let what = Site::Divisor(Box::new((*binary.right).clone()));
            group.push(Candidate { key: all.start, range: all, what });
        }
        _ => {}
    });
    vec![own, others]
}

/// Puts the guard between a method call and its receiver.
fn guard_receiver(source: &Source, call: &ExprMethodCall, guard: Guard) -> Vec<Edit> {
    if let Some(edit) = widen_clamp(&call.receiver, guard) {
        return vec![edit];
    }
    let dot = range(&call.dot_token).start;
    // A chain that has a line for every call gets one more line.
    let line_end = source.indentation_before(dot).map(|indentation| format!("\n{indentation}"));
    vec![Edit::insert(dot, guard.method() + &line_end.unwrap_or_default())]
}

/// A clamp that is there already only needs another number.
fn widen_clamp(receiver: &Expr, guard: Guard) -> Option<Edit> {
    let Expr::MethodCall(clamp) = inside_parentheses(receiver) else {
        return None;
    };
    let name = clamp.method.to_string();
    let (argument, limit) = match (name.as_str(), clamp.args.len(), guard) {
        ("clamp_min", 1, Guard::AtLeast(low)) | ("clamp", 2, Guard::AtLeast(low)) => {
            (clamp.args.first()?, low)
        }
        ("clamp_max", 1, Guard::AtMost(high)) => (clamp.args.first()?, high),
        ("clamp", 2, Guard::AtMost(high)) => (clamp.args.last()?, high),
        _ => return None,
    };
    expr::number(argument)?;
    Some(Edit::replace(range(argument), number::short(limit)))
}

fn guard_divisor(source: &Source, divisor: &Expr, margin: f64, sign: Sign) -> Result<Vec<Edit>, String> {
    let all = range(divisor);
    let Some(guard) = sign.guard(margin) else {
        let inner = inside_parentheses(divisor);
        if expr::is_variable(without_clone(inner)) {
            return Ok(vec![fill_small(source, inner, margin)]);
        }
        let text = source.text(range(inner));
        if text.contains('\n') {
            return Err("the divisor may have either sign and takes several lines".to_owned());
        }
        let margin = number::short(margin);
        let safe = format!(
            "{{ let divisor = {text}; divisor.clone().mask_fill(divisor.abs().lower_scalar({margin}), {margin}) }}"
        );
        return Ok(vec![Edit::replace(all, safe)]);
    };
    if let Some(edit) = widen_clamp(divisor, guard) {
        return Ok(vec![edit]);
    }
    if expr::takes_method(divisor) {
        return Ok(vec![Edit::insert(all.end, guard.method())]);
    }
    Ok(vec![Edit::insert(all.start, "("), Edit::insert(all.end, format!("){}", guard.method()))])
}

/// Replaces a variable by itself with the values next to 0 filled in, which keeps the sign of all others.
fn fill_small(source: &Source, variable: &Expr, margin: f64) -> Edit {
    let used = source.text(range(variable));
    let name = source.text(range(without_clone(variable)));
    let margin = number::short(margin);
    Edit::replace(
        range(variable),
        format!("{name}.clone().mask_fill({used}.abs().lower_scalar({margin}), {margin})"),
    )
}

fn without_clone(expr: &Expr) -> &Expr {
    match expr {
        Expr::MethodCall(call) if call.method == "clone" && call.args.is_empty() => &call.receiver,
        _ => expr,
    }
}

/// A little more than the spacing of numbers just below 1.
fn spacing_at_one(dtype: &str) -> f64 {
    match dtype {
        "float16" | "f16" => 1e-3,
        "bfloat16" | "bf16" => 5e-3,
        "float64" | "f64" => 1e-15,
        _ => 1e-7,
    }
}

/// Whether the margin is below half of the smallest number of the dtype (2^-24 in float16).
fn dtype_flushes(dtype: &str, margin: f64) -> bool {
    matches!(dtype, "float16" | "f16") && margin < 3e-8
}
