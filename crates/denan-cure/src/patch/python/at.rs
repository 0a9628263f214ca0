//! Calls and operators at a line of the record.

use super::expr;
use super::source::{Source, range};
use ruff_python_ast::{Expr, ExprCall, Operator, Stmt};
use std::ops::Range;

/// Something that a recorded operation may be.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    /// All of it; none for `x /= y`.
    pub(super) whole: Option<&'a Expr>,
    pub(super) form: Form<'a>,
}

/// How an operation is written.
#[derive(Clone, Copy)]
pub(super) enum Form<'a> {
    /// `torch.log(x)`.
    Function(&'a ExprCall),
    /// `x.log()`, with `x`.
    Method(&'a ExprCall, &'a Expr),
    /// `a / b`.
    Operator(&'a Expr, &'a Expr),
}

impl<'a> Found<'a> {
    /// The operand at a position: of a method its receiver is the first.
    pub(super) fn operand(&self, position: usize) -> Option<&'a Expr> {
        match self.form {
            Form::Function(call) => call.arguments.args.get(position),
            Form::Method(_, receiver) if position == 0 => Some(receiver),
            Form::Method(call, _) => call.arguments.args.get(position - 1),
            Form::Operator(left, right) => [left, right].get(position).copied(),
        }
    }

    /// The call, if it is one.
    pub(super) fn call(&self) -> Option<&'a ExprCall> {
        match self.form {
            Form::Function(call) | Form::Method(call, _) => Some(call),
            Form::Operator(..) => None,
        }
    }

    fn range(&self) -> Range<usize> {
        match (self.whole, self.form) {
            (Some(whole), _) => range(whole),
            (None, Form::Operator(left, right)) => range(left).start..range(right).end,
            (None, Form::Function(call) | Form::Method(call, _)) => range(call),
        }
    }

    /// The bytes that CPython may tell as its column.
    fn keys(&self) -> Vec<usize> {
        let mut keys = vec![self.range().start];
        if let Form::Method(call, _) = self.form
            && let Expr::Attribute(attribute) = &*call.func
        {
            keys.push(range(&attribute.attr).start);
        }
        keys
    }
}

/// Other names under which an operation may be written.
fn names(op: &str) -> Vec<&str> {
    match op {
        "div" | "true_divide" | "divide" => vec!["div", "true_divide", "divide"],
        "reciprocal" => vec!["reciprocal", "div"],
        "norm" | "vector_norm" | "linalg_vector_norm" => vec!["norm", "vector_norm"],
        "acos" => vec!["acos", "arccos"],
        "asin" => vec!["asin", "arcsin"],
        "mul" => vec!["mul", "multiply"],
        "sub" => vec!["sub", "subtract"],
        "pow" | "powi" | "powf" => vec!["pow", "float_power", "square"],
        "matmul" | "mm" | "bmm" | "addmm" => vec!["matmul", "mm", "bmm", "addmm"],
        other => vec![other],
    }
}

/// Whether an operator carries out an operation of this name.
fn is_operator(op: &str, operator: Operator, right: &Expr) -> bool {
    match operator {
        Operator::Div => matches!(op, "div" | "true_divide" | "reciprocal"),
        Operator::Pow => match op {
            "pow" | "powi" | "powf" => true,
            "sqrt" => expr::number(right) == Some(0.5),
            "rsqrt" => expr::number(right) == Some(-0.5),
            "square" => expr::number(right) == Some(2.0),
            _ => false,
        },
        Operator::Mult => op == "mul",
        Operator::Add => op == "add",
        Operator::Sub => matches!(op, "sub" | "rsub"),
        Operator::MatMult => matches!(op, "matmul" | "mm" | "bmm" | "mv" | "dot" | "addmm"),
        _ => false,
    }
}

/// Everything in a file that may carry out an operation of this name.
pub(super) fn operations<'a>(source: &'a Source, op: &str) -> Vec<Found<'a>> {
    let names = names(op);
    let is_named = |name: &str| names.contains(&name.trim_end_matches('_')) && !name.starts_with('_');
    let mut found = Vec::new();
    for expr in source.expressions() {
        let form = match expr {
            Expr::Call(call) => {
                let path = source.names().resolve(&call.func);
                match (&*call.func, &path) {
                    // What is of another library (`math.log`) works on no tensor.
                    (_, Some(path)) => {
                        let last = path.rsplit('.').next().unwrap_or(path);
                        (path.starts_with("torch.") && is_named(last)).then_some(Form::Function(call))
                    }
                    (Expr::Attribute(attribute), None) => {
                        is_named(&attribute.attr).then_some(Form::Method(call, &attribute.value))
                    }
                    _ => None,
                }
            }
            Expr::BinOp(binary) => is_operator(op, binary.op, &binary.right)
                .then_some(Form::Operator(&binary.left, &binary.right)),
            _ => None,
        };
        found.extend(form.map(|form| Found { whole: Some(expr), form }));
    }
    for stmt in source.statements() {
        if let Stmt::AugAssign(assign) = stmt
            && is_operator(op, assign.op, &assign.value)
        {
            found.push(Found { whole: None, form: Form::Operator(&assign.target, &assign.value) });
        }
    }
    found
}

/// The one of them that is at a line and column (1-based); with column 0 the line decides.
///
/// # Errors
/// How many there are that cannot be told apart; 0 if there is none.
pub(super) fn pick<'a>(
    source: &Source,
    line: u32,
    column: u32,
    all: Vec<Found<'a>>,
) -> Result<Found<'a>, usize> {
    let at_column = |found: &Found<'_>| found.keys().iter().any(|key| source.is_at(*key, line, column));
    let begins = |found: &Found<'_>| found.keys().iter().any(|key| source.line(*key) == line);
    let around = |found: &Found<'_>| {
        let range = found.range();
        (source.line(range.start)..=source.line(range.end)).contains(&line)
    };
    if column > 0 {
        return only(all.into_iter().filter(at_column).collect());
    }
    if all.iter().any(begins) {
        return only(all.into_iter().filter(begins).collect());
    }
    only(all.into_iter().filter(around).collect())
}

fn only(all: Vec<Found<'_>>) -> Result<Found<'_>, usize> {
    match all[..] {
        [found] => Ok(found),
        _ => Err(all.len()),
    }
}
