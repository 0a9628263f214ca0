//! Reading elements of flex tensors: summaries, positions, single values.

use burn_backend::{DType, Shape, TensorData};
use denan_numerics::{Extent, Range, Summary};
use half::{bf16, f16};
use real_flex::FlexTensor;

/// Runs `$body` with `$data` bound to the whole storage of a float tensor in its own type.
macro_rules! with_floats {
    ($tensor:expr, $data:ident => $body:expr, else $other:expr) => {
        match $tensor.dtype() {
            DType::F32 => {
                let $data: &[f32] = $tensor.storage();
                $body
            }
            DType::F64 => {
                let $data: &[f64] = $tensor.storage();
                $body
            }
            DType::F16 => {
                let $data: &[f16] = $tensor.storage();
                $body
            }
            DType::BF16 => {
                let $data: &[bf16] = $tensor.storage();
                $body
            }
            _ => $other,
        }
    };
}

/// The cheap figures of a float tensor; empty for other types.
pub fn extent(tensor: &FlexTensor) -> Extent {
    let layout = tensor.layout();
    with_floats!(tensor, data => match layout.contiguous_offsets() {
        Some((start, end)) => denan_numerics::extent(&data[start..end]),
        None => denan_numerics::extent_strided(data, layout.start_offset(), layout.shape().as_slice(), layout.strides())
            .unwrap_or(Extent::EMPTY),
    }, else Extent::EMPTY)
}

/// Where the elements of a float tensor lie; empty for other types.
pub fn range(tensor: &FlexTensor) -> Range {
    extent(tensor).range
}

/// All figures of a float tensor; empty for other types.
pub fn summary(tensor: &FlexTensor) -> Summary {
    let layout = tensor.layout();
    with_floats!(tensor, data => match layout.contiguous_offsets() {
        Some((start, end)) => denan_numerics::summarize(&data[start..end]),
        None => denan_numerics::summarize_strided(data, layout.start_offset(), layout.shape().as_slice(), layout.strides())
            .unwrap_or(Summary::EMPTY),
    }, else Summary::EMPTY)
}

/// The first elements in row-major order, widened.
#[expect(clippy::useless_conversion, reason = "one of the four types is f64 itself")]
pub fn first_values(tensor: &FlexTensor, most: usize) -> Vec<f64> {
    let layout = tensor.layout();
    if layout.num_elements() <= most {
        return values(tensor);
    }
    // Larger tensors are data sets that were handed over whole, which lie in one piece.
    let Some((start, _)) = layout.contiguous_offsets() else { return Vec::new() };
    let widen = start..start + most;
    with_floats!(tensor, data => data[widen].iter().map(|&x| f64::from(x)).collect(), else Vec::new())
}

/// All elements in row-major order, widened.
#[expect(clippy::useless_conversion, reason = "one of the four types is f64 itself")]
pub fn values(tensor: &FlexTensor) -> Vec<f64> {
    let places = places(tensor);
    with_floats!(
        tensor,
        data => places.iter().map(|&at| f64::from(data[at])).collect(),
        else integers(tensor).into_iter().map(|x| x as f64).collect()
    )
}

/// Where in its storage the elements of a tensor lie, in row-major order.
///
/// flex can make a tensor contiguous itself, but does so on rayon's threads; see [`crate::channel`].
fn places(tensor: &FlexTensor) -> Vec<usize> {
    let layout = tensor.layout();
    let count = layout.num_elements();
    let start = layout.start_offset();
    if let Some((start, end)) = layout.contiguous_offsets() {
        return (start..end).collect();
    }
    let (sizes, strides) = (layout.shape().as_slice(), layout.strides());
    let mut place = vec![0; sizes.len()];
    let mut at = start as isize;
    let mut places = Vec::with_capacity(count);
    for _ in 0..count {
        places.push(at as usize);
        for dim in (0..sizes.len()).rev() {
            place[dim] += 1;
            at += strides[dim];
            if place[dim] < sizes[dim] {
                break;
            }
            at -= strides[dim] * sizes[dim] as isize;
            place[dim] = 0;
        }
    }
    places
}

/// All elements in row-major order, in their own type and this machine's byte order; none of a quantised tensor.
pub fn bytes(tensor: &FlexTensor) -> Option<Vec<u8>> {
    if matches!(tensor.dtype(), DType::QFloat(_)) {
        return None;
    }
    let (size, raw) = (tensor.dtype().size(), tensor.bytes());
    if let Some((start, end)) = tensor.layout().contiguous_offsets() {
        return raw.get(start * size..end * size).map(<[u8]>::to_vec);
    }
    let mut bytes = Vec::with_capacity(tensor.layout().num_elements() * size);
    for at in places(tensor) {
        bytes.extend_from_slice(raw.get(at * size..(at + 1) * size)?);
    }
    Some(bytes)
}

/// Row-major positions of the first `most` elements of a kind.
pub fn positions(tensor: &FlexTensor, most: usize, is_of_kind: fn(f64) -> bool) -> Vec<usize> {
    values(tensor).iter().enumerate().filter(|(_, x)| is_of_kind(**x)).map(|(at, _)| at).take(most).collect()
}

/// The integers of an index tensor in row-major order.
pub fn integers(tensor: &FlexTensor) -> Vec<i64> {
    let places = places(tensor);
    macro_rules! read {
        ($type:ty) => {{
            let data: &[$type] = tensor.storage();
            places.iter().map(|&at| data[at] as i64).collect()
        }};
    }
    match tensor.dtype() {
        DType::I64 => read!(i64),
        DType::I32 => read!(i32),
        DType::I16 => read!(i16),
        DType::I8 => read!(i8),
        DType::U64 => read!(u64),
        DType::U32 => read!(u32),
        DType::U16 => read!(u16),
        DType::U8 => read!(u8),
        _ => Vec::new(),
    }
}

/// The bits of a one-element float tensor, widened.
pub fn bits(tensor: &FlexTensor) -> Option<u64> {
    let at = tensor.layout().start_offset();
    if tensor.layout().num_elements() != 1 {
        return None;
    }
    match tensor.dtype() {
        DType::F32 => Some(tensor.storage::<f32>()[at].to_bits().into()),
        DType::F64 => Some(tensor.storage::<f64>()[at].to_bits()),
        DType::F16 => Some(tensor.storage::<f16>()[at].to_bits().into()),
        DType::BF16 => Some(tensor.storage::<bf16>()[at].to_bits().into()),
        _ => None,
    }
}

/// The same tensor with every element passed through `map`, in its own type.
pub fn mapped(tensor: &FlexTensor, map: impl Fn(f64) -> f64) -> FlexTensor {
    mapped_by_position(tensor, |_, x| map(x))
}

/// As [`mapped`], with the row-major position of each element.
pub fn mapped_by_position(tensor: &FlexTensor, map: impl Fn(usize, f64) -> f64) -> FlexTensor {
    let values = values(tensor).into_iter().enumerate().map(|(at, x)| map(at, x)).collect();
    of_values(values, tensor.layout().shape().clone(), tensor.dtype())
}

/// Whether its elements are floating-point numbers.
pub fn is_float(tensor: &FlexTensor) -> bool {
    tensor.dtype().is_float()
}

/// The same tensor as float32.
pub fn in_float32(tensor: &FlexTensor) -> FlexTensor {
    of_values(values(tensor), tensor.layout().shape().clone(), DType::F32)
}

/// The same tensor as float16.
pub fn in_float16(tensor: &FlexTensor) -> FlexTensor {
    of_values(values(tensor), tensor.layout().shape().clone(), DType::F16)
}

/// A float tensor of these elements in row-major order.
pub fn of_values(values: Vec<f64>, shape: Shape, dtype: DType) -> FlexTensor {
    let values = values.into_iter();
    let data = match dtype {
        DType::F64 => TensorData::new(values.collect::<Vec<f64>>(), shape),
        DType::F16 => TensorData::new(values.map(f16::from_f64).collect::<Vec<_>>(), shape),
        DType::BF16 => TensorData::new(values.map(bf16::from_f64).collect::<Vec<_>>(), shape),
        _ => TensorData::new(values.map(|x| x as f32).collect::<Vec<_>>(), shape),
    };
    FlexTensor::from_data(data)
}

/// The word of the contract for an element type.
pub fn dtype_name(dtype: DType) -> &'static str {
    match dtype {
        DType::F64 => "float64",
        DType::F32 | DType::Flex32 => "float32",
        DType::F16 => "float16",
        DType::BF16 => "bfloat16",
        DType::I64 => "int64",
        DType::I32 => "int32",
        DType::I16 => "int16",
        DType::I8 => "int8",
        DType::U64 => "uint64",
        DType::U32 => "uint32",
        DType::U16 => "uint16",
        DType::U8 => "uint8",
        DType::Bool(_) => "bool",
        DType::QFloat(_) => "quantized",
    }
}
