//! A value by which nothing can be divided.

use super::{About, ValueCheck};
use crate::columns::{Operation, Options};
use denan_finding::number::float;
use denan_numerics::Summary;

check!(
    DivisionByZero,
    Error,
    "division-by-zero",
    "value has no finite reciprocal",
    "values have no finite reciprocal"
);

impl ValueCheck for DivisionByZero {
    fn applies(&self, column: &About<'_>) -> bool {
        column.operations.contains(&Operation::Divide)
    }

    fn may_fail(&self, block: &Summary, options: &Options) -> bool {
        let small = options.precision.small();
        block.min < small && block.max > -small
    }

    fn fails(&self, value: f64, options: &Options) -> bool {
        value.is_finite() && !Operation::Divide.of(value, options.precision).is_finite()
    }

    fn message(&self, value: f64, options: &Options) -> String {
        let result = float(Operation::Divide.of(value, options.precision));
        format!("is {}, whose reciprocal is {result} in {}", float(value), options.precision.as_str())
    }
}
