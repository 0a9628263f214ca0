//! What goes on inside an operation that PyTorch carries out in one piece.
//!
//! A loss, a BatchNorm layer or the last step of an optimizer is one kernel here, of which another engine would show
//! the sums, roots and quotients. The causes ask for these, so they are worked out again from the tensors that the
//! kernel read, in `f64`, each rounded to the tensor's type. Only steps that are looked at closely pay for it.

use crate::describe::{Arg, Call};
use crate::tensor::Dtype;
use denan_record::origin::Geometry;
use half::{bf16, f16};

/// Elements up to which inner values are worked out.
const MOST_ELEMENTS: usize = 1 << 22;

/// A tensor that the kernel had in it, or the operation's own output.
#[derive(Clone, Debug)]
pub struct Inner {
    /// The operation that makes it, in the record's vocabulary.
    pub name: &'static str,
    /// Scalar argument.
    pub scalar: Option<f64>,
    /// What it reads.
    pub inputs: Vec<Source>,
    /// Sizes of the dimensions.
    pub shape: Vec<usize>,
    /// Its values; none for the last one, which the kernel made itself.
    pub values: Option<Vec<f64>>,
    /// Which input elements an element was made of.
    pub geometry: Geometry,
}

/// Where an inner operation reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An input of the operation, by its number in [`Call::inputs`].
    Outer(usize),
    /// An earlier inner tensor.
    Inner(usize),
}

use Source::{Inner as In, Outer as Out};

/// The operations inside a call, ending with the one whose output is the call's own; empty where it is in one piece.
pub fn inside(op: &str, call: &Call<'_>, args: &[Arg], value: Option<f64>) -> Vec<Inner> {
    if call.inputs.iter().any(|input| input.count() > MOST_ELEMENTS || input.dtype == Dtype::Other) {
        return Vec::new();
    }
    let op = op.trim_start_matches("_foreach_").trim_end_matches('_');
    match op {
        "addcdiv" => scaled_sum(call, "div", value, |a, b| a / b),
        "addcmul" => scaled_sum(call, "mul", value, |a, b| a * b),
        "native_batch_norm"
        | "_native_batch_norm_legit"
        | "_native_batch_norm_legit_functional"
        | "_batch_norm_with_update"
        | "cudnn_batch_norm"
            if call.part_of == Some("batch_norm_train") =>
        {
            batch_norm(call, args)
        }
        "mse_loss" => loss(call, reduction(args, 2), |parts| {
            let difference = parts.difference();
            parts.both("mul", In(difference), In(difference), |a, b| a * b)
        }),
        "smooth_l1_loss" | "huber_loss" => loss(call, reduction(args, 2), |parts| {
            let difference = parts.difference();
            parts.each("abs", In(difference), f64::abs)
        }),
        "binary_cross_entropy" | "binary_cross_entropy_with_logits" => {
            loss(call, reduction(args, 3), |parts| {
                let is_plain = op == "binary_cross_entropy";
                let entropy = move |x: f64, y: f64| {
                    if is_plain {
                        -(y * x.ln().max(-100.0) + (1.0 - y) * (1.0 - x).ln().max(-100.0))
                    } else {
                        x.max(0.0) - x * y + (-x.abs()).exp().ln_1p()
                    }
                };
                parts.both("binary_cross_entropy", Out(0), Out(1), entropy)
            })
        }
        "nll_loss_forward" | "nll_loss2d_forward" => nll_loss(call, args),
        _ => Vec::new(),
    }
}

fn number(arg: Option<&Arg>) -> Option<f64> {
    match arg {
        Some(Arg::Number(number)) => Some(*number),
        _ => None,
    }
}

/// How a loss is reduced: 0 not at all, 1 mean, 2 sum (`at::Reduction`).
fn reduction(args: &[Arg], at: usize) -> u8 {
    number(args.get(at)).map_or(1, |number| number as u8)
}

/// The values of an element type that a number becomes when it is stored.
fn round(dtype: Dtype, value: f64) -> f64 {
    match dtype {
        Dtype::Float32 => f64::from(value as f32),
        Dtype::Float16 => f64::from(f16::from_f64(value)),
        Dtype::BFloat16 => f64::from(bf16::from_f64(value)),
        _ => value,
    }
}

/// Inner tensors so far, and the values of what they read.
struct Parts<'a> {
    call: &'a Call<'a>,
    dtype: Dtype,
    made: Vec<Inner>,
}

impl<'a> Parts<'a> {
    fn new(call: &'a Call<'a>) -> Self {
        let dtype = call.inputs.first().map_or(Dtype::Float32, |input| input.dtype);
        Self { call, dtype, made: Vec::new() }
    }

    fn values(&self, source: Source) -> Vec<f64> {
        match source {
            Out(at) => self.call.inputs[at].values(usize::MAX),
            In(at) => self.made[at].values.clone().unwrap_or_default(),
        }
    }

    fn shape(&self, source: Source) -> Vec<usize> {
        match source {
            Out(at) => self.call.inputs[at].shape.clone(),
            In(at) => self.made[at].shape.clone(),
        }
    }

    fn push(
        &mut self,
        name: &'static str,
        inputs: &[Source],
        shape: Vec<usize>,
        values: Vec<f64>,
        geometry: Geometry,
    ) -> usize {
        let values = values.into_iter().map(|value| round(self.dtype, value)).collect();
        self.made.push(Inner {
            name,
            scalar: None,
            inputs: inputs.to_vec(),
            shape,
            values: Some(values),
            geometry,
        });
        self.made.len() - 1
    }

    fn each(&mut self, name: &'static str, of: Source, f: impl Fn(f64) -> f64) -> usize {
        let values = self.values(of).into_iter().map(f).collect();
        self.push(name, &[of], self.shape(of), values, Geometry::Elementwise)
    }

    fn both(&mut self, name: &'static str, a: Source, b: Source, f: impl Fn(f64, f64) -> f64) -> usize {
        let (left, right) = (self.values(a), self.values(b));
        // A single value goes with all of the other side; other broadcasts are not told apart.
        let count = left.len().max(right.len());
        let of = |values: &[f64], at: usize| match values.len() {
            1 => values[0],
            length => values.get(at % length.max(1)).copied().unwrap_or(f64::NAN),
        };
        let values = (0..count).map(|at| f(of(&left, at), of(&right, at))).collect();
        let shape = if left.len() >= right.len() { self.shape(a) } else { self.shape(b) };
        self.push(name, &[a, b], shape, values, Geometry::Elementwise)
    }

    fn difference(&mut self) -> usize {
        self.both("sub", Out(0), Out(1), |a, b| a - b)
    }

    /// The operation's own output.
    fn last(mut self, name: &'static str, inputs: &[Source], geometry: Geometry) -> Vec<Inner> {
        self.made.push(Inner {
            name,
            scalar: None,
            inputs: inputs.to_vec(),
            shape: Vec::new(),
            values: None,
            geometry,
        });
        self.made
    }
}

/// `self + value * f(one, other)`, the way in which optimizers end.
fn scaled_sum(
    call: &Call<'_>,
    name: &'static str,
    value: Option<f64>,
    f: impl Fn(f64, f64) -> f64,
) -> Vec<Inner> {
    if call.inputs.len() != 3 {
        return Vec::new();
    }
    let mut parts = Parts::new(call);
    let mut at = parts.both(name, Out(1), Out(2), f);
    if let Some(value) = value {
        at = parts.each("mul", In(at), |element| element * value);
        parts.made[at].scalar = Some(value);
    }
    parts.last("add", &[Out(0), In(at)], Geometry::Elementwise)
}

fn loss(call: &Call<'_>, reduction: u8, elements: impl FnOnce(&mut Parts<'_>) -> usize) -> Vec<Inner> {
    if call.inputs.len() < 2 {
        return Vec::new();
    }
    let mut parts = Parts::new(call);
    let at = elements(&mut parts);
    let all = (0..parts.shape(In(at)).len()).collect();
    match reduction {
        1 => parts.last("mean", &[In(at)], Geometry::Reduce(all)),
        2 => parts.last("sum", &[In(at)], Geometry::Reduce(all)),
        _ => Vec::new(),
    }
}

/// `nll_loss(log probabilities [N, C, …], target [N, …], weight, reduction, ignore_index)`.
fn nll_loss(call: &Call<'_>, args: &[Arg]) -> Vec<Inner> {
    let (Some(input), Some(Arg::Tensor(target))) = (call.inputs.first(), args.get(1)) else {
        return Vec::new();
    };
    let weight = match args.get(2) {
        Some(Arg::Tensor(weight)) => Some(weight.values(usize::MAX)),
        _ => None,
    };
    let (reduction, ignored) = (reduction(args, 3), number(args.get(4)).unwrap_or(-100.0));
    let [classes, inner] = match input.shape[..] {
        [classes] => [classes, 1],
        [_, classes, ref rest @ ..] => [classes, rest.iter().product()],
        [] => return Vec::new(),
    };
    let (log_probabilities, targets) = (input.values(usize::MAX), target.values(usize::MAX));
    let weight_of = |class: f64| match &weight {
        Some(weight) => weight.get(class as usize).copied().unwrap_or(0.0),
        None => 1.0,
    };
    let mut parts = Parts::new(call);
    // 1 where the target counts: made of data alone.
    let counts: Vec<f64> =
        targets.iter().map(|&class| if class == ignored { 0.0 } else { weight_of(class) }).collect();
    let picked = targets.iter().enumerate().map(|(at, &class)| {
        let (row, place) = (at / inner.max(1), at % inner.max(1));
        let position = (row * classes + class.max(0.0) as usize) * inner + place;
        let value = log_probabilities.get(position).copied().unwrap_or(f64::NAN);
        if class == ignored { 0.0 } else { -value * weight_of(class) }
    });
    let picked: Vec<f64> = picked.collect();
    let shape = target.shape.clone();
    let target_at = 1.min(call.inputs.len() - 1);
    let mask = parts.push("not_equal", &[Out(target_at)], shape.clone(), counts, Geometry::Elementwise);
    let terms = parts.push("mul", &[Out(0), In(mask)], shape.clone(), picked, Geometry::Rows);
    let all: Vec<usize> = (0..shape.len()).collect();
    match reduction {
        1 => {
            let sum = parts.values(In(terms)).iter().sum();
            let sum = parts.push("sum", &[In(terms)], Vec::new(), vec![sum], Geometry::Reduce(all.clone()));
            let count = parts.values(In(mask)).iter().sum();
            let count = parts.push("sum", &[In(mask)], Vec::new(), vec![count], Geometry::Reduce(all));
            parts.last("div", &[In(sum), In(count)], Geometry::Elementwise)
        }
        2 => parts.last("sum", &[In(terms)], Geometry::Reduce(all)),
        _ => Vec::new(),
    }
}

/// `(x - mean) / sqrt(var + eps)` per channel.
fn batch_norm(call: &Call<'_>, args: &[Arg]) -> Vec<Inner> {
    let Some(input) = call.inputs.first() else { return Vec::new() };
    let [_, channels, ref rest @ ..] = input.shape[..] else { return Vec::new() };
    let inner: usize = rest.iter().product();
    let epsilon = args.iter().rev().find_map(|arg| number(Some(arg))).unwrap_or(1e-5);
    let mut parts = Parts::new(call);
    let values = parts.values(Out(0));
    let channel = |at: usize| at / inner.max(1) % channels.max(1);
    let per_channel = (values.len() / channels.max(1)).max(1) as f64;
    let mean_of = |values: &[f64]| {
        let mut sums = vec![0.0; channels];
        values.iter().enumerate().for_each(|(at, value)| sums[channel(at)] += value);
        sums.into_iter().map(|sum| sum / per_channel).collect::<Vec<f64>>()
    };
    let over: Vec<usize> = (0..input.shape.len()).filter(|&dim| dim != 1).collect();
    let mut one_each = vec![1; input.shape.len()];
    one_each[1] = channels;
    let means = mean_of(&values);
    let mean = parts.push("mean", &[Out(0)], one_each.clone(), means.clone(), Geometry::Reduce(over.clone()));
    let away: Vec<f64> = values.iter().enumerate().map(|(at, value)| value - means[channel(at)]).collect();
    let away = parts.push("sub", &[Out(0), In(mean)], input.shape.clone(), away, Geometry::Elementwise);
    let square = parts.both("mul", In(away), In(away), |a, b| a * b);
    let variances = mean_of(&parts.values(In(square)));
    let variance = parts.push("mean", &[In(square)], one_each.clone(), variances, Geometry::Reduce(over));
    let shifted = parts.each("add", In(variance), |variance| variance + epsilon);
    parts.made[shifted].scalar = Some(epsilon);
    let root = parts.each("sqrt", In(shifted), f64::sqrt);
    let roots = parts.values(In(root));
    let quotient: Vec<f64> =
        parts.values(In(away)).iter().enumerate().map(|(at, value)| value / roots[channel(at)]).collect();
    let quotient =
        parts.push("div", &[In(away), In(root)], input.shape.clone(), quotient, Geometry::Elementwise);
    let mut last = vec![In(quotient)];
    last.extend((1..call.inputs.len()).map(Out));
    parts.last("batch_norm", &last, Geometry::Whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::describe::describe;
    use crate::tensor::Tensor;
    use crate::tensor::tests::over;

    fn steps(inner: &[Inner]) -> Vec<(&str, Option<Vec<f64>>)> {
        inner.iter().map(|inner| (inner.name, inner.values.clone())).collect()
    }

    #[test]
    fn the_last_step_of_adam_is_a_division() {
        let (weight, moment, divisor) = ([1.0f32, 1.0], [0.0f32, 2.0], [0.0f32, 4.0]);
        let args = [&weight, &moment, &divisor].map(|values| Arg::Tensor(over(values, &[2], &[1])));
        let call = describe("addcdiv_", &args, &[2], 0);
        let inner = inside("addcdiv_", &call, &args, Some(-0.5));
        assert_eq!(inner[0].inputs, [Out(1), Out(2)]);
        let quotient = inner[0].values.clone().unwrap();
        assert!(quotient[0].is_nan() && quotient[1] == 0.5, "{quotient:?}");
        assert_eq!(inner.iter().map(|inner| inner.name).collect::<Vec<_>>(), ["div", "mul", "add"]);
        assert_eq!(inner[2].inputs, [Out(0), In(1)]);
    }

    #[test]
    fn a_loss_that_ignores_every_target_divides_by_a_count_of_nothing() {
        let logits = [-1.0f32, -2.0, -3.0, -4.0];
        let targets = [-100i64, -100];
        // SAFETY: the array outlives the tensor.
        let target =
            unsafe { Tensor::new(9, targets.as_ptr() as usize, Dtype::Int64, vec![2], vec![1], None) };
        let args = [
            Arg::Tensor(over(&logits, &[2, 2], &[2, 1])),
            Arg::Tensor(target),
            Arg::Nothing,
            Arg::Number(1.0),
            Arg::Number(-100.0),
        ];
        let call = describe("nll_loss_forward", &args, &[], 0);
        let inner = inside("nll_loss_forward", &call, &args, None);
        assert_eq!(
            steps(&inner),
            [
                ("not_equal", Some(vec![0.0, 0.0])),
                ("mul", Some(vec![0.0, 0.0])),
                ("sum", Some(vec![0.0])),
                ("sum", Some(vec![0.0])),
                ("div", None),
            ]
        );
    }

    #[test]
    fn batch_norm_divides_by_the_root_of_each_channels_variance() {
        // Two samples of two channels; the second one is constant.
        let values = [1.0f32, 5.0, 3.0, 5.0];
        let args = [
            Arg::Tensor(over(&values, &[2, 2], &[2, 1])),
            Arg::Nothing,
            Arg::Nothing,
            Arg::Nothing,
            Arg::Nothing,
            Arg::Number(1.0),
            Arg::Number(0.1),
            Arg::Number(0.0),
        ];
        let call = describe("native_batch_norm", &args, &[2, 2], 0);
        let inner = inside("native_batch_norm", &call, &args, None);
        let by_name = |name: &str| inner.iter().rfind(|inner| inner.name == name).unwrap();
        assert_eq!(by_name("mean").values, Some(vec![1.0, 0.0]));
        assert!(by_name("div").values.as_ref().unwrap()[1].is_nan());
        assert_eq!(inner.last().unwrap().name, "batch_norm");
    }
}
