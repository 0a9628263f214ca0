//! What is asked of single expressions.

use super::source::{Edit, Source, range};
use super::{number, walk};
use ruff_python_ast::{Expr, ExprCall, Number, OperatorPrecedence, UnaryOp};

/// The number that is written there, its sign included.
pub(super) fn number(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::NumberLiteral(literal) => match &literal.value {
            Number::Int(int) => int.as_u64().map(|int| int as f64),
            Number::Float(float) => Some(*float),
            Number::Complex { .. } => None,
        },
        Expr::UnaryOp(unary) if unary.op == UnaryOp::USub => number(&unary.operand).map(|value| -value),
        _ => None,
    }
}

/// The text that is written there.
pub(super) fn string(expr: &Expr) -> Option<&str> {
    expr.as_string_literal_expr().map(|literal| literal.value.to_str())
}

/// `name` and receiver of a method call.
pub(super) fn method(call: &ExprCall) -> Option<(&Expr, &str)> {
    let attribute = call.func.as_attribute_expr()?;
    Some((&attribute.value, attribute.attr.as_str()))
}

/// The value of a keyword argument.
pub(super) fn keyword<'a>(call: &'a ExprCall, name: &str) -> Option<&'a Expr> {
    call.arguments.find_keyword(name).map(|keyword| &keyword.value)
}

/// An argument by its name, or its position among those without one.
pub(super) fn argument<'a>(call: &'a ExprCall, name: &str, position: usize) -> Option<&'a Expr> {
    keyword(call, name).or_else(|| {
        let before = call.arguments.args.get(..=position)?;
        let is_plain = before.iter().all(|argument| !argument.is_starred_expr());
        before.last().filter(|_| is_plain)
    })
}

/// Adds an argument behind the others.
pub(super) fn add_argument(source: &Source, call: &ExprCall, text: &str) -> Edit {
    let arguments = &call.arguments;
    let last_position = arguments.args.last().map(|argument| source.with_parentheses(argument).end);
    let last_keyword = arguments
        .keywords
        .last()
        .map(|keyword| range(keyword).end.max(source.with_parentheses(&keyword.value).end));
    match last_position.max(last_keyword) {
        Some(end) => Edit::insert(end, format!(", {text}")),
        None => Edit::insert(range(arguments).start + 1, text),
    }
}

/// Sets a keyword argument to a text.
pub(super) fn set_argument(source: &Source, call: &ExprCall, name: &str, value: &str) -> Edit {
    match keyword(call, name) {
        Some(old) => Edit::replace(source.with_parentheses(old), value),
        None => add_argument(source, call, &format!("{name}={value}")),
    }
}

/// Whether `.method()` may be put behind it as it is written.
pub(super) fn takes_method(expr: &Expr) -> bool {
    OperatorPrecedence::from_expr(expr) >= OperatorPrecedence::CallAttribute
        && !matches!(expr, Expr::NumberLiteral(_) | Expr::Generator(_))
}

/// Whether `* factor` may be put behind it as it is written.
pub(super) fn takes_factor(expr: &Expr) -> bool {
    OperatorPrecedence::from_expr(expr) >= OperatorPrecedence::MulDivRemain
}

/// Puts a method call behind an expression.
pub(super) fn with_method(source: &Source, expr: &Expr, call: &str) -> Vec<Edit> {
    let all = source.with_parentheses(expr);
    if all != range(expr) || takes_method(expr) {
        vec![Edit::insert(all.end, call)]
    } else {
        vec![Edit::insert(all.start, "("), Edit::insert(all.end, format!("){call}"))]
    }
}

/// The text of an expression with a method call behind it.
pub(super) fn method_text(source: &Source, expr: &Expr, call: &str) -> String {
    let text = source.of(expr);
    if takes_method(expr) { format!("{text}{call}") } else { format!("({text}){call}") }
}

/// `rate` becomes `rate * factor`, in parentheses where it needs them.
pub(super) fn times(source: &Source, expr: &Expr, factor: &str) -> Vec<Edit> {
    let all = source.with_parentheses(expr);
    if all != range(expr) || takes_factor(expr) {
        vec![Edit::insert(all.end, format!(" * {factor}"))]
    } else {
        vec![Edit::insert(all.start, "("), Edit::insert(all.end, format!(") * {factor}"))]
    }
}

/// A literal in its own notation, multiplied.
pub(super) fn scaled(source: &Source, literal: &Expr, factor: f64) -> Option<Edit> {
    let value = number(literal)?;
    let text = source.of(literal);
    Some(Edit::replace(range(literal), number::in_notation(value * factor, number::Notation::of(text))))
}

/// Whether a name is read inside of an expression.
pub(super) fn mentions(expr: &Expr, name: &str) -> bool {
    walk::inside(expr).into_iter().any(|part| matches!(part, Expr::Name(own) if own.id.as_str() == name))
}

/// The parts of a list or tuple that is written out.
pub(super) fn elements(expr: &Expr) -> Option<&[Expr]> {
    match expr {
        Expr::List(list) => Some(&list.elts),
        Expr::Tuple(tuple) => Some(&tuple.elts),
        _ => None,
    }
}
