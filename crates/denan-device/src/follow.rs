//! Figures of a tensor that follow from those of the one it was made of, without a look at its elements.
//!
//! A product with a number, a sum with one and a root are monotone, and rounding keeps the order: the smallest
//! element of the result is what the operation makes of the smallest element, and the largest likewise. The number
//! of zeros follows where none can come about or vanish. Half of what Adam does is of this kind, on tensors as
//! large as the parameters.

use burn_backend::DType;
use denan_numerics::{Extent, Range};

/// What is known of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figures {
    /// Where they lie.
    pub range: Range,
    /// How many are subnormal, if that is known.
    pub subnormals: Option<u64>,
}

impl From<Extent> for Figures {
    fn from(extent: Extent) -> Self {
        Self { range: extent.range, subnormals: Some(extent.subnormals) }
    }
}

/// Figures of what an operation makes of a tensor of type `dtype`; nothing if they do not follow from `input`.
///
/// `name` and `scalar` are those of the operation, see [`crate::describe::Call`]; it reads nothing else, and its
/// output has the input's type. Half precision is left alone, since it is computed in a wider type first.
pub fn figures(name: &str, scalar: Option<f64>, dtype: DType, input: Figures) -> Option<Figures> {
    let Figures { range, subnormals } = input;
    let traits = match dtype {
        DType::F32 => FloatType::F32,
        DType::F64 => FloatType::F64,
        _ => return None,
    };
    if range.nonfinite() > 0 || range.count == 0 {
        return None;
    }
    let operation = Operation::of(name, scalar, traits)?;
    let (low, high) = (operation.apply(range.min, traits), operation.apply(range.max, traits));
    let (min, max) = if low <= high { (low, high) } else { (high, low) };
    // Beyond the largest number, or the root of a negative one: only a look tells how many.
    if !min.is_finite() || !max.is_finite() {
        return None;
    }
    let (zeros, subnormals) = match operation {
        Operation::Mul(number) => after_factor(number.abs(), input, traits)?,
        Operation::Div(number) => after_factor(1.0 / number.abs(), input, traits)?,
        Operation::Neg => (range.zeros, subnormals),
        // The root of a subnormal number is a normal one.
        Operation::Sqrt => (range.zeros, Some(0)),
        Operation::Add(_) | Operation::Sub(_) => {
            let is_apart = min >= traits.smallest_normal() || max <= -traits.smallest_normal();
            is_apart.then_some((0, Some(0)))?
        }
    };
    Some(Figures { range: Range { zeros, min, max, ..range }, subnormals })
}

/// Zeros and subnormal numbers after a multiplication, if a zero is what was one before.
fn after_factor(factor: f64, input: Figures, traits: FloatType) -> Option<(u64, Option<u64>)> {
    let all_are_normal = input.subnormals == Some(0);
    // Half of the smallest subnormal number is rounded to 0, more than half of it is not.
    let keeps_zeros = factor > 0.5 || all_are_normal && factor >= traits.normal_to_subnormal();
    let stay_normal = all_are_normal && factor >= 1.0;
    keeps_zeros.then_some((input.range.zeros, stay_normal.then_some(0)))
}

/// A type in which arithmetic is carried out as Rust does it.
#[derive(Clone, Copy)]
enum FloatType {
    F32,
    F64,
}

impl FloatType {
    fn smallest_normal(self) -> f64 {
        match self {
            Self::F32 => f64::from(f32::MIN_POSITIVE),
            Self::F64 => f64::MIN_POSITIVE,
        }
    }

    /// The smallest subnormal number over the smallest normal one.
    fn normal_to_subnormal(self) -> f64 {
        match self {
            Self::F32 => f64::from(f32::EPSILON),
            Self::F64 => f64::EPSILON,
        }
    }

    fn rounded(self, x: f64) -> f64 {
        match self {
            Self::F32 => f64::from(x as f32),
            Self::F64 => x,
        }
    }
}

#[derive(Clone, Copy)]
enum Operation {
    Add(f64),
    Sub(f64),
    Mul(f64),
    Div(f64),
    Neg,
    Sqrt,
}

impl Operation {
    fn of(name: &str, scalar: Option<f64>, traits: FloatType) -> Option<Self> {
        let scalar = scalar.map(|scalar| traits.rounded(scalar));
        // 0 and what is no number are cases of their own.
        let number = scalar.filter(|scalar| scalar.is_finite() && *scalar != 0.0);
        Some(match name {
            "add" => Self::Add(number?),
            "sub" => Self::Sub(number?),
            "mul" => Self::Mul(number?),
            "div" => Self::Div(number?),
            "neg" => Self::Neg,
            "sqrt" => Self::Sqrt,
            _ => return None,
        })
    }

    /// What becomes of an element. A negative zero becomes positive, as everywhere in figures.
    fn apply(self, x: f64, traits: FloatType) -> f64 {
        macro_rules! apply_in {
            ($float:ident) => {{
                let x = x as $float;
                let y = match self {
                    Self::Add(number) => x + number as $float,
                    Self::Sub(number) => x - number as $float,
                    Self::Mul(number) => x * number as $float,
                    Self::Div(number) => x / number as $float,
                    Self::Neg => -x,
                    Self::Sqrt => x.sqrt(),
                };
                y as f64 + 0.0
            }};
        }
        match traits {
            FloatType::F32 => apply_in!(f32),
            FloatType::F64 => apply_in!(f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element;
    use burn_backend::ops::FloatTensorOps;
    use burn_backend::{Scalar, TensorData};
    use burn_std::FloatDType;
    use real_flex::{Flex, FlexTensor};

    const OPERATIONS: [&str; 6] = ["add", "sub", "mul", "div", "neg", "sqrt"];

    fn carry_out(name: &str, tensor: FlexTensor, scalar: f64) -> FlexTensor {
        let number = Scalar::Float(scalar);
        match name {
            "add" => Flex::float_add_scalar(tensor, number),
            "sub" => Flex::float_sub_scalar(tensor, number),
            "mul" => Flex::float_mul_scalar(tensor, number),
            "div" => Flex::float_div_scalar(tensor, number),
            "neg" => Flex::float_neg(tensor),
            _ => Flex::float_sqrt(tensor),
        }
    }

    /// What is said of the result, and what it is.
    fn compare(values: &[f64], dtype: DType, name: &str, scalar: f64) -> bool {
        let data = TensorData::new(values.to_vec(), [values.len()]);
        let tensor = Flex::float_cast(
            FlexTensor::from_data(data),
            if dtype == DType::F32 { FloatDType::F32 } else { FloatDType::F64 },
        );
        let extent = element::extent(&tensor);
        let Some(Figures { range, subnormals }) = figures(name, Some(scalar), dtype, extent.into()) else {
            return false;
        };
        let truth = element::extent(&carry_out(name, tensor, scalar));
        assert_eq!(range, truth.range, "{name} {scalar:e} of {values:?} in {dtype:?}");
        if let Some(subnormals) = subnormals {
            assert_eq!(subnormals, truth.subnormals, "{name} {scalar:e} of {values:?} in {dtype:?}");
        }
        true
    }

    #[test]
    fn what_follows_is_what_a_look_finds() {
        // Magnitudes of all kinds, up to where results overflow, underflow, or are rounded to 0.
        let mut state = 7_u64;
        let mut draw = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / (1_u64 << 31) as f64
        };
        let mut followed = [0; OPERATIONS.len()];
        for round in 0..20_000 {
            let dtype = if round % 2 == 0 { DType::F32 } else { DType::F64 };
            let (lowest, highest) = if dtype == DType::F32 { (-46.0, 39.0) } else { (-324.0, 309.0) };
            let low = lowest + (highest - lowest) * draw();
            let high = (low + 20.0 * draw()).min(highest);
            let signs = draw();
            let values: Vec<f64> = (0..8)
                .map(|_| {
                    let magnitude = 10_f64.powf(low + (high - low) * draw());
                    if draw() < 0.1 {
                        0.0
                    } else if draw() < signs {
                        -magnitude
                    } else {
                        magnitude
                    }
                })
                .collect();
            let scalar = match round % 5 {
                0 => 0.9,
                1 => [0.5, 1.0, 2.0, -1.0, 0.0, 1e-3][(draw() * 6.0) as usize],
                _ => 10_f64.powf(-12.0 + 16.0 * draw()) * if draw() < 0.3 { -1.0 } else { 1.0 },
            };
            for (count, name) in followed.iter_mut().zip(OPERATIONS) {
                *count += u32::from(compare(&values, dtype, name, scalar));
            }
        }
        assert!(followed.iter().all(|&count| count > 1000), "{followed:?}");
    }
}
