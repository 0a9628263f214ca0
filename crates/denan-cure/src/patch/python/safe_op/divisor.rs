//! Divisors that are kept from 0.

use super::guard::Guard;
use super::{Edit, Source, definition, expr, is_pure, number, range};
use denan_record::model::TensorSeen;
use ruff_python_ast::{CmpOp, Expr, Operator};

/// Variables are followed this many times.
const DEPTH: usize = 3;

/// `d` becomes `d.clamp(min=m)` where it is never negative, else `torch.where(d.abs() < m, m, d)`.
pub(super) fn guarded(
    source: &Source,
    divisor: &Expr,
    margin: f64,
    seen: Option<&TensorSeen>,
) -> Result<Vec<Edit>, &'static str> {
    if expr::number(divisor).is_some() {
        return Err("the divisor is a plain number, not a tensor");
    }
    let bounds = seen.and_then(|seen| Some((seen.range.min_opt()?, seen.range.max_opt()?)));
    match bounds {
        Some((min, _)) if min >= 0.0 => return Ok(Guard::AtLeast(margin).around(source, divisor)),
        Some((_, max)) if max <= 0.0 => return Ok(Guard::AtMost(-margin).around(source, divisor)),
        Some(_) => {}
        None if is_not_negative(source, divisor, DEPTH) => {
            return Ok(Guard::AtLeast(margin).around(source, divisor));
        }
        None => {}
    }
    if !is_pure(divisor) {
        return Err("the divisor may have either sign, and it cannot be written down twice");
    }
    let mut edits = Vec::new();
    let function = source.reach("torch.where", &mut edits);
    let magnitude = expr::method_text(source, divisor, ".abs()");
    let (text, margin) = (source.of(divisor), number::short(margin));
    let whole = format!("{function}({magnitude} < {margin}, {margin}, {text})");
    edits.push(Edit::replace(source.with_parentheses(divisor), whole));
    Ok(edits)
}

/// Whether an expression is known to be 0 or more by how it is made.
fn is_not_negative(source: &Source, value: &Expr, depth: usize) -> bool {
    let same = |value: &Expr| is_not_negative(source, value, depth);
    match value {
        Expr::Compare(compare) => !compare.ops.iter().any(|op| matches!(op, CmpOp::In | CmpOp::NotIn)),
        Expr::BinOp(binary) => match binary.op {
            Operator::Add | Operator::Mult | Operator::Div => same(&binary.left) && same(&binary.right),
            Operator::Pow => {
                expr::number(&binary.right).is_some_and(|power| power % 2.0 == 0.0) || same(&binary.left)
            }
            Operator::BitAnd | Operator::BitOr => same(&binary.left),
            _ => false,
        },
        Expr::UnaryOp(unary) => matches!(unary.op, ruff_python_ast::UnaryOp::Invert) && same(&unary.operand),
        Expr::Subscript(subscript) => same(&subscript.value),
        Expr::Call(call) => {
            let path = source.names().resolve(&call.func);
            let (name, first) = match (&path, expr::method(call)) {
                (Some(path), _) => {
                    (path.rsplit('.').next().unwrap_or_default().to_owned(), call.arguments.args.first())
                }
                (None, Some((receiver, name))) => (name.to_owned(), Some(receiver)),
                (None, None) => return false,
            };
            match name.as_str() {
                "std" | "norm" | "vector_norm" | "abs" | "exp" | "sqrt" | "square" | "sigmoid"
                | "softmax" | "var" | "relu" | "softplus" | "ones_like" | "ones" | "bincount" | "isnan"
                | "isfinite" | "numel" => true,
                "clamp" | "clamp_min" => {
                    expr::argument(call, "min", 0).and_then(expr::number).is_some_and(|low| low >= 0.0)
                }
                "sum" | "mean" | "float" | "unsqueeze" | "squeeze" | "view" | "reshape" | "amax" | "amin"
                | "t" | "add" | "expand" | "long" | "int" | "to" | "type" | "cumsum" => {
                    first.is_some_and(same)
                }
                "pow" => {
                    call.arguments.args.last().and_then(expr::number).is_some_and(|power| power % 2.0 == 0.0)
                }
                _ => false,
            }
        }
        Expr::Name(name) if depth > 0 => {
            let function = definition::function_around(source, range(value).start);
            let body = function.map_or(source.body(), |function| &function.body);
            let assigned = definition::assigned(body, &name.id);
            !assigned.is_empty()
                && assigned
                    .iter()
                    .all(|value| value.is_some_and(|value| is_not_negative(source, value, depth - 1)))
        }
        other => expr::number(other).is_some_and(|value| value >= 0.0),
    }
}
