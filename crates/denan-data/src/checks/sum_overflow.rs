//! A column whose sum is infinite.

use super::{Found, TableCheck, Tables};
use crate::columns::Precision;
use denan_finding::number::float;

check!(SumOverflow, Warning, "sum-overflow", "column has an infinite sum", "columns have infinite sums");

impl TableCheck for SumOverflow {
    fn look(&self, set: &Tables<'_>, tell: &mut dyn FnMut(Found)) -> u64 {
        // Sums of float16 are taken in float32.
        let precision = match set.options.precision {
            Precision::Float16 => Precision::Float32,
            precision => precision,
        };
        set.columns(tell, |column| {
            let summary = &column.figures.summary;
            column.sum_is_infinite(precision).then(|| {
                let sum = float(summary.mean * summary.finite() as f64);
                format!("adds up to {sum}, which is infinite in {}", precision.as_str())
            })
        })
    }
}
