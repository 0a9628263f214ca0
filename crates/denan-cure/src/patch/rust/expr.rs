//! Questions about single expressions.

use syn::{Expr, ExprMethodCall, Lit, UnOp};

/// The expression inside parentheses and the invisible groups of macros.
pub(super) fn inside_parentheses(mut expr: &Expr) -> &Expr {
    loop {
        expr = match expr {
            Expr::Paren(paren) => &paren.expr,
            Expr::Group(group) => &group.expr,
            _ => return expr,
        };
    }
}

/// Value of a number as it stands, with its sign.
pub(super) fn number(expr: &Expr) -> Option<f64> {
    match inside_parentheses(expr) {
        Expr::Lit(literal) => match &literal.lit {
            Lit::Float(float) => float.base10_parse().ok(),
            Lit::Int(int) => int.base10_parse().ok(),
            _ => None,
        },
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => number(&unary.expr).map(|value| -value),
        _ => None,
    }
}

/// Whether the expression cannot be a tensor: a literal or a cast, also inside arithmetic of such.
pub(super) fn is_scalar(expr: &Expr) -> bool {
    match inside_parentheses(expr) {
        Expr::Lit(_) | Expr::Cast(_) => true,
        Expr::Unary(unary) => is_scalar(&unary.expr),
        Expr::Binary(binary) => is_scalar(&binary.left) && is_scalar(&binary.right),
        _ => false,
    }
}

/// Whether `.method()` may follow without parentheses.
pub(super) fn takes_method(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Path(_)
            | Expr::Field(_)
            | Expr::MethodCall(_)
            | Expr::Call(_)
            | Expr::Paren(_)
            | Expr::Index(_)
            | Expr::Macro(_)
            | Expr::Try(_)
            | Expr::Await(_)
            | Expr::Tuple(_)
            | Expr::Array(_)
    )
}

/// Whether the expression is a variable or a field of one, so that it can be read twice.
pub(super) fn is_variable(expr: &Expr) -> bool {
    match expr {
        Expr::Path(_) => true,
        Expr::Field(field) => is_variable(&field.base),
        _ => false,
    }
}

/// The calls of a method chain from its root on, and the root: `a.b().c()` is `a` and `b, c`.
pub(super) fn chain(outermost: &Expr) -> (&Expr, Vec<&ExprMethodCall>) {
    let mut calls = Vec::new();
    let mut expr = outermost;
    while let Expr::MethodCall(call) = expr {
        calls.push(call);
        expr = &call.receiver;
    }
    calls.reverse();
    (expr, calls)
}

/// Names of a path's segments joined by `::`, without generic arguments.
pub(super) fn path_text(path: &syn::Path) -> String {
    path.segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>().join("::")
}
