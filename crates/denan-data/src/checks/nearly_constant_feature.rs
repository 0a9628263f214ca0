//! A column that varies by so little that its element type hardly shows it.

use super::constant_feature::is_constant;
use super::{Found, TableCheck, Tables};
use crate::columns::Precision;
use denan_finding::number::float;

check!(
    NearlyConstantFeature,
    Warning,
    "nearly-constant-feature",
    "column varies by little more than its rounding",
    "columns vary by little more than their rounding"
);

/// Steps of the element type within a standard deviation, below which too few are left.
const STEPS: f64 = 16.0;

impl TableCheck for NearlyConstantFeature {
    fn look(&self, set: &Tables<'_>, tell: &mut dyn FnMut(Found)) -> u64 {
        let precision = set.options.precision;
        let epsilon = match precision {
            Precision::Float16 => half::f16::EPSILON.to_f64(),
            Precision::Bfloat16 => half::bf16::EPSILON.to_f64(),
            Precision::Float32 => f32::EPSILON.into(),
        };
        set.columns(tell, |column| {
            let summary = &column.figures.summary;
            // Where its values lie: a large one among many small ones leaves these their fine steps.
            let step = epsilon * summary.mean.abs();
            let is_found = summary.finite() > 1 && summary.std() < STEPS * step && !is_constant(column);
            is_found.then(|| {
                format!(
                    "has a standard deviation of {} around {}, where {} has steps of {}",
                    float(summary.std()),
                    float(summary.mean),
                    precision.as_str(),
                    float(step)
                )
            })
        })
    }
}
