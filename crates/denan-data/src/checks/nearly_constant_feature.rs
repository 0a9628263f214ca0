//! A column that varies by so little that its element type hardly shows it.

use super::{Found, TableCheck, Tables};
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
        let epsilon = precision.epsilon();
        set.columns(tell, |column| {
            let summary = &column.figures.summary;
            // Where its values lie: a large one among many small ones leaves these their fine steps.
            let step = epsilon * summary.mean.abs();
            let is_found = summary.finite() > 1 && summary.std() < STEPS * step && !column.is_constant();
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
