//! Families of operations, by what can go wrong in them.

/// Base-2, base-10 and natural logarithm: defined above 0.
const LOGARITHMS: &[&str] = &["log", "log2", "log10"];

/// Divisions and their relatives: the divisor must not be 0.
const DIVISIONS: &[&str] = &["div", "recip", "rsqrt", "rem"];

/// Means and spreads: they divide by a number of elements, which may be 0.
const COUNTED: &[&str] = &["mean", "var", "std"];

/// Powers of a fixed or given exponent.
const POWERS: &[&str] = &["powf", "powi"];

/// Functions that grow exponentially.
const EXPONENTIALS: &[&str] = &["exp", "exp2", "expm1", "sinh", "cosh"];

/// Functions that make probabilities, which round to an exact 0 or 1.
const SATURATING: &[&str] = &["softmax", "softmin", "sigmoid", "hard_sigmoid"];

/// Functions whose slope is infinite at an edge where their value is finite.
const STEEP: &[&str] =
    &["sqrt", "norm", "powf", "powi", "std", "cdist", "acos", "asin", "acosh", "cbrt", "hypot", "atan2"];

/// Sums and products: they overflow only if what goes in is already enormous.
const LINEAR: &[&str] = &[
    "add",
    "sub",
    "mul",
    "matmul",
    "linear",
    "sum",
    "mean",
    "square",
    "prod",
    "powf",
    "powi",
    "norm",
    "var",
    "std",
    "cumsum",
    "cumprod",
    "attention",
    "mse_loss",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
];

/// Optimizers that divide by the root of a running mean of squared gradients.
const ADAPTIVE_OPTIMIZERS: &[&str] = &[
    "adam",
    "adamw",
    "adamax",
    "nadam",
    "radam",
    "amsgrad",
    "adagrad",
    "adadelta",
    "rmsprop",
    "lamb",
    "adan",
    "adabelief",
    "sparseadam",
    "adam8bit",
    "adamw8bit",
];

/// What an operation does, whatever its engine calls it: `aten::log_`, `float_log` and `ln` are
/// all `log`.
///
/// Names that are in no family come back in lower case.
pub(crate) fn plain(op: &str) -> String {
    let op = op.to_ascii_lowercase();
    let op = op.rsplit("::").next().unwrap_or(&op);
    let op = op.rsplit('.').next().unwrap_or(op);
    let op = op.strip_prefix("float_").unwrap_or(op);
    let op = op.trim_end_matches('_');
    let op = ["_scalar", "_dim", "_dims", "_backward", "_elem"]
        .iter()
        .find_map(|suffix| op.strip_suffix(suffix))
        .unwrap_or(op);
    match op {
        "ln" => "log",
        "divide" | "true_divide" | "floor_divide" => "div",
        "reciprocal" => "recip",
        "remainder" | "fmod" => "rem",
        "pow" => "powf",
        "multiply" => "mul",
        "subtract" => "sub",
        "scaled_dot_product_attention" | "multi_head_attention_forward" => "attention",
        "mm" | "bmm" | "addmm" | "baddbmm" | "einsum" => "matmul",
        "arccos" | "arc_cos" => "acos",
        "arcsin" | "arc_sin" => "asin",
        "arccosh" | "arc_cosh" => "acosh",
        "vector_norm" | "linalg_vector_norm" | "l2_norm" => "norm",
        other => other,
    }
    .to_owned()
}

/// Whether the operation is a logarithm of its input.
pub(crate) fn is_logarithm(plain: &str) -> bool {
    LOGARITHMS.contains(&plain)
}

/// Whether the operation is infinite at an edge as a logarithm is.
pub(crate) fn has_logarithm(plain: &str) -> bool {
    is_logarithm(plain) || plain == "log1p"
}

/// Whether the operation divides one value by another.
pub(crate) fn is_division(plain: &str) -> bool {
    DIVISIONS.contains(&plain)
}

/// Whether the operation divides by a number of elements.
pub(crate) fn is_counted(plain: &str) -> bool {
    COUNTED.contains(&plain)
}

/// Whether the operation raises its input to a power.
pub(crate) fn is_power(plain: &str) -> bool {
    POWERS.contains(&plain)
}

/// Whether the operation grows exponentially.
pub(crate) fn is_exponential(plain: &str) -> bool {
    EXPONENTIALS.contains(&plain)
}

/// Whether the operation makes probabilities that may round to an exact 0 or 1.
pub(crate) fn is_saturating(plain: &str) -> bool {
    SATURATING.contains(&plain)
}

/// Whether the operation has an infinite slope at a point where its value is finite.
pub(crate) fn is_steep(plain: &str) -> bool {
    STEEP.contains(&plain)
}

/// Whether the operation adds and multiplies, so that only enormous inputs make it overflow.
pub(crate) fn is_linear(plain: &str) -> bool {
    LINEAR.contains(&plain)
}

/// Whether the optimizer divides by the root of its second moment.
pub(crate) fn is_adaptive_optimizer(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ADAPTIVE_OPTIMIZERS.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_spell_operations_in_their_own_ways() {
        for (op, plain_op) in [
            ("log", "log"),
            ("aten::log_", "log"),
            ("torch.log", "log"),
            ("float_log", "log"),
            ("ln", "log"),
            ("div_scalar", "div"),
            ("true_divide", "div"),
            ("reciprocal", "recip"),
            ("mean_dim", "mean"),
            ("powf_scalar", "powf"),
            ("pow", "powf"),
            ("arc_cos", "acos"),
            ("Adam", "adam"),
            ("log1p", "log1p"),
            ("log_softmax", "log_softmax"),
        ] {
            assert_eq!(plain(op), plain_op, "{op}");
        }
    }

    #[test]
    fn a_stable_logarithm_is_no_logarithm_of_its_input() {
        assert!(is_logarithm("log"));
        assert!(!is_logarithm("log_softmax"));
        assert!(!is_logarithm("log_sigmoid"));
    }
}
