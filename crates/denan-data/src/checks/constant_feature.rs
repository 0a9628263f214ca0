//! A column that says nothing: all its values are the same, but for rounding.

use super::{Found, TableCheck, Tables};
use crate::columns::Column;
use denan_finding::number::float;

check!(ConstantFeature, Warning, "constant-feature", "column is constant", "columns are constant");

impl TableCheck for ConstantFeature {
    fn look(&self, set: &Tables<'_>, tell: &mut dyn FnMut(Found)) -> u64 {
        set.columns(tell, |column| {
            let (min, max) = (column.figures.summary.min, column.figures.summary.max);
            is_constant(column).then(|| match min == max {
                true => format!("is {} in every row", float(min)),
                false => {
                    format!("is {} in every row, but for rounding ({} apart)", float(min), float(max - min))
                }
            })
        })
    }
}

/// Whether all finite values of a column are the same, but for rounding.
pub(crate) fn is_constant(column: &Column) -> bool {
    /// Units of a `float32`'s last place by which a rounded constant may vary.
    const UNITS: f64 = 8.0;
    let summary = &column.figures.summary;
    let apart = summary.max - summary.min;
    summary.finite() > 1 && apart <= UNITS * f64::from(f32::EPSILON) * summary.abs_max()
}
