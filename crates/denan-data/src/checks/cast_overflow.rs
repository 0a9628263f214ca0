//! A finite value that is infinite in the training's element type.

use super::ValueCheck;
use crate::columns::Options;
use denan_finding::number::float;
use denan_numerics::Summary;

check!(
    CastOverflow,
    Error,
    "cast-overflow",
    "value is too large for the element type",
    "values are too large for the element type"
);

impl ValueCheck for CastOverflow {
    fn may_fail(&self, block: &Summary, options: &Options) -> bool {
        block.abs_max() > options.precision.max()
    }

    fn fails(&self, value: f64, options: &Options) -> bool {
        value.is_finite() && options.precision.round(value).is_infinite()
    }

    fn message(&self, value: f64, options: &Options) -> String {
        let precision = options.precision;
        format!("is {}, beyond the {} of {}", float(value), float(precision.max()), precision.as_str())
    }
}
