//! A value without a square root.

use super::{About, ValueCheck};
use crate::columns::{Operation, Options};
use denan_finding::number::float;
use denan_numerics::Summary;

check!(SqrtOfNegative, Error, "sqrt-of-negative", "value has no square root", "values have no square root");

impl ValueCheck for SqrtOfNegative {
    fn applies(&self, column: &About<'_>) -> bool {
        column.operations.contains(&Operation::Sqrt)
    }

    fn may_fail(&self, block: &Summary, _: &Options) -> bool {
        block.min < 0.0
    }

    fn fails(&self, value: f64, options: &Options) -> bool {
        value.is_finite() && !Operation::Sqrt.of(value, options.precision).is_finite()
    }

    fn message(&self, value: f64, options: &Options) -> String {
        let result = float(Operation::Sqrt.of(value, options.precision));
        format!("is {}, whose square root is {result} in {}", float(value), options.precision.as_str())
    }
}
