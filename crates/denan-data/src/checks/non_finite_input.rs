//! A value that is NaN or infinite.

use super::ValueCheck;
use crate::columns::Options;
use denan_finding::number::float;
use denan_numerics::Summary;

check!(NonFiniteInput, Error, "non-finite-input", "value is NaN or infinite", "values are NaN or infinite");

impl ValueCheck for NonFiniteInput {
    fn may_fail(&self, block: &Summary, _: &Options) -> bool {
        !block.is_finite()
    }

    fn fails(&self, value: f64, _: &Options) -> bool {
        !value.is_finite()
    }

    fn message(&self, value: f64, _: &Options) -> String {
        format!("is {}", float(value))
    }
}
