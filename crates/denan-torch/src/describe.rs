//! What an operation of ATen is called in the record, and how its output's elements relate to its inputs'.

use crate::tensor::Tensor;
use denan_record::model::Window;
use denan_record::origin::Geometry;

/// An argument of an operation.
#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    /// A tensor.
    Tensor(Tensor),
    /// Tensors, some of which may be absent.
    Tensors(Vec<Option<Tensor>>),
    /// A number or truth value.
    Number(f64),
    /// Numbers.
    Numbers(Vec<f64>),
    /// Whatever else, and what was left out.
    Nothing,
}

/// What is worth knowing of an operation.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Plain name in the record's vocabulary: `log`, `div`, `matmul`, `conv2d`.
    pub name: String,
    /// The call it is part of, where the operation says more than the call: `batch_norm_train`.
    pub part_of: Option<&'static str>,
    /// Tensors it reads; the one whose values matter most first.
    pub inputs: Vec<&'a Tensor>,
    /// Scalar argument.
    pub scalar: Option<f64>,
    /// Which input elements an output element was made of.
    pub geometry: Geometry,
    /// Input positions that an index or a mask picks, where the geometry asks for them.
    pub indices: Option<Vec<i64>>,
    /// Kernel and stride of a pooling.
    pub window: Option<Window>,
}

/// Index tensors up to this many elements are kept.
const KEPT_INDICES: usize = 1 << 16;

/// Operations of one element at a time, in the record's vocabulary.
const ELEMENTWISE: &[&str] = &[
    "abs",
    "acos",
    "acosh",
    "add",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cast",
    "ceil",
    "celu",
    "clamp",
    "clamp_max",
    "clamp_min",
    "cos",
    "cosh",
    "div",
    "dropout",
    "elu",
    "equal",
    "erf",
    "exp",
    "exp2",
    "expand",
    "expm1",
    "floor",
    "gelu",
    "greater",
    "greater_equal",
    "hard_sigmoid",
    "hard_swish",
    "hard_tanh",
    "hypot",
    "isfinite",
    "isinf",
    "isnan",
    "leaky_relu",
    "lerp",
    "log",
    "log10",
    "log1p",
    "log2",
    "log_sigmoid",
    "logical_and",
    "logical_not",
    "logical_or",
    "logit",
    "lower",
    "lower_equal",
    "mask_fill",
    "mask_where",
    "max",
    "min",
    "mish",
    "mul",
    "nan_to_num",
    "neg",
    "not_equal",
    "powf",
    "prelu",
    "recip",
    "relu",
    "rem",
    "round",
    "rsqrt",
    "selu",
    "sigmoid",
    "sign",
    "silu",
    "sin",
    "sinh",
    "softplus",
    "sqrt",
    "square",
    "sub",
    "tan",
    "tanh",
    "xlogy",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "bitwise_and",
    "bitwise_or",
    "bitwise_not",
];

/// Views of, and copies in, the same row-major order.
const SAME_ORDER: &[&str] = &["reshape", "clone", "detach", "cast"];

/// Operations that reduce dimensions, or mix what lies along them.
const REDUCTIONS: &[&str] = &[
    "sum",
    "mean",
    "max",
    "min",
    "prod",
    "norm",
    "var",
    "std",
    "logsumexp",
    "argmax",
    "argmin",
    "softmax",
    "log_softmax",
    "cumsum",
    "cumprod",
    "any",
    "all",
    "sort",
    "topk",
    "median",
    "count_nonzero",
];

/// The record's name of an operation of ATen, given without namespace and overload.
pub fn plain_name(op: &str) -> &str {
    let op = op.strip_prefix("_foreach_").unwrap_or(op);
    let op = if op.ends_with('_') && !op.ends_with("__") { &op[..op.len() - 1] } else { op };
    match op {
        "reciprocal" => "recip",
        "pow" | "float_power" => "powf",
        "remainder" | "fmod" => "rem",
        "rsub" => "sub",
        "divide" | "true_divide" | "floor_divide" => "div",
        "mm" | "bmm" | "baddbmm" | "mv" | "dot" | "addmv" | "addbmm" => "matmul",
        "addmm" => "linear",
        "t" | "transpose" | "swapaxes" | "numpy_T" => "swap_dims",
        "view" | "_unsafe_view" | "_reshape_alias" | "unsqueeze" | "squeeze" | "flatten" | "unflatten"
        | "view_as" | "reshape_as" => "reshape",
        "alias" | "lift_fresh" | "lift" | "positive" | "contiguous" => "detach",
        "copy" | "clone" => "clone",
        "_to_copy" | "to" => "cast",
        "slice" | "select" | "narrow" | "unbind" | "split" | "split_with_sizes" | "chunk" | "diagonal" => {
            "slice"
        }
        "index" | "index_select" | "masked_select" => "select",
        "masked_fill" => "mask_fill",
        "where" => "mask_where",
        "constant_pad_nd" => "pad",
        "amax" | "maximum" | "fmax" | "aminmax" => "max",
        "amin" | "minimum" | "fmin" => "min",
        "linalg_vector_norm" | "frobenius_norm" | "linalg_norm" => "norm",
        "eq" => "equal",
        "ne" => "not_equal",
        "gt" => "greater",
        "ge" => "greater_equal",
        "lt" => "lower",
        "le" => "lower_equal",
        "_softmax" | "_safe_softmax" => "softmax",
        "_log_softmax" => "log_softmax",
        "log_sigmoid_forward" => "log_sigmoid",
        "sgn" => "sign",
        "native_batch_norm"
        | "_native_batch_norm_legit"
        | "_native_batch_norm_legit_no_training"
        | "_native_batch_norm_legit_functional"
        | "_batch_norm_with_update"
        | "_batch_norm_no_update"
        | "cudnn_batch_norm"
        | "miopen_batch_norm"
        | "native_batch_norm_backward"
        | "cudnn_batch_norm_backward"
        | "miopen_batch_norm_backward"
        | "batch_norm_backward" => "batch_norm",
        "native_layer_norm" => "layer_norm",
        "_fused_rms_norm" => "rms_norm",
        "native_group_norm" => "group_norm",
        "nll_loss_forward" | "nll_loss2d_forward" => "nll_loss",
        "native_dropout" | "_fused_dropout" => "dropout",
        "max_pool1d_with_indices" | "max_pool2d_with_indices" => "max_pool2d",
        "max_pool3d_with_indices" => "max_pool3d",
        "_scaled_dot_product_flash_attention_for_cpu"
        | "_scaled_dot_product_flash_attention"
        | "_scaled_dot_product_efficient_attention"
        | "_scaled_dot_product_cudnn_attention"
        | "_scaled_dot_product_fused_attention_overrideable"
        | "_scaled_dot_product_attention_math" => "attention",
        "zeros_like" | "new_zeros" => "zeros",
        "ones_like" | "new_ones" => "ones",
        "full_like" | "new_full" | "fill" | "scalar_tensor" => "full",
        "empty_like" | "new_empty" | "empty_strided" | "new_empty_strided" => "empty",
        "zero" => "zeros",
        "rand" | "randn" | "randint" | "randperm" | "rand_like" | "randn_like" | "randint_like"
        | "bernoulli" | "normal" | "uniform" | "normal_functional" | "exponential" | "multinomial"
        | "random" => "random",
        "_cdist_forward" | "_euclidean_dist" => "cdist",
        "_embedding_bag" | "embedding_bag" => "embedding",
        other => other.trim_start_matches('_'),
    }
}

/// Name, inputs, scalar and geometry of an operation.
///
/// `op` is its name in ATen without namespace and overload, `made` the shape of the output, `number` which of the
/// outputs it is.
pub fn describe<'a>(op: &str, args: &'a [Arg], made: &[usize], number: usize) -> Call<'a> {
    let name = plain_name(op);
    let mut inputs: Vec<&Tensor> = Vec::new();
    for arg in args {
        match arg {
            Arg::Tensor(tensor) => inputs.push(tensor),
            Arg::Tensors(tensors) => inputs.extend(tensors.iter().flatten()),
            _ => {}
        }
    }
    let first = match args.first() {
        Some(Arg::Tensor(tensor)) => tensor.shape.clone(),
        _ => Vec::new(),
    };
    let scalar = scalar_of(name, op, args);
    let mut call = Call {
        name: name.to_owned(),
        part_of: None,
        inputs,
        scalar,
        geometry: Geometry::Whole,
        indices: None,
        window: None,
    };
    call.geometry = match name {
        _ if call.inputs.is_empty() => Geometry::Created,
        "zeros" | "ones" | "full" | "empty" | "random" => {
            call.inputs.clear();
            Geometry::Created
        }
        "linear" => {
            // `addmm(bias, input, weight)`.
            call.inputs.rotate_left(1);
            Geometry::Rows
        }
        "swap_dims" => Geometry::Permute(swapped(op, args, first.len())),
        "permute" => Geometry::Permute(axes(args, first.len())),
        "expand" => Geometry::Elementwise,
        "slice" => slice(op, args, &first, number),
        "select" => {
            let (geometry, indices) = selection(op, args, made);
            call.indices = indices;
            geometry
        }
        "gather" => {
            let dim = dimension(args.get(1), first.len()).unwrap_or(0);
            let index = args.get(2).and_then(tensor).filter(|index| index.count() <= KEPT_INDICES);
            call.indices = index.map(Tensor::integers);
            Geometry::Gather(dim)
        }
        "cat" => Geometry::Cat(dimension(args.get(1), made.len()).unwrap_or(0)),
        "stack" => Geometry::Stack(dimension(args.get(1), made.len()).unwrap_or(0)),
        "flip" => Geometry::Flip(axes(args, first.len())),
        "embedding" => {
            // The rows of a batch are those of the indices.
            call.inputs.reverse();
            Geometry::Rows
        }
        "convolution" => {
            call.name = convolution(args, args.get(6));
            Geometry::Rows
        }
        // (grad_output, input, weight, bias_sizes, stride, padding, dilation, transposed, …): the gradient of the input is
        // a product with the weight.
        "convolution_backward" if number == 0 && call.inputs.len() > 2 => {
            call.name = convolution(&args[1..], args.get(7));
            call.inputs.remove(1);
            Geometry::Rows
        }
        "batch_norm" => {
            let trains = batch_norm_trains(op, args);
            call.part_of = Some(if trains { "batch_norm_train" } else { "batch_norm" });
            if trains {
                // Running statistics, the fourth and fifth argument, are written and never read.
                if op.ends_with("_backward") {
                    let running: Vec<&Tensor> = args.iter().skip(3).take(2).filter_map(tensor).collect();
                    call.inputs.retain(|input| !running.contains(input));
                } else {
                    call.inputs.truncate(3);
                }
                Geometry::Whole
            } else {
                Geometry::Rows
            }
        }
        "layer_norm" | "rms_norm" => Geometry::Rows,
        "nll_loss" => Geometry::Whole,
        "cdist" | "attention" | "group_norm" | "matmul" | "pad" | "repeat" | "unfold" | "im2col" => {
            Geometry::Rows
        }
        // `copy_(to, from)`: nothing of what was there stays.
        "clone" if op == "copy_" && call.inputs.len() == 2 => {
            call.inputs.remove(0);
            if call.inputs[0].shape == made { Geometry::Reshape } else { Geometry::Elementwise }
        }
        _ if SAME_ORDER.contains(&name) => Geometry::Reshape,
        _ if REDUCTIONS.contains(&name) && (call.inputs.len() == 1) => {
            Geometry::Reduce(reduced(op, args, &first, made))
        }
        _ if ELEMENTWISE.contains(&name) => Geometry::Elementwise,
        _ if name.ends_with("_pool2d") || name.ends_with("_pool1d") || name.ends_with("_pool3d") => {
            Geometry::Rows
        }
        _ if first.first() == made.first() && !made.is_empty() => Geometry::Rows,
        _ => Geometry::Whole,
    };
    if name.contains("_pool") {
        call.window = window(args);
    }
    call
}

fn tensor(arg: &Arg) -> Option<&Tensor> {
    match arg {
        Arg::Tensor(tensor) => Some(tensor),
        _ => None,
    }
}

fn number(arg: Option<&Arg>) -> Option<f64> {
    match arg {
        Some(Arg::Number(number)) => Some(*number),
        _ => None,
    }
}

fn numbers(arg: Option<&Arg>) -> Option<Vec<f64>> {
    match arg {
        Some(Arg::Numbers(numbers)) => Some(numbers.clone()),
        Some(Arg::Number(number)) => Some(vec![*number]),
        _ => None,
    }
}

/// A dimension that may count from the end.
fn wrap(dim: f64, rank: usize) -> usize {
    let dim = if dim < 0.0 { dim + rank as f64 } else { dim };
    (dim.max(0.0) as usize).min(rank.saturating_sub(1))
}

fn dimension(arg: Option<&Arg>, rank: usize) -> Option<usize> {
    number(arg).map(|dim| wrap(dim, rank))
}

/// The number that an operation on elements works with.
fn scalar_of(name: &str, op: &str, args: &[Arg]) -> Option<f64> {
    match name {
        "add" | "sub" | "mul" | "div" | "powf" | "rem" | "clamp_min" | "clamp_max" | "leaky_relu" | "elu"
        | "equal" | "not_equal" | "greater" | "greater_equal" | "lower" | "lower_equal" => {
            number(args.get(1))
        }
        // Low and high; which one bounds is told by the figures.
        "clamp" => number(args.get(1)).or(number(args.get(2))),
        "mask_fill" => match args.get(2) {
            Some(Arg::Tensor(value)) if value.count() == 1 => value.values(1).first().copied(),
            other => number(other),
        },
        "full" if op == "full" || op == "fill_" || op == "full_like" || op == "scalar_tensor" => {
            args.iter().rev().find_map(|arg| number(Some(arg)))
        }
        _ => None,
    }
}

fn swapped(op: &str, args: &[Arg], rank: usize) -> Vec<usize> {
    let mut axes: Vec<usize> = (0..rank).collect();
    if op.starts_with("transpose") || op.starts_with("swapaxes") {
        let (one, other) = (dimension(args.get(1), rank), dimension(args.get(2), rank));
        if let (Some(one), Some(other)) = (one, other) {
            axes.swap(one, other);
        }
    } else {
        axes.reverse();
    }
    axes
}

fn axes(args: &[Arg], rank: usize) -> Vec<usize> {
    let given = numbers(args.get(1)).unwrap_or_default();
    given.into_iter().map(|axis| wrap(axis, rank)).collect()
}

fn slice(op: &str, args: &[Arg], shape: &[usize], output: usize) -> Geometry {
    let dim = dimension(args.get(1), shape.len());
    let size = |dim: usize| shape.get(dim).copied().unwrap_or(0);
    let from = |dim: usize, start: isize, step: isize| {
        Geometry::Slice((0..shape.len()).map(|at| if at == dim { (start, step) } else { (0, 1) }).collect())
    };
    let counted_from_end = |value: f64, size: usize| {
        let value = if value < 0.0 { value + size as f64 } else { value };
        value.clamp(0.0, size as f64) as isize
    };
    match op {
        "slice" | "narrow" => {
            let dim = dim.unwrap_or(0);
            let start = number(args.get(2)).map_or(0, |start| counted_from_end(start, size(dim)));
            let step = if op == "slice" { number(args.get(4)).unwrap_or(1.0) as isize } else { 1 };
            from(dim, start, step)
        }
        "select" => {
            let dim = dim.unwrap_or(0);
            let index = number(args.get(2)).unwrap_or(0.0);
            Geometry::Pick(dim, counted_from_end(index, size(dim)).max(0) as usize)
        }
        "unbind" => Geometry::Pick(dim.unwrap_or(0), output),
        "split" | "split_with_sizes" | "chunk" => {
            let dim = dimension(args.get(2), shape.len()).unwrap_or(0);
            let start = match args.get(1) {
                Some(Arg::Numbers(sizes)) => sizes.iter().take(output).sum::<f64>() as isize,
                Some(Arg::Number(length)) if op != "chunk" => (output as f64 * length) as isize,
                Some(Arg::Number(parts)) => {
                    (output * size(dim).div_ceil((*parts).max(1.0) as usize)) as isize
                }
                _ => return Geometry::Whole,
            };
            from(dim, start, 1)
        }
        _ => Geometry::Whole,
    }
}

/// Rows or elements that an index picks.
fn selection(op: &str, args: &[Arg], made: &[usize]) -> (Geometry, Option<Vec<i64>>) {
    let Some(source) = args.first().and_then(tensor) else { return (Geometry::Whole, None) };
    if op == "index_select" {
        let dim = dimension(args.get(1), source.shape.len()).unwrap_or(0);
        let index = args.get(2).and_then(tensor).filter(|index| index.count() <= KEPT_INDICES);
        return (Geometry::Select(dim), index.map(Tensor::integers));
    }
    let given: Vec<(usize, &Tensor)> = match args.get(1) {
        Some(Arg::Tensors(all)) => {
            let indexed = all.iter().enumerate();
            indexed.filter_map(|(dim, index)| Some((dim, index.as_ref()?))).collect()
        }
        Some(Arg::Tensor(mask)) => vec![(0, mask)],
        _ => Vec::new(),
    };
    if given.iter().any(|(_, index)| index.count() > KEPT_INDICES) {
        return (Geometry::Whole, None);
    }
    let is_mask = |index: &Tensor| matches!(index.dtype, crate::tensor::Dtype::Bool);
    match given[..] {
        [(dim, index)] if is_mask(index) => {
            let chosen = index.positions(usize::MAX, |value| value != 0.0);
            let chosen: Vec<i64> = chosen.into_iter().map(|at| at as i64).collect();
            if index.shape.len() == 1 {
                (Geometry::Select(dim), Some(chosen))
            } else if index.shape == source.shape {
                (Geometry::Picked, Some(chosen))
            } else {
                (Geometry::Whole, None)
            }
        }
        [(dim, index)] if index.shape.len() == 1 => {
            let size = source.shape.get(dim).copied().unwrap_or(0) as i64;
            let wrapped = index.integers().into_iter().map(|at| if at < 0 { at + size } else { at });
            (Geometry::Select(dim), Some(wrapped.collect()))
        }
        // One index for each dimension: single elements.
        ref many if many.len() == source.shape.len() && !many.iter().any(|(_, index)| is_mask(index)) => {
            let count: usize = made.iter().product();
            let columns: Vec<Vec<i64>> = many.iter().map(|(_, index)| index.integers()).collect();
            if columns.iter().any(|column| column.len() != count && column.len() != 1) {
                return (Geometry::Whole, None);
            }
            let flat = (0..count).map(|at| {
                columns.iter().zip(&source.shape).fold(0i64, |position, (column, &size)| {
                    let index = column[if column.len() == 1 { 0 } else { at }];
                    position * size as i64 + if index < 0 { index + size as i64 } else { index }
                })
            });
            (Geometry::Picked, Some(flat.collect()))
        }
        _ => (Geometry::Whole, None),
    }
}

/// Dimensions that a reduction goes over; all without any.
fn reduced(op: &str, args: &[Arg], shape: &[usize], made: &[usize]) -> Vec<usize> {
    let rank = shape.len();
    let given = match op {
        "linalg_vector_norm" | "norm" => args.get(2),
        "var" | "std" | "var_mean" | "std_mean" => args.get(1),
        _ => args.get(1),
    };
    let all = || (0..rank).collect();
    if made.is_empty() || (made.len() == 1 && made[0] == 1 && rank != 1) {
        return all();
    }
    match numbers(given) {
        Some(dims) if !dims.is_empty() => dims.into_iter().map(|dim| wrap(dim, rank)).collect(),
        _ => all(),
    }
}

/// `conv2d`, of input and weight; a convolution that is `transposed` says so.
fn convolution(args: &[Arg], transposed: Option<&Arg>) -> String {
    let dims = args.get(1).and_then(tensor).map_or(2, |weight| weight.shape.len().saturating_sub(2).max(1));
    let is_transposed = self::number(transposed).is_some_and(|flag| flag != 0.0);
    if is_transposed { format!("conv_transpose{dims}d") } else { format!("conv{dims}d") }
}

fn batch_norm_trains(op: &str, args: &[Arg]) -> bool {
    match op {
        // (grad_out, input, weight, running_mean, running_var, save_mean, save_invstd, train, eps, …)
        "native_batch_norm_backward" => number(args.get(7)).is_some_and(|flag| flag != 0.0),
        // (input, weight, bias, running_mean, running_var, training, momentum, eps)
        "native_batch_norm" | "_native_batch_norm_legit" | "cudnn_batch_norm" | "miopen_batch_norm" => {
            number(args.get(5)).is_some_and(|flag| flag != 0.0) || args.len() < 6
        }
        "_batch_norm_no_update" | "_native_batch_norm_legit_no_training" => false,
        _ => true,
    }
}

fn window(args: &[Arg]) -> Option<Window> {
    let whole = |sizes: Vec<f64>| sizes.into_iter().map(|size| size as u64).collect::<Vec<u64>>();
    let kernel = whole(numbers(args.get(1))?);
    let stride = numbers(args.get(2)).map(whole).filter(|stride| !stride.is_empty());
    Some(Window { stride: stride.unwrap_or_else(|| kernel.clone()), kernel })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::tests::over;

    #[test]
    fn operations_have_one_name_whatever_their_form() {
        for (op, plain) in [
            ("log", "log"),
            ("log_", "log"),
            ("_foreach_mul_", "mul"),
            ("reciprocal", "recip"),
            ("_log_softmax", "log_softmax"),
            ("addmm", "linear"),
            ("__and__", "and__"),
        ] {
            assert_eq!(plain_name(op), plain, "{op}");
        }
    }

    #[test]
    fn a_linear_layer_reads_its_input_first() {
        let values = [0.0; 12];
        let (bias, input, weight) =
            (over(&values, &[2], &[1]), over(&values, &[4, 3], &[3, 1]), over(&values, &[3, 2], &[1, 3]));
        let args = [Arg::Tensor(bias.clone()), Arg::Tensor(input.clone()), Arg::Tensor(weight.clone())];
        let call = describe("addmm", &args, &[4, 2], 0);
        assert_eq!(call.name, "linear");
        assert_eq!(call.inputs, [&input, &weight, &bias]);
        assert_eq!(call.geometry, Geometry::Rows);
    }

    #[test]
    fn the_gradient_of_a_training_batch_norm_reads_no_running_statistics() {
        let memory = [[0.0; 6]; 7];
        let at = |number: usize| Arg::Tensor(over(&memory[number], &[3], &[1]));
        let args = |trains: bool| {
            let mut args: Vec<Arg> = (0..7).map(at).collect();
            args.extend([Arg::Number(f64::from(u8::from(trains))), Arg::Number(1e-5)]);
            args
        };
        let (training, evaluating) = (args(true), args(false));
        let pointers = |args: &[Arg]| -> Vec<usize> {
            describe("native_batch_norm_backward", args, &[3], 0)
                .inputs
                .iter()
                .map(|input| input.pointer)
                .collect()
        };
        let all: Vec<usize> = memory.iter().map(|values| values.as_ptr() as usize).collect();
        assert_eq!(pointers(&training), [all[0], all[1], all[2], all[5], all[6]]);
        assert_eq!(pointers(&evaluating), all);
    }

    #[test]
    fn views_say_which_elements_they_show() {
        let values = [0.0; 24];
        let source = Arg::Tensor(over(&values, &[2, 3, 4], &[12, 4, 1]));
        let args = [source.clone(), Arg::Number(-1.0), Arg::Number(-2.0), Arg::Number(9.0), Arg::Number(1.0)];
        let call = describe("slice", &args, &[2, 3, 2], 0);
        assert_eq!(call.geometry, Geometry::Slice(vec![(0, 1), (0, 1), (2, 1)]));
        let args = [source.clone(), Arg::Number(1.0), Arg::Number(-1.0)];
        assert_eq!(describe("select", &args, &[2, 4], 0).geometry, Geometry::Pick(1, 2));
        let args = [source.clone(), Arg::Number(2.0), Arg::Number(-1.0)];
        assert_eq!(
            describe("split", &args, &[2, 3, 2], 1).geometry,
            Geometry::Slice(vec![(0, 1), (0, 1), (2, 1)])
        );
        let args = [source, Arg::Numbers(vec![-1.0]), Arg::Number(0.0)];
        assert_eq!(describe("mean", &args, &[2, 3], 0).geometry, Geometry::Reduce(vec![2]));
    }
}
