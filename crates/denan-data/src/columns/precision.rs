//! The element type that a training uses, and what its operations make of a value.

use half::{bf16, f16};

/// The element type that a training uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Precision {
    /// IEEE 754 binary16: up to 65504, 11 significant bits.
    Float16,
    /// The upper half of a `float32`: its range, 8 significant bits.
    Bfloat16,
    /// IEEE 754 binary32.
    #[default]
    Float32,
}

impl Precision {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Float16 => "float16",
            Self::Bfloat16 => "bfloat16",
            Self::Float32 => "float32",
        }
    }

    /// The nearest value that it has; an infinity beyond its range.
    pub fn round(self, value: f64) -> f64 {
        match self {
            Self::Float16 => f16::from_f64(value).to_f64(),
            Self::Bfloat16 => bf16::from_f64(value).to_f64(),
            Self::Float32 => f64::from(value as f32),
        }
    }

    /// Its largest finite value.
    pub fn max(self) -> f64 {
        match self {
            Self::Float16 => f16::MAX.to_f64(),
            Self::Bfloat16 => bf16::MAX.to_f64(),
            Self::Float32 => f64::from(f32::MAX),
        }
    }

    /// The distance from 1 to the next value above.
    pub(crate) fn epsilon(self) -> f64 {
        match self {
            Self::Float16 => f16::EPSILON.to_f64(),
            Self::Bfloat16 => bf16::EPSILON.to_f64(),
            Self::Float32 => f32::EPSILON.into(),
        }
    }

    /// Below this magnitude, which is above that of its least normal value, rounding to zero and infinite reciprocals begin.
    pub(crate) fn small(self) -> f64 {
        match self {
            Self::Float16 => f16::MIN_POSITIVE.to_f64(),
            Self::Bfloat16 | Self::Float32 => f64::from(f32::MIN_POSITIVE),
        }
    }
}

/// What a training does to the values of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Operation {
    /// The natural logarithm.
    Log,
    /// `log(x / (1 - x))`, and with it the binary cross entropy of probabilities.
    Logit,
    /// `1 / x`.
    Divide,
    /// The square root.
    Sqrt,
    /// The exponential.
    Exp,
    /// `x * x`, as in a squared error.
    Square,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Log, Self::Logit, Self::Divide, Self::Sqrt, Self::Exp, Self::Square];

    /// As it is written: `log`, `1/x`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Logit => "logit",
            Self::Divide => "1/x",
            Self::Sqrt => "sqrt",
            Self::Exp => "exp",
            Self::Square => "square",
        }
    }

    /// What it makes of a finite value in a precision, to which the value is brought first.
    pub fn of(self, value: f64, precision: Precision) -> f64 {
        let x = precision.round(value);
        precision.round(match self {
            Self::Log => x.ln(),
            Self::Logit => (x / (1.0 - x)).ln(),
            Self::Divide => 1.0 / x,
            Self::Sqrt => x.sqrt(),
            Self::Exp => x.exp(),
            Self::Square => x * x,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_fail_where_the_precision_says() {
        let is_finite = |operation: Operation, value, precision| operation.of(value, precision).is_finite();
        let [half, brain, single] = [Precision::Float16, Precision::Bfloat16, Precision::Float32];
        for (operation, value, precision, fine) in [
            (Operation::Log, 0.0, single, false),
            (Operation::Log, -1.0, single, false),
            (Operation::Log, 1e-40, single, true),
            (Operation::Log, 1e-50, single, false),
            (Operation::Log, 1e-8, half, false),
            (Operation::Log, 1e-7, half, true),
            (Operation::Logit, 1.0 - 1e-9, single, false),
            (Operation::Logit, 1.0 - 1e-7, single, true),
            (Operation::Logit, 0.999, brain, false),
            (Operation::Logit, 1.5, single, false),
            (Operation::Divide, 1e-39, single, false),
            (Operation::Divide, 3e-39, single, true),
            (Operation::Divide, 1e-5, half, false),
            (Operation::Sqrt, -1e-3, single, false),
            (Operation::Exp, 88.7, single, true),
            (Operation::Exp, 88.8, single, false),
            (Operation::Exp, 11.1, half, false),
            (Operation::Square, 255.0, half, true),
            (Operation::Square, 256.0, half, false),
            (Operation::Square, 1.8e19, single, true),
            (Operation::Square, 1.9e19, single, false),
        ] {
            assert_eq!(is_finite(operation, value, precision), fine, "{operation:?} {value} {precision:?}");
        }
        assert!(single.round(1e39).is_infinite() && half.round(65520.0).is_infinite());
    }
}
