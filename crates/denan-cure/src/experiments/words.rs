//! Interventions in words, and as the arguments of the contract's `cures[].args`.

use super::learning_rate;
use super::offers::{MEANS, WITH_EPSILON, dtype};
use denan_finding::number::{counted, float};
use denan_record::model::{Run, Sample};
use denan_record::plan::{
    BatchNormFreeze, ClipBy, Initializer, Intervention, OtherOptimizer, exponent_limit,
};
use serde_json::{Map, Value, json};

/// The change, as an order.
pub(super) fn in_words(intervention: &Intervention, recorded: &Run, dropped: &[Sample]) -> String {
    match intervention {
        Intervention::DropSamples { .. } => format!("leave out {}", names(dropped).join(", ")),
        Intervention::SafeOp { op, is_form, margin, .. } => safe_op(op, *is_form, *margin, recorded),
        Intervention::LowerLearningRate { factor } => match learning_rate(recorded) {
            Some(rate) => format!("lower the learning rate: {} → {}", float(rate), float(rate * factor)),
            None => format!("multiply the learning rate by {}", float(*factor)),
        },
        Intervention::ClipGradients { by, limit } => match by {
            ClipBy::Norm => format!("clip each gradient to norm {}", float(*limit)),
            ClipBy::GlobalNorm => format!("clip the gradients together to norm {}", float(*limit)),
            ClipBy::Value => format!("clip each element of the gradients to {}", float(*limit)),
        },
        Intervention::RaiseEpsilon { epsilon } => {
            format!("raise the optimizer's epsilon to {}", float(*epsilon))
        }
        Intervention::ClampInputs { low, high, .. } => {
            format!("keep the data between {} and {}", float(*low), float(*high))
        }
        Intervention::NormalizeInputs { means, .. } => {
            format!("normalise the data: {}", counted(means.len() as u64, "column", "columns"))
        }
        Intervention::ReplaceAnchors { .. } => "anchors by k-means over the boxes of the batch".to_owned(),
        Intervention::Float32 { only: Some(call) } => format!("compute {} in float32", call.op),
        Intervention::Float32 { only: None } => "compute in float32 what is cast to float16".to_owned(),
        Intervention::ZeroGrad => "set the gradients to zero in every step".to_owned(),
        Intervention::ScaleLoss { factor } => format!("scale the loss by {}", float(*factor)),
        Intervention::MeanLoss { elements } => {
            format!("average the loss over its {} elements", float(*elements as f64))
        }
        Intervention::SmallerBatch { size } => format!("batches of {}", counted(*size, "sample", "samples")),
        Intervention::Reinitialize { parameters } => {
            let first = parameters.first();
            let how = first.map_or_else(String::new, |first| initializer(first.initializer));
            let number = counted(parameters.len() as u64, "parameter", "parameters");
            match first.is_some_and(|first| first.only_non_finite) {
                true => format!("fill what is not finite in {number} anew ({how})"),
                false => format!("initialise {number} anew ({how})"),
            }
        }
        Intervention::InsertNorm { after } => {
            format!("a LayerNorm behind {}", counted(after.len() as u64, "call", "calls"))
        }
        Intervention::FreezeBatchNorm { how, .. } => match how {
            BatchNormFreeze::Affine => "hold weight and bias of the BatchNorm layers".to_owned(),
            BatchNormFreeze::Statistics => {
                "freeze the BatchNorm layers: momentum 0, no statistics of the batch".to_owned()
            }
            BatchNormFreeze::Group => "GroupNorm in the place of BatchNorm".to_owned(),
            BatchNormFreeze::Recompute => {
                "statistics of the batch in the BatchNorm layers instead of the running ones".to_owned()
            }
        },
        Intervention::ConstantLearningRate { rate } => {
            format!("a constant learning rate of {}", float(*rate))
        }
        Intervention::WarmUp { steps } => format!("warm the learning rate up over {steps} steps"),
        Intervention::ChangeOptimizer { to, rate } => {
            let name = match to {
                OtherOptimizer::Sgd => "SGD",
                OtherOptimizer::Adam => "Adam",
                OtherOptimizer::AdamW => "AdamW",
                OtherOptimizer::AmsGrad => "AMSGrad",
            };
            format!("{name} with a learning rate of {}", float(*rate))
        }
        Intervention::WeightDecay { penalty } => format!("a weight decay of {}", float(*penalty)),
        Intervention::FreezeReleased { parameters } => {
            format!(
                "keep {} frozen",
                counted(parameters.len() as u64, "released parameter", "released parameters")
            )
        }
        Intervention::LowerReleasedRate { factor, .. } => match learning_rate(recorded) {
            Some(rate) => format!(
                "a lower learning rate for the released part: {} → {}",
                float(rate),
                float(rate * factor)
            ),
            None => format!("{} of the learning rate for the released part", float(*factor)),
        },
    }
}

/// What is done to a call, or what is written in its place.
fn safe_op(op: &str, is_form: bool, margin: f64, recorded: &Run) -> String {
    let near = float(margin);
    if is_form {
        return match op {
            "softplus" if recorded.is_of_torch() => "write log(exp(x) + 1) as softplus(x)".to_owned(),
            "softplus" => "write log(exp(x) + 1) as softplus(x, 1.0)".to_owned(),
            "logsigmoid" => "write log(sigmoid(x)) as logsigmoid(x)".to_owned(),
            "logsumexp" => "write log(sum(exp(x))) as logsumexp(x)".to_owned(),
            _ => "write log(softmax(x)) as log_softmax(x)".to_owned(),
        };
    }
    match op {
        "exp" if !recorded.is_of_torch() => {
            format!("keep the argument of exp between -{} and {margin}", exponent_limit(dtype(recorded)))
        }
        "exp" | "exp2" | "expm1" => format!("keep the argument of {op} at most {near}"),
        "sinh" | "cosh" => format!("keep the argument of {op} between -{margin} and {margin}"),
        "softmax" | "log_softmax" | "logsumexp" | "scaled_dot_product_attention" => {
            format!("mask with -{near} instead of -inf")
        }
        "mul" => format!("keep the factor of mul at most {near}"),
        "div" | "true_divide" | "recip" | "reciprocal" => {
            format!("keep the divisor at least {near} away from 0")
        }
        "log1p" => format!("keep the argument of log1p at least {near} above -1"),
        "acosh" => format!("keep the argument of acosh at least {near} above 1"),
        "acos" | "arccos" | "asin" | "arcsin" | "atanh" | "arctanh" => {
            format!("keep the argument of {op} at least {near} away from 1")
        }
        "logit" => format!("keep the argument of logit at least {near} away from 0 and 1"),
        "atan2" | "norm" | "vector_norm" | "cdist" | "pairwise_distance" | "hypot" => {
            format!("keep what {op} reads at least {near} away from 0")
        }
        "std" | "var" => format!("divide the {op} by the count, and not by one less"),
        "ctc_loss" => "let ctc_loss be 0 where no alignment is possible".to_owned(),
        _ if MEANS.contains(&op) => format!("let {op} over nothing be 0"),
        _ if WITH_EPSILON.contains(&op) => format!("an eps of at least {near} for {op}"),
        _ => format!("keep the argument of {op} at least {near}"),
    }
}

fn initializer(initializer: Initializer) -> String {
    let short = |value: f64| float(format!("{value:.2e}").parse().unwrap_or(value));
    match initializer {
        Initializer::Uniform { low, high } => format!("uniform from {} to {}", short(low), short(high)),
        Initializer::Normal { std, .. } => format!("normal with std {}", short(std)),
        Initializer::Constant { value } => format!("constant {}", float(value)),
    }
}

fn names(samples: &[Sample]) -> Vec<String> {
    samples.iter().map(Sample::called).collect()
}

/// The fields of the intervention, and what helps to read them.
pub(super) fn arguments(
    intervention: &Intervention,
    recorded: &Run,
    dropped: &[Sample],
) -> Map<String, Value> {
    let mut args = match serde_json::to_value(intervention) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    args.remove("id");
    match intervention {
        Intervention::DropSamples { .. } => {
            args.insert("names".to_owned(), json!(names(dropped)));
        }
        Intervention::LowerLearningRate { factor } => {
            if let Some(rate) = learning_rate(recorded) {
                args.insert("learning_rate".to_owned(), json!(rate * factor));
            }
        }
        // The name of version 1.
        Intervention::ClipGradients { by: ClipBy::Norm, limit } => {
            args.insert("max_norm".to_owned(), json!(limit));
        }
        _ => {}
    }
    args
}
