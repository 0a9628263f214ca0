//! A value whose square is infinite.

use super::ValueCheck;
use crate::columns::{Operation, Options};
use denan_finding::number::float;
use denan_numerics::Summary;

check!(
    SquareOverflow,
    Warning,
    "square-overflow",
    "value has an infinite square",
    "values have infinite squares"
);

impl ValueCheck for SquareOverflow {
    fn may_fail(&self, block: &Summary, options: &Options) -> bool {
        Operation::Square.of(block.abs_max(), options.precision).is_infinite()
    }

    fn fails(&self, value: f64, options: &Options) -> bool {
        // What is infinite by itself is another check's.
        options.precision.round(value).is_finite()
            && Operation::Square.of(value, options.precision).is_infinite()
    }

    fn message(&self, value: f64, options: &Options) -> String {
        format!("is {}, whose square is infinite in {}", float(value), options.precision.as_str())
    }
}
