//! Forms of functions in which no edge is left: `log_softmax`, `logsigmoid`, `softplus`, `logsumexp`.

use super::{Call, Edit, Source, definition, expr, range, walk};
use ruff_python_ast::{Expr, ExprCall, Operator, OperatorPrecedence, Stmt, UnaryOp};

/// The changes that write the form; `None` if what is written there is not known.
pub(super) fn edits(source: &Source, call: &Call<'_>) -> Option<Vec<Edit>> {
    let mut edits: Vec<Edit> = Vec::new();
    let mut done: Vec<std::ops::Range<usize>> = Vec::new();
    for expr in source.expressions() {
        let all = range(expr);
        let is_inside = done.iter().any(|done| done.start <= all.start && all.end <= done.end);
        if is_inside || !source.is_on(expr, call.line) {
            continue;
        }
        let Some(form) = form(source, expr, call.op) else { continue };
        done.push(all.clone());
        let function = source.reach(form.function, &mut edits);
        edits.push(Edit::replace(all, format!("{function}({})", form.arguments)));
        edits.extend(form.also);
    }
    (!edits.is_empty()).then_some(edits)
}

struct Form {
    function: &'static str,
    arguments: String,
    /// The statement that nothing needs any more.
    also: Option<Edit>,
}

fn form(source: &Source, expr: &Expr, op: &str) -> Option<Form> {
    let call = expr.as_call_expr()?;
    let (name, argument) = function(source, call)?;
    if op == "softplus" && name == "log1p" {
        let inner = called(source, argument, "exp")?;
        return Some(plain("torch.nn.functional.softplus", source.of(inner.first)));
    }
    if name != "log" {
        return None;
    }
    match op {
        "softplus" => {
            let Expr::BinOp(sum) = argument else { return None };
            let is_one = |expr: &Expr| expr::number(expr) == Some(1.0);
            let exp = match sum.op {
                Operator::Add if is_one(&sum.left) => &sum.right,
                Operator::Add if is_one(&sum.right) => &sum.left,
                _ => return None,
            };
            let inner = called(source, exp, "exp")?;
            Some(plain("torch.nn.functional.softplus", source.of(inner.first)))
        }
        "logsumexp" => {
            let sum = called(source, argument, "sum")?;
            let inner = called(source, sum.first, "exp")?;
            let rest = sum.rest(source);
            if rest.is_empty() {
                return None;
            }
            Some(plain("torch.logsumexp", &format!("{}, {rest}", source.of(inner.first))))
        }
        "log_softmax" => {
            let (argument, also) = held(source, expr, without_epsilon(argument));
            let inner = called(source, argument, "softmax")?;
            let arguments = format!("{}, {}", source.of(inner.first), inner.rest(source));
            let arguments = arguments.trim_end_matches([',', ' ']).to_owned();
            Some(Form { function: "torch.nn.functional.log_softmax", arguments, also })
        }
        _ => {
            let argument = without_epsilon(argument);
            let (argument, is_other) = match argument {
                Expr::BinOp(rest) if rest.op == Operator::Sub && expr::number(&rest.left) == Some(1.0) => {
                    (&*rest.right, true)
                }
                other => (other, false),
            };
            let (argument, also) = held(source, expr, argument);
            let inner = called(source, argument, "sigmoid")?;
            let text = source.of(inner.first);
            let arguments = match inner.first {
                _ if !is_other => text.to_owned(),
                Expr::UnaryOp(negative) if negative.op == UnaryOp::USub => {
                    source.of(&*negative.operand).to_owned()
                }
                other if OperatorPrecedence::from_expr(other) >= OperatorPrecedence::Exponent => {
                    format!("-{text}")
                }
                _ => format!("-({text})"),
            };
            Some(Form { function: "torch.nn.functional.logsigmoid", arguments, also })
        }
    }
}

fn plain(function: &'static str, arguments: &str) -> Form {
    Form { function, arguments: arguments.to_owned(), also: None }
}

/// `p` of `p + 1e-8` and of `p.clamp(min=1e-8)`.
fn without_epsilon(expr: &Expr) -> &Expr {
    match expr {
        Expr::BinOp(sum) if sum.op == Operator::Add => {
            match (expr::number(&sum.left), expr::number(&sum.right)) {
                (_, Some(small)) if small.abs() < 1e-3 => without_epsilon(&sum.left),
                (Some(small), _) if small.abs() < 1e-3 => without_epsilon(&sum.right),
                _ => expr,
            }
        }
        _ => expr,
    }
}

/// A function of torch, or a method, with its first operand.
fn function<'a>(source: &Source, call: &'a ExprCall) -> Option<(String, &'a Expr)> {
    match source.names().resolve(&call.func) {
        Some(path) if path.starts_with("torch.") => {
            Some((path.rsplit('.').next()?.to_owned(), call.arguments.args.first()?))
        }
        Some(_) => None,
        None => expr::method(call).map(|(receiver, name)| (name.to_owned(), receiver)),
    }
}

/// A call, with what it works on and its other arguments.
struct Called<'a> {
    first: &'a Expr,
    call: &'a ExprCall,
    is_method: bool,
}

impl Called<'_> {
    /// The other arguments as they are written.
    fn rest(&self, source: &Source) -> String {
        let positional = self.call.arguments.args.iter().skip(usize::from(!self.is_method));
        let named = self.call.arguments.keywords.iter();
        let all: Vec<&str> =
            positional.map(|value| source.of(value)).chain(named.map(|keyword| source.of(keyword))).collect();
        all.join(", ")
    }
}

fn called<'a>(source: &Source, expr: &'a Expr, wanted: &str) -> Option<Called<'a>> {
    let call = expr.as_call_expr()?;
    let (name, first) = function(source, call)?;
    let is_method = source.names().resolve(&call.func).is_none();
    (name == wanted).then_some(Called { first, call, is_method })
}

/// What a variable holds, if it was given its value once in the same block and nothing of that has changed since; with
/// the change that takes the variable away where it is read nowhere else.
fn held<'a>(source: &'a Source, user: &Expr, argument: &'a Expr) -> (&'a Expr, Option<Edit>) {
    let Expr::Name(name) = argument else { return (argument, None) };
    let at = range(user).start;
    let function = definition::function_around(source, at);
    let body = function.map_or(source.body(), |function| &function.body);
    let [Some(value)] = definition::assigned(body, &name.id)[..] else { return (argument, None) };
    let around = source.around(at);
    let Some(made) = source.around(range(value).start).into_iter().next_back() else {
        return (argument, None);
    };
    let Some((block, place)) = source.block_of(made) else { return (argument, None) };
    let user = block.iter().position(|other| around.iter().any(|around| std::ptr::eq(*around, other)));
    let Some(between) = user.and_then(|user| block.get(place + 1..user)) else { return (argument, None) };
    let is_moved = walk::inside(value).into_iter().filter_map(|part| part.as_name_expr()).any(|part| {
        !definition::assigned(between, &part.id).is_empty() || is_changed_in_place(between, &part.id)
    });
    if is_moved {
        return (argument, None);
    }
    let body = function.map_or_else(|| source.expressions(), |function| walk::expressions(&function.body));
    let reads = body
        .into_iter()
        .filter(|expr| matches!(expr, Expr::Name(own) if own.id == name.id && own.ctx.is_load()));
    let is_plain =
        matches!(made, Stmt::Assign(assign) if assign.targets.len() == 1 && assign.targets[0].is_name_expr());
    let also = (reads.count() == 1 && is_plain).then(|| source.without(made));
    (value, also)
}

/// Whether a name is changed in place between two statements (`x /= 2`, `x.mul_(2)`).
fn is_changed_in_place(between: &[Stmt], name: &str) -> bool {
    walk::expressions(between).into_iter().any(|expr| {
        matches!(expr, Expr::Call(call) if matches!(expr::method(call), Some((Expr::Name(own), method))
            if own.id.as_str() == name && method.ends_with('_')))
    })
}
