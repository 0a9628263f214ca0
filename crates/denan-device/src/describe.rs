//! What an operation is called and how its output's elements relate to its inputs'.

use burn_ir::{
    ActivationOperationIr as Activation, BaseOperationIr as Base, FloatOperationIr as Float,
    ModuleOperationIr as Module, NumericOperationIr as Numeric, OperationIr, ScalarIr, TensorId,
};
use denan_record::model::Window;
use denan_record::origin::Geometry;

/// What is worth knowing of an operation once it is done.
#[derive(Clone, Debug)]
pub struct Call {
    /// Plain name as users write it: `log`, `div`, `matmul`, `conv2d`.
    pub name: &'static str,
    /// Scalar argument, if it has one.
    pub scalar: Option<f64>,
    /// Which input elements an output element was made of.
    pub geometry: Geometry,
    /// The index tensor of a select or gather.
    pub indices: Option<TensorId>,
    /// Kernel and stride of a pooling.
    pub window: Option<Box<Window>>,
}

/// Name, scalar and geometry of an operation.
pub fn describe(op: &OperationIr) -> Call {
    match op {
        OperationIr::BaseFloat(op) | OperationIr::BaseInt(op) | OperationIr::BaseBool(op) => base(op),
        OperationIr::NumericFloat(_, op) | OperationIr::NumericInt(_, op) => numeric(op),
        OperationIr::Float(_, op) => float(op),
        OperationIr::Module(op) => module(op),
        OperationIr::Activation(op) => activation(op),
        OperationIr::Init(_) => call("input", Geometry::Created),
        OperationIr::Bool(_) | OperationIr::Int(_) => call("cast", Geometry::Elementwise),
        OperationIr::Custom(_) => call("custom operation", Geometry::Whole),
        OperationIr::Distributed(_) => call("all_reduce", Geometry::Elementwise),
        OperationIr::Drop(_) => call("drop", Geometry::Created),
    }
}

/// The plain name of a call given as the name of burn's function: `float_powf_scalar` → `powf`.
pub fn plain_name(function: &str) -> &str {
    let mut name = function;
    for prefix in ["float_", "int_", "bool_"] {
        name = name.strip_prefix(prefix).unwrap_or(name);
    }
    for suffix in ["_impl", "_with_indices", "_scalar", "_elem", "_dims", "_dim"] {
        name = name.strip_suffix(suffix).unwrap_or(name);
    }
    name
}

fn call(name: &'static str, geometry: Geometry) -> Call {
    Call { name, scalar: None, geometry, indices: None, window: None }
}

fn indexed(name: &'static str, geometry: Geometry, indices: TensorId) -> Call {
    Call { indices: Some(indices), ..call(name, geometry) }
}

fn with_scalar(name: &'static str, scalar: ScalarIr) -> Call {
    Call { scalar: Some(scalar.elem()), ..call(name, Geometry::Elementwise) }
}

fn base(op: &Base) -> Call {
    use Geometry as G;
    match op {
        Base::Reshape(_) => call("reshape", G::Reshape),
        Base::SwapDims(d) => {
            let mut axes: Vec<usize> = (0..d.input.shape.num_dims()).collect();
            axes.swap(d.dim1, d.dim2);
            call("swap_dims", G::Permute(axes))
        }
        Base::Permute(d) => call("permute", G::Permute(d.axes.clone())),
        Base::Flip(d) => call("flip", G::Flip(d.axes.clone())),
        Base::Expand(_) => call("expand", G::Elementwise),
        Base::Unfold(_) => call("unfold", G::Rows),
        Base::Slice(d) => {
            let sizes = d.tensor.shape.as_slice();
            let ranges = d
                .ranges
                .iter()
                .zip(sizes)
                .map(|(slice, &size)| {
                    let range = slice.to_range(size);
                    let start = if slice.step < 0 { range.end as isize - 1 } else { range.start as isize };
                    (start, slice.step)
                })
                .chain(sizes.iter().skip(d.ranges.len()).map(|_| (0, 1)))
                .collect();
            call("slice", G::Slice(ranges))
        }
        Base::SliceAssign(_) => call("slice_assign", G::Elementwise),
        Base::Select(d) => indexed("select", G::Select(d.dim), d.indices.id),
        Base::SelectAssign(_) => call("select_assign", G::Whole),
        Base::MaskWhere(_) => call("mask_where", G::Elementwise),
        Base::MaskFill(d) => with_scalar("mask_fill", d.value),
        Base::Gather(d) => indexed("gather", G::Gather(d.dim), d.indices.id),
        Base::Scatter(_) | Base::ScatterNd(_) => call("scatter", G::Whole),
        Base::GatherNd(_) => call("gather_nd", G::Whole),
        Base::Equal(_) | Base::EqualElem(_) => call("equal", G::Elementwise),
        Base::NotEqual(_) | Base::NotEqualElem(_) => call("not_equal", G::Elementwise),
        Base::RepeatDim(_) => call("repeat", G::Whole),
        Base::Cat(d) => call("cat", G::Cat(d.dim)),
        Base::Cast(_) => call("cast", G::Elementwise),
        Base::Empty(_) => call("empty", G::Created),
        Base::Ones(_) => call("ones", G::Created),
        Base::Zeros(_) => call("zeros", G::Created),
        Base::All(_) | Base::AllDim(_) => call("all", G::Whole),
        Base::Any(_) | Base::AnyDim(_) => call("any", G::Whole),
    }
}

fn numeric(op: &Numeric) -> Call {
    use Geometry as G;
    match op {
        Numeric::Add(_) => call("add", G::Elementwise),
        Numeric::AddScalar(d) => with_scalar("add", d.rhs),
        Numeric::Sub(_) => call("sub", G::Elementwise),
        Numeric::SubScalar(d) => with_scalar("sub", d.rhs),
        Numeric::Div(_) => call("div", G::Elementwise),
        Numeric::DivScalar(d) => with_scalar("div", d.rhs),
        Numeric::Rem(_) => call("remainder", G::Elementwise),
        Numeric::RemScalar(d) => with_scalar("remainder", d.rhs),
        Numeric::Mul(_) => call("mul", G::Elementwise),
        Numeric::MulScalar(d) => with_scalar("mul", d.rhs),
        Numeric::Abs(_) => call("abs", G::Elementwise),
        Numeric::Full(d) => Call { scalar: Some(d.value.elem()), ..call("full", G::Created) },
        Numeric::MeanDim(d) => call("mean", G::Reduce(vec![d.axis])),
        Numeric::Mean(_) => call("mean", G::Whole),
        Numeric::Sum(_) => call("sum", G::Whole),
        Numeric::SumDim(d) => call("sum", G::Reduce(vec![d.axis])),
        Numeric::SumDims(d) => call("sum", G::Reduce(d.axes.clone())),
        Numeric::Prod(_) => call("prod", G::Whole),
        Numeric::ProdDim(d) => call("prod", G::Reduce(vec![d.axis])),
        Numeric::Greater(_) | Numeric::GreaterElem(_) => call("greater", G::Elementwise),
        Numeric::GreaterEqual(_) | Numeric::GreaterEqualElem(_) => call("greater_equal", G::Elementwise),
        Numeric::Lower(_) | Numeric::LowerElem(_) => call("lower", G::Elementwise),
        Numeric::LowerEqual(_) | Numeric::LowerEqualElem(_) => call("lower_equal", G::Elementwise),
        Numeric::ArgMax(_) => call("argmax", G::Rows),
        Numeric::ArgMin(_) => call("argmin", G::Rows),
        Numeric::ArgTopK(_) | Numeric::TopK(_) | Numeric::TopKWithIndices(_) => call("topk", G::Rows),
        Numeric::Max(_) => call("max", G::Whole),
        Numeric::Min(_) => call("min", G::Whole),
        Numeric::MaxDim(d) => call("max", G::Reduce(vec![d.axis])),
        Numeric::MinDim(d) => call("min", G::Reduce(vec![d.axis])),
        Numeric::MaxDimWithIndices(d) => call("max", G::Reduce(vec![d.dim])),
        Numeric::MinDimWithIndices(d) => call("min", G::Reduce(vec![d.dim])),
        Numeric::MaxAbs(_) => call("max_abs", G::Whole),
        Numeric::MaxAbsDim(d) => call("max_abs", G::Reduce(vec![d.axis])),
        Numeric::Clamp(_) => call("clamp", G::Elementwise),
        Numeric::ClampMin(d) => with_scalar("clamp_min", d.rhs),
        Numeric::ClampMax(d) => with_scalar("clamp_max", d.rhs),
        Numeric::IntRandom(_) => call("random", G::Created),
        Numeric::Powi(_) => call("powi", G::Elementwise),
        Numeric::PowiScalar(d) => with_scalar("powi", d.rhs),
        Numeric::CumSum(_) => call("cumsum", G::Rows),
        Numeric::CumProd(_) => call("cumprod", G::Rows),
        Numeric::CumMin(_) => call("cummin", G::Rows),
        Numeric::CumMax(_) => call("cummax", G::Rows),
        Numeric::Neg(_) => call("neg", G::Elementwise),
        Numeric::Sign(_) => call("sign", G::Elementwise),
        Numeric::Sort(_) | Numeric::SortWithIndices(_) => call("sort", G::Rows),
        Numeric::ArgSort(_) => call("argsort", G::Rows),
        Numeric::Pad(_) => call("pad", G::Rows),
    }
}

fn float(op: &Float) -> Call {
    use Geometry as G;
    let name = match op {
        Float::PowfScalar(d) => return with_scalar("powf", d.rhs),
        Float::Matmul(_) => return call("matmul", G::Rows),
        Float::Random(_) => return call("random", G::Created),
        Float::Cross(_) => return call("cross", G::Rows),
        Float::GridSample2d(_) => return call("grid_sample_2d", G::Rows),
        Float::Exp(_) => "exp",
        Float::Log(_) => "log",
        Float::Log1p(_) => "log1p",
        Float::Erf(_) => "erf",
        Float::Sqrt(_) => "sqrt",
        Float::Cos(_) => "cos",
        Float::Cosh(_) => "cosh",
        Float::Sin(_) => "sin",
        Float::Sinh(_) => "sinh",
        Float::Tan(_) => "tan",
        Float::Tanh(_) => "tanh",
        Float::ArcCos(_) => "acos",
        Float::ArcCosh(_) => "acosh",
        Float::ArcSin(_) => "asin",
        Float::ArcSinh(_) => "asinh",
        Float::ArcTan(_) => "atan",
        Float::ArcTanh(_) => "atanh",
        Float::ArcTan2(_) => "atan2",
        Float::Round(_) => "round",
        Float::Floor(_) => "floor",
        Float::Ceil(_) => "ceil",
        Float::Trunc(_) => "trunc",
        Float::IntoInt(_) => "int",
        Float::Recip(_) => "recip",
        Float::IsNan(_) => "is_nan",
        Float::IsInf(_) => "is_inf",
        Float::Quantize(_) => "quantize",
        Float::Dequantize(_) => "dequantize",
        Float::Powf(_) => "powf",
        Float::Hypot(_) => "hypot",
    };
    call(name, G::Elementwise)
}

fn activation(op: &Activation) -> Call {
    use Geometry as G;
    match op {
        Activation::Relu(_) | Activation::ReluBackward(_) => call("relu", G::Elementwise),
        Activation::LeakyRelu(d) => with_scalar("leaky_relu", d.rhs),
        Activation::PRelu(_) => call("prelu", G::Elementwise),
        Activation::Gelu(_) | Activation::GeluBackward(_) => call("gelu", G::Elementwise),
        Activation::Sigmoid(_) | Activation::SigmoidBackward(_) => call("sigmoid", G::Elementwise),
        Activation::HardSigmoid(_) => call("hard_sigmoid", G::Elementwise),
        Activation::LogSigmoid(_) | Activation::LogSigmoidBackward(_) => call("log_sigmoid", G::Elementwise),
        Activation::Softmax(d) => call("softmax", G::Reduce(vec![d.axis])),
        Activation::LogSoftmax(d) => call("log_softmax", G::Reduce(vec![d.axis])),
        Activation::Softmin(d) => call("softmin", G::Reduce(vec![d.axis])),
    }
}

fn module(op: &Module) -> Call {
    let name = match op {
        Module::BatchNorm(_) => "batch_norm",
        Module::Embedding(_) | Module::EmbeddingBackward(_) => "embedding",
        Module::Linear(_)
        | Module::LinearXBackward(_)
        | Module::LinearWeightBackward(_)
        | Module::LinearBiasBackward(_) => "linear",
        Module::Conv1d(_)
        | Module::Conv1dXBackward(_)
        | Module::Conv1dWeightBackward(_)
        | Module::Conv1dBiasBackward(_) => "conv1d",
        Module::Conv2d(_)
        | Module::Conv2dXBackward(_)
        | Module::Conv2dWeightBackward(_)
        | Module::Conv2dBiasBackward(_) => "conv2d",
        Module::Conv3d(_)
        | Module::Conv3dXBackward(_)
        | Module::Conv3dWeightBackward(_)
        | Module::Conv3dBiasBackward(_) => "conv3d",
        Module::DeformableConv2d(_) | Module::DeformableConv2dBackward(_) => "deform_conv2d",
        Module::ConvTranspose1d(_)
        | Module::ConvTranspose1dWeightBackward(_)
        | Module::ConvTranspose1dBiasBackward(_) => "conv_transpose1d",
        Module::ConvTranspose2d(_)
        | Module::ConvTranspose2dWeightBackward(_)
        | Module::ConvTranspose2dBiasBackward(_) => "conv_transpose2d",
        Module::ConvTranspose3d(_)
        | Module::ConvTranspose3dWeightBackward(_)
        | Module::ConvTranspose3dBiasBackward(_) => "conv_transpose3d",
        Module::AvgPool1d(_) | Module::AvgPool1dBackward(_) => "avg_pool1d",
        Module::AvgPool2d(_) | Module::AvgPool2dBackward(_) => "avg_pool2d",
        Module::AdaptiveAvgPool1d(_) | Module::AdaptiveAvgPool1dBackward(_) => "adaptive_avg_pool1d",
        Module::AdaptiveAvgPool2d(_) | Module::AdaptiveAvgPool2dBackward(_) => "adaptive_avg_pool2d",
        Module::AdaptiveAvgPool3d(_) | Module::AdaptiveAvgPool3dBackward(_) => "adaptive_avg_pool3d",
        Module::MaxPool1d(_) | Module::MaxPool1dWithIndices(_) | Module::MaxPool1dWithIndicesBackward(_) => {
            "max_pool1d"
        }
        Module::MaxPool2d(_) | Module::MaxPool2dWithIndices(_) | Module::MaxPool2dWithIndicesBackward(_) => {
            "max_pool2d"
        }
        Module::Interpolate(_) | Module::InterpolateBackward(_) => "interpolate",
        Module::Attention(_) => "attention",
        Module::CtcLoss(_) | Module::CtcLossBackward(_) => "ctc_loss",
        Module::LayerNorm(_) => "layer_norm",
        Module::Unfold4d(_) => "unfold4d",
    };
    Call { window: window(op), ..call(name, Geometry::Rows) }
}

/// Kernel and stride of a pooling of the forward pass.
fn window(op: &Module) -> Option<Box<Window>> {
    let (kernel, stride): (&[usize], &[usize]) = match op {
        Module::AvgPool1d(d) => (&[d.kernel_size], &[d.stride]),
        Module::AvgPool2d(d) => (&d.kernel_size, &d.stride),
        Module::MaxPool1d(d) => (&[d.kernel_size], &[d.stride]),
        Module::MaxPool1dWithIndices(d) => (&[d.kernel_size], &[d.stride]),
        Module::MaxPool2d(d) => (&d.kernel_size, &d.stride),
        Module::MaxPool2dWithIndices(d) => (&d.kernel_size, &d.stride),
        _ => return None,
    };
    let sizes = |sizes: &[usize]| sizes.iter().map(|&size| size as u64).collect();
    Some(Box::new(Window { kernel: sizes(kernel), stride: sizes(stride) }))
}

#[cfg(test)]
mod tests {
    use super::plain_name;

    #[test]
    fn names_of_functions_become_names_of_calls() {
        for (function, name) in [
            ("float_log", "log"),
            ("float_powf_scalar", "powf"),
            ("float_powf_scalar_impl", "powf"),
            ("float_sum_dim", "sum"),
            ("float_max_dim_with_indices", "max"),
            ("conv2d", "conv2d"),
        ] {
            assert_eq!(plain_name(function), name);
        }
    }
}
