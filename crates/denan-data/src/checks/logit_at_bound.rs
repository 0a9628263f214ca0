//! A value whose logit is not finite.

use super::{About, ValueCheck};
use crate::columns::{Operation, Options};
use denan_finding::number::float;
use denan_numerics::Summary;

check!(LogitAtBound, Error, "logit-at-bound", "value has no finite logit", "values have no finite logit");

impl ValueCheck for LogitAtBound {
    fn applies(&self, column: &About<'_>) -> bool {
        column.operations.contains(&Operation::Logit)
    }

    fn may_fail(&self, block: &Summary, options: &Options) -> bool {
        block.min < options.precision.small() || block.max > 0.99
    }

    fn fails(&self, value: f64, options: &Options) -> bool {
        value.is_finite() && !Operation::Logit.of(value, options.precision).is_finite()
    }

    fn message(&self, value: f64, options: &Options) -> String {
        let result = float(Operation::Logit.of(value, options.precision));
        format!("is {}, whose logit is {result} in {}", float(value), options.precision.as_str())
    }
}
