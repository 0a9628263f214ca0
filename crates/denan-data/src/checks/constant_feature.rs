//! A column that says nothing: all its values are the same, but for rounding.

use super::{Found, TableCheck, Tables};
use denan_finding::number::float;

check!(ConstantFeature, Warning, "constant-feature", "column is constant", "columns are constant");

impl TableCheck for ConstantFeature {
    fn look(&self, set: &Tables<'_>, tell: &mut dyn FnMut(Found)) -> u64 {
        let empty = set.empty_columns(tell, "is empty in every row, which data frames read as NaN");
        let constant = set.columns(tell, |column| {
            let (min, max) = (column.figures.summary.min, column.figures.summary.max);
            column.is_constant().then(|| match min == max {
                true => format!("is {} in every row", float(min)),
                false => {
                    format!("is {} in every row, but for rounding ({} apart)", float(min), float(max - min))
                }
            })
        });
        empty + constant
    }
}
