//! Where the element types end.

/// Largest finite value of float16, `(2 - 2^-10) * 2^15` (IEEE 754-2019, binary16).
const FLOAT16_MAX: f64 = 65_504.0;

/// Largest finite value of bfloat16, `(2 - 2^-7) * 2^127`: the range of float32 with 8 bits less.
const BFLOAT16_MAX: f64 = 3.389_531_389_251_535_5e38;

/// Limits of an element type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Precision {
    /// Largest finite value.
    pub(crate) max: f64,
}

impl Precision {
    /// Of an element type as an engine spells it; float32 where the name says nothing else.
    pub(crate) fn of(dtype: &str) -> Self {
        let dtype = dtype.to_ascii_lowercase();
        let max = match dtype.trim_start_matches("torch.") {
            "float64" | "f64" | "double" => f64::MAX,
            "bfloat16" | "bf16" => BFLOAT16_MAX,
            "float16" | "f16" | "half" => FLOAT16_MAX,
            _ => f64::from(f32::MAX),
        };
        Self { max }
    }

    /// Largest argument of `exp` with a finite result, `ln(max)`: 88.72 for float32, 88.72 for
    /// bfloat16, 11.09 for float16, 709.8 for float64.
    pub(crate) fn ln_max(self) -> f64 {
        self.max.ln()
    }

    /// Largest magnitude with a finite square: 1.8e19 for float32, 256 for float16.
    ///
    /// A sum, product or matrix product of values below it can only overflow through the number of
    /// its terms.
    pub(crate) fn sqrt_max(self) -> f64 {
        self.max.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_logarithm_of_the_largest_value_is_the_known_one() {
        for (dtype, ln_max) in [
            ("float32", 88.722_839),
            ("torch.float32", 88.722_839),
            ("bfloat16", 88.718_9),
            ("float16", 11.089_866),
            ("float64", 709.782_713),
            ("no such type", 88.722_839),
        ] {
            let got = Precision::of(dtype).ln_max();
            assert!((got - ln_max).abs() < 1e-4, "{dtype}: {got}");
        }
    }
}
