//! Bounds that an argument is kept to.

use super::{Edit, Source, expr, number, range};
use ruff_python_ast::{Expr, ExprCall};

/// Values that an argument is kept to.
#[derive(Clone, Copy)]
pub(super) enum Guard {
    AtLeast(f64),
    AtMost(f64),
    Within(f64, f64),
}

impl Guard {
    /// What the intervention does to the argument of a call.
    pub(super) fn of(op: &str, margin: f64, dtype: &str) -> Option<Self> {
        // Next to 1 a margin must be at least the spacing of the numbers there.
        let near_one = margin.max(spacing_at_one(dtype));
        Some(match op {
            "log" | "log2" | "log10" | "sqrt" | "rsqrt" | "lgamma" | "digamma" | "pow" => {
                Self::AtLeast(margin)
            }
            "log1p" => Self::AtLeast(-1.0 + near_one),
            "acosh" => Self::AtLeast(1.0 + near_one),
            "acos" | "asin" | "atanh" | "arccos" | "arcsin" => Self::Within(-1.0 + near_one, 1.0 - near_one),
            "exp" | "expm1" | "exp2" | "sinh" | "cosh" => Self::AtMost(margin),
            "softmax" | "log_softmax" | "logsumexp" => Self::AtLeast(-margin),
            _ => return None,
        })
    }

    /// The call that does it.
    pub(super) fn method(self) -> String {
        match self {
            Self::AtLeast(low) => format!(".clamp(min={})", number::short(low)),
            Self::AtMost(high) => format!(".clamp(max={})", number::short(high)),
            Self::Within(low, high) => format!(".clamp({}, {})", number::short(low), number::short(high)),
        }
    }

    /// The bound behind an argument, or in the place of one that it has.
    pub(super) fn around(self, source: &Source, argument: &Expr) -> Vec<Edit> {
        match self.widened(source, argument) {
            Some(edit) => vec![edit],
            None => expr::with_method(source, argument, &self.method()),
        }
    }

    /// `x.clamp(min=1e-12)` becomes `x.clamp(min=1e-7)`.
    fn widened(self, source: &Source, argument: &Expr) -> Option<Edit> {
        let call = argument.as_call_expr()?;
        let (_, name) = expr::method(call)?;
        let bound = |keyword: &str, position: usize, short: &str| -> Option<&Expr> {
            if name == short { only_argument(call) } else { expr::argument(call, keyword, position) }
        };
        let is_clamp = matches!(name, "clamp" | "clamp_min" | "clamp_max" | "clip");
        let (present, new) = match self {
            Self::AtLeast(low) if name != "clamp_max" => (bound("min", 0, "clamp_min")?, low),
            Self::AtMost(high) if name != "clamp_min" => (bound("max", 1, "clamp_max")?, high),
            _ => return None,
        };
        let value = expr::number(present)?;
        let is_tighter = if matches!(self, Self::AtLeast(_)) { new > value } else { new < value };
        (is_clamp && is_tighter).then(|| {
            Edit::replace(range(present), number::in_notation(new, number::Notation::of(source.of(present))))
        })
    }
}

fn only_argument(call: &ExprCall) -> Option<&Expr> {
    call.arguments.args.first().or_else(|| call.arguments.keywords.first().map(|keyword| &keyword.value))
}

/// A little more than the spacing of numbers just below 1.
fn spacing_at_one(dtype: &str) -> f64 {
    match dtype {
        "float16" => 1e-3,
        "bfloat16" => 5e-3,
        "float64" => 1e-15,
        _ => 1e-7,
    }
}
