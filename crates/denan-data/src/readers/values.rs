//! Numbers as they lie in files.

use super::Dtype;
use half::{bf16, f16};

/// Numbers of one type.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Values<'a> {
    F16(&'a [f16]),
    Bf16(&'a [bf16]),
    F32(&'a [f32]),
    F64(&'a [f64]),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    /// Truth values as well, as 0 and 1.
    U8(&'a [u8]),
    U16(&'a [u16]),
    U32(&'a [u32]),
    U64(&'a [u64]),
}

impl<'a> Values<'a> {
    /// The numbers in these bytes, which begin where a `u64` may ([`aligned`]) and are in the order of this machine; bytes after the last
    /// whole number are left out.
    pub(crate) fn of_bytes(dtype: Dtype, bytes: &'a [u8]) -> Self {
        let whole = &bytes[..bytes.len() - bytes.len() % dtype.size() as usize];
        match dtype {
            Dtype::F16 => Self::F16(bytemuck::cast_slice(whole)),
            Dtype::BF16 => Self::Bf16(bytemuck::cast_slice(whole)),
            Dtype::F32 => Self::F32(bytemuck::cast_slice(whole)),
            Dtype::F64 => Self::F64(bytemuck::cast_slice(whole)),
            Dtype::I8 => Self::I8(bytemuck::cast_slice(whole)),
            Dtype::I16 => Self::I16(bytemuck::cast_slice(whole)),
            Dtype::I32 => Self::I32(bytemuck::cast_slice(whole)),
            Dtype::I64 => Self::I64(bytemuck::cast_slice(whole)),
            Dtype::U8 | Dtype::Bool => Self::U8(whole),
            Dtype::U16 => Self::U16(bytemuck::cast_slice(whole)),
            Dtype::U32 => Self::U32(bytemuck::cast_slice(whole)),
            Dtype::U64 => Self::U64(bytemuck::cast_slice(whole)),
        }
    }
}

impl Values<'_> {
    /// How many bytes each takes, and all of them.
    pub(crate) fn bytes(&self) -> (usize, &[u8]) {
        match self {
            Self::F16(values) => (2, bytemuck::cast_slice(values)),
            Self::Bf16(values) => (2, bytemuck::cast_slice(values)),
            Self::F32(values) => (4, bytemuck::cast_slice(values)),
            Self::F64(values) => (8, bytemuck::cast_slice(values)),
            Self::I8(values) => (1, bytemuck::cast_slice(values)),
            Self::I16(values) => (2, bytemuck::cast_slice(values)),
            Self::I32(values) => (4, bytemuck::cast_slice(values)),
            Self::I64(values) => (8, bytemuck::cast_slice(values)),
            Self::U8(values) => (1, values),
            Self::U16(values) => (2, bytemuck::cast_slice(values)),
            Self::U32(values) => (4, bytemuck::cast_slice(values)),
            Self::U64(values) => (8, bytemuck::cast_slice(values)),
        }
    }

    /// Hands on each number with its position.
    pub(crate) fn each(self, mut take: impl FnMut(usize, f64)) {
        macro_rules! each {
            ($values:expr, $number:expr) => {
                $values.iter().map($number).enumerate().for_each(|(position, value)| take(position, value))
            };
        }
        match self {
            Self::F16(values) => each!(values, |value| value.to_f64()),
            Self::Bf16(values) => each!(values, |value| value.to_f64()),
            Self::F32(values) => each!(values, |value| f64::from(*value)),
            Self::F64(values) => each!(values, |value| *value),
            Self::I8(values) => each!(values, |value| f64::from(*value)),
            Self::I16(values) => each!(values, |value| f64::from(*value)),
            Self::I32(values) => each!(values, |value| f64::from(*value)),
            Self::I64(values) => each!(values, |value| *value as f64),
            Self::U8(values) => each!(values, |value| f64::from(*value)),
            Self::U16(values) => each!(values, |value| f64::from(*value)),
            Self::U32(values) => each!(values, |value| f64::from(*value)),
            Self::U64(values) => each!(values, |value| *value as f64),
        }
    }
}

/// Room for this many bytes at the beginning of a buffer, which begins where a `u64` may.
pub(crate) fn aligned(buffer: &mut Vec<u64>, bytes: usize) -> &mut [u8] {
    buffer.resize(buffer.len().max(bytes.div_ceil(8)), 0);
    &mut bytemuck::cast_slice_mut(buffer)[..bytes]
}

/// Brings numbers of `size` bytes from the order of another machine into that of this one.
pub(crate) fn swap(bytes: &mut [u8], size: usize) {
    if size > 1 {
        bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
    }
}
