//! `safe-op`: how far a call is kept away from the edge of its domain, and which call means the same and has no edge.

use denan_record::model::{Node, Phase, Run, StepGraph};
use denan_record::plan::{Intervention, exponent_limit};

/// Argument above which burn's `softplus` is the identity (`DEFAULT_SOFTPLUS_THRESHOLD` of burn-tensor 0.22.1).
const SOFTPLUS_THRESHOLD: f64 = 20.0;

/// Calls that divide by a count, which is 0 where there is nothing to count.
pub(in crate::experiments) const MEANS: [&str; 9] = [
    "mean",
    "cross_entropy",
    "nll_loss",
    "mse_loss",
    "l1_loss",
    "smooth_l1_loss",
    "huber_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
];
/// Calls with an `eps` of their own.
pub(in crate::experiments) const WITH_EPSILON: [&str; 7] =
    ["normalize", "cosine_similarity", "layer_norm", "group_norm", "instance_norm", "batch_norm", "rms_norm"];

/// Margins and forms to try, the mildest first.
pub(super) fn safe_ops(recorded: &Run) -> Result<Vec<Intervention>, String> {
    let first = recorded.first_break.as_ref().ok_or("there is no break")?;
    let producer = &first.producer;
    let place = match first.phase {
        Phase::Backward => producer.forward_place.as_ref(),
        Phase::Forward | Phase::Loss => producer.place.as_ref(),
        _ => None,
    }
    .ok_or("the line of the call is not known")?;
    let op = producer.op.as_str();
    // 1 over a count is at most 1.
    let is_over_nothing = op == "mul" && producer.scalar.is_some_and(f64::is_infinite);
    let margins = match is_over_nothing {
        true => vec![1.0],
        false => margins(op, dtype(recorded)).ok_or_else(|| format!("there is no safer form of {op}"))?,
    };
    let safe = |op: &str, is_form, margin| Intervention::SafeOp {
        op: op.to_owned(),
        is_form,
        file: place.file.clone(),
        line: place.line,
        margin,
    };
    // Where there is a function that means the same and is finite everywhere, no clamp is as mild.
    let form = form(recorded).map(|form| safe(form, true, SOFTPLUS_THRESHOLD));
    Ok(form.into_iter().chain(margins.into_iter().map(|margin| safe(op, false, margin))).collect())
}

/// How far an argument stays away from the edge, by the name of its call in either engine.
fn margins(op: &str, dtype: &str) -> Option<Vec<f64>> {
    let half = dtype == "float16";
    let limit = exponent_limit(dtype);
    let all: &[f64] = match op {
        "exp" | "expm1" | "sinh" | "cosh" => {
            return Some([limit, 20.0, 5.0].into_iter().filter(|&margin| margin <= limit).collect());
        }
        "exp2" => return Some(vec![limit / std::f64::consts::LN_2, 20.0]),
        // With 1 it is 0, where the logarithm of what is counted begins.
        "log1p" if !half => &[1e-7, 1e-3, 1.0],
        "sqrt" | "rsqrt" | "pow" | "powf" | "float_power" if !half => &[1e-12, 1e-8, 1e-4],
        "log" | "log1p" | "log2" | "log10" | "div" | "true_divide" | "recip" | "reciprocal" | "sqrt"
        | "rsqrt" | "pow" | "powf" | "acos" | "arccos" | "asin" | "arcsin" | "atanh" | "arctanh"
        | "acosh" | "logit" | "atan2" | "norm" | "vector_norm" | "cdist" | "pairwise_distance" | "hypot"
        | "lgamma" | "digamma" => {
            if half {
                &[1e-3, 1e-2]
            } else {
                &[1e-7, 1e-5, 1e-3]
            }
        }
        "softmax" | "log_softmax" | "logsumexp" | "scaled_dot_product_attention" => {
            if half {
                &[1e4]
            } else {
                &[1e9]
            }
        }
        // At least one value, or one target.
        "std" | "var" | "ctc_loss" => &[1.0],
        _ if MEANS.contains(&op) => &[1.0],
        _ if WITH_EPSILON.contains(&op) => &[1e-12, 1e-8, 1e-5],
        _ => return None,
    };
    Some(all.to_vec())
}

/// The call that means the same as the one that broke with those it reads.
fn form(recorded: &Run) -> Option<&'static str> {
    if is_softplus(recorded) {
        return Some("softplus");
    }
    let graph = breaking(recorded)?;
    let producer = graph.nodes.get(graph.producer? as usize)?;
    let is_torch = recorded.is_of_torch();
    let read = |node: &Node| graph.nodes.get(*node.inputs.first()? as usize);
    match producer.op.as_str() {
        "log" if is_torch => {
            let argument = read(producer)?;
            match argument.op.as_str() {
                "softmax" => Some("log_softmax"),
                "sigmoid" => Some("logsigmoid"),
                // log(1 - sigmoid(x))
                "sub" | "rsub" if argument.scalar == Some(1.0) && read(argument)?.op == "sigmoid" => {
                    Some("logsigmoid")
                }
                "sum" if read(argument)?.op == "exp" => Some("logsumexp"),
                _ => None,
            }
        }
        // The exponential itself overflowed, in log(sum(exp(x))).
        "exp" if is_torch => {
            let of = |node: u32, op: &str| {
                let reads = |other: &&Node| other.op == op && other.inputs.first() == Some(&node);
                (0u32..).zip(&graph.nodes).find(|(_, other)| reads(other)).map(|(at, _)| at)
            };
            of(of(graph.producer?, "sum")?, "log").map(|_| "logsumexp")
        }
        _ => None,
    }
}

fn breaking(recorded: &Run) -> Option<&StepGraph> {
    recorded.graphs.iter().find(|graph| graph.producer.is_some())
}

/// Whether the exponential that overflowed is the one of `log(exp(x) + 1)`.
fn is_softplus(recorded: &Run) -> bool {
    let Some((graph, exp)) = breaking(recorded).and_then(|graph| Some((graph, graph.producer?))) else {
        return false;
    };
    let is_exp = graph.nodes.get(exp as usize).is_some_and(|node| node.op == "exp");
    let reads = |node: &Node, op: &str, input: u32| node.op == op && node.inputs == [input];
    let numbered = || (0u32..).zip(&graph.nodes);
    is_exp
        && numbered().any(|(sum, node)| {
            reads(node, "log1p", exp)
                || reads(node, "add", exp)
                    && node.scalar == Some(1.0)
                    && numbered().any(|(_, node)| reads(node, "log", sum))
        })
}

/// Element type that the producer worked in.
pub(in crate::experiments) fn dtype(recorded: &Run) -> &str {
    let first = recorded.first_break.as_ref().and_then(|first| first.producer.inputs.first());
    first.map_or("float32", |input| input.dtype.as_str())
}
