//! A share that is so near 1 that it is 1 in the training's element type.

use super::ValueCheck;
use crate::columns::Options;
use denan_finding::number::float;

check!(NearOne, Warning, "near-one", "value is too near 1", "values are too near 1");

// The reading comes upon these: see `columns::look`.
impl ValueCheck for NearOne {
    fn message(&self, value: f64, options: &Options) -> String {
        format!("is 1 - {}, which is 1 in {}", float(1.0 - value), options.precision.as_str())
    }
}
