//! Reductions over nothing, or over what does not differ: means, norms, spreads, losses without a target.

use super::program::{self, Program};
use super::{
    Call, Edit, Form, Found, NoPatch, Operation, PatchContext, Phase, Source, SourceTree, at, definition,
    expr, is_pure, number, range,
};
use denan_finding::Patch;
use ruff_python_ast::{Expr, ExprCall};

/// `x[mask].mean()` becomes `x[mask].sum() / max(x[mask].numel(), 1)`.
pub(super) fn mean(source: &Source, found: &Found<'_>) -> Result<Vec<Edit>, &'static str> {
    let (Some(call), Some(whole), Some(first)) = (found.call(), found.whole, found.operand(0)) else {
        return Err("the mean is not written as a call");
    };
    let is_plain = call.arguments.len() == usize::from(matches!(found.form, Form::Function(_)));
    if !is_plain || !is_pure(first) {
        return Err("the mean has arguments of its own");
    }
    let sum = expr::method_text(source, first, ".sum()");
    let count = expr::method_text(source, first, ".numel()");
    let mut text = format!("{sum} / max({count}, 1)");
    if source.with_parentheses(whole) == range(whole) && !is_alone(source, whole) {
        text = format!("({text})");
    }
    Ok(vec![Edit::replace(range(whole), text)])
}

/// Whether an expression is all that a statement works out.
fn is_alone(source: &Source, whole: &Expr) -> bool {
    use ruff_python_ast::Stmt;
    source.around(range(whole).start).last().is_some_and(|stmt| match stmt {
        Stmt::Assign(assign) => range(&*assign.value) == range(whole),
        Stmt::Return(back) => back.value.as_ref().is_some_and(|value| range(&**value) == range(whole)),
        _ => false,
    })
}

/// `x.std(0)` becomes `x.var(0).clamp(min=m).sqrt()`, `x.norm(dim=1)` the root of a sum that is kept above 0; where it
/// was the value itself that broke, the divisor becomes the number of values instead of one less.
pub(super) fn spread(
    source: &Source,
    call: &Call<'_>,
    found: &Found<'_>,
    seen: Option<&Operation>,
) -> Result<Vec<Edit>, &'static str> {
    let own = found.call().ok_or("it is not written as a call")?;
    let floor = format!(".clamp(min={}).sqrt()", number::short(call.margin));
    let is_backward = seen.is_none_or(|seen| seen.phase == Phase::Backward);
    if !is_backward && matches!(call.op, "std" | "var") {
        let given = ["unbiased", "correction"].into_iter().find(|name| expr::keyword(own, name).is_some());
        return Ok(vec![match given {
            Some("unbiased") => expr::set_argument(source, own, "unbiased", "False"),
            _ => expr::set_argument(source, own, "correction", "0"),
        }]);
    }
    match call.op {
        "std" => {
            let name = match &*own.func {
                Expr::Attribute(attribute) => Edit::replace(range(&attribute.attr), "var"),
                _ => return Err("std is imported by its name"),
            };
            Ok(vec![name, Edit::insert(range(own).end, floor)])
        }
        "var" => Err("the variance has no infinite gradient"),
        _ => {
            let first = found.operand(0).ok_or("the call has no argument")?;
            let is_two =
                |value: &Expr| expr::number(value) == Some(2.0) || expr::string(value) == Some("fro");
            let is_method = matches!(found.form, Form::Method(..));
            let mut arguments: Vec<String> = Vec::new();
            let skipped = usize::from(!is_method);
            for (at, value) in own.arguments.args.iter().skip(skipped).enumerate() {
                match at {
                    0 if is_two(value) => {}
                    0 => return Err("it is a norm of another order than 2"),
                    1 => arguments.push(format!("dim={}", source.of(value))),
                    _ => return Err("its arguments stand without their names"),
                }
            }
            for keyword in &own.arguments.keywords {
                match keyword.arg.as_deref() {
                    Some("p" | "ord") if is_two(&keyword.value) => {}
                    Some("dim" | "keepdim") => arguments.push(source.of(keyword).to_owned()),
                    _ => return Err("it is a norm of another order than 2"),
                }
            }
            let squares = expr::method_text(source, first, ".square()");
            Ok(vec![Edit::replace(range(own), format!("{squares}.sum({}){floor}", arguments.join(", ")))])
        }
    }
}

/// `F.cross_entropy(x, t)` becomes its sum over the number of valid targets, at least 1.
pub(super) fn cross_entropy(
    call: &Call<'_>,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
    by_hand: &str,
) -> Result<Patch, NoPatch> {
    let refuse = |why: &str| NoPatch::new(why, by_hand);
    let program = Program::of(context, sources);
    let source =
        program.file(call.file).ok_or_else(|| refuse("the file is not among the program's own sources"))?;
    let functions: Vec<Found<'_>> = at::operations(source, call.op)
        .into_iter()
        .filter(|found| matches!(found.form, Form::Function(_)))
        .collect();
    let direct = at::pick(source, call.line, 0, functions).ok().and_then(|found| found.call());
    let (own, made) = match direct {
        Some(own) => (own, (source, own)),
        None => criterion(&program, source, call.line)
            .ok_or_else(|| refuse("the line does not call the loss with its targets"))?,
    };
    let settings = made.1;
    if ["weight", "label_smoothing", "reduction", "reduce", "size_average"]
        .iter()
        .any(|name| expr::keyword(settings, name).is_some())
    {
        return Err(refuse("the loss has weights or a reduction of its own"));
    }
    let target = expr::argument(own, "target", 1).ok_or_else(|| refuse("the call names no target"))?;
    if !is_only_read(target) {
        return Err(refuse("the targets cannot be written down twice"));
    }
    let ignored = expr::keyword(settings, "ignore_index")
        .map_or("-100".to_owned(), |value| made.0.of(value).to_owned());
    let targets = match target {
        Expr::BinOp(_) | Expr::If(_) | Expr::Compare(_) => format!("({})", source.of(target)),
        _ => source.of(target).to_owned(),
    };
    let changes = vec![
        (made.0, expr::add_argument(made.0, settings, "reduction=\"sum\"")),
        (source, Edit::insert(range(own).end, format!(" / ({targets} != {ignored}).sum().clamp(min=1)"))),
    ];
    program::patch(changes, sources, by_hand)
}

/// A call of a loss that was made elsewhere, `criterion(x, t)`, and where it was made.
fn criterion<'a>(
    program: &'a Program,
    source: &'a Source,
    line: u32,
) -> Option<(&'a ExprCall, (&'a Source, &'a ExprCall))> {
    let mut found = definition::calls(source).filter(|call| source.is_on(*call, line)).filter_map(|call| {
        let made = definition::values(program, source, &call.func);
        let [only] = made[..] else { return None };
        let own = only.expr.as_call_expr()?;
        let path = only.source.names().resolve(&own.func)?;
        ["torch.nn.CrossEntropyLoss", "torch.nn.NLLLoss"]
            .contains(&path.as_str())
            .then_some((call, (only.source, own)))
    });
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

/// Whether targets may be written again: they are read, not drawn.
fn is_only_read(target: &Expr) -> bool {
    const SHAPES: [&str; 8] = ["flatten", "view", "reshape", "long", "to", "squeeze", "argmax", "cuda"];
    super::walk::inside(target).into_iter().all(|part| match part {
        Expr::Call(call) => matches!(expr::method(call), Some((_, name)) if SHAPES.contains(&name)),
        _ => true,
    })
}
