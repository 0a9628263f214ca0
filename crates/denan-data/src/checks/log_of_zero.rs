//! A value whose logarithm is not finite.

use super::{About, ValueCheck};
use crate::columns::{Operation, Options};
use denan_finding::number::float;
use denan_numerics::Summary;

check!(LogOfZero, Error, "log-of-zero", "value has no finite logarithm", "values have no finite logarithm");

impl ValueCheck for LogOfZero {
    fn applies(&self, column: &About<'_>) -> bool {
        column.operations.contains(&Operation::Log)
    }

    fn may_fail(&self, block: &Summary, options: &Options) -> bool {
        block.min < options.precision.small()
    }

    fn fails(&self, value: f64, options: &Options) -> bool {
        value.is_finite() && !Operation::Log.of(value, options.precision).is_finite()
    }

    fn message(&self, value: f64, options: &Options) -> String {
        let result = float(Operation::Log.of(value, options.precision));
        format!("is {}, whose log is {result} in {}", float(value), options.precision.as_str())
    }
}
