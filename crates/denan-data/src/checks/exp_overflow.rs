//! A value whose exponential is infinite.

use super::{About, ValueCheck};
use crate::columns::{Operation, Options};
use denan_finding::number::float;
use denan_numerics::Summary;

check!(
    ExpOverflow,
    Error,
    "exp-overflow",
    "value has an infinite exponential",
    "values have infinite exponentials"
);

impl ValueCheck for ExpOverflow {
    fn applies(&self, column: &About<'_>) -> bool {
        column.operations.contains(&Operation::Exp)
    }

    fn may_fail(&self, block: &Summary, options: &Options) -> bool {
        Operation::Exp.of(block.max, options.precision).is_infinite()
    }

    fn fails(&self, value: f64, options: &Options) -> bool {
        value.is_finite() && !Operation::Exp.of(value, options.precision).is_finite()
    }

    fn message(&self, value: f64, options: &Options) -> String {
        let result = float(Operation::Exp.of(value, options.precision));
        format!("is {}, whose exponential is {result} in {}", float(value), options.precision.as_str())
    }
}
