//! A share that is so near 0 that its reciprocal is infinite.

use super::ValueCheck;
use crate::columns::Options;
use denan_finding::number::float;

check!(NearZero, Warning, "near-zero", "value is too near 0", "values are too near 0");

// The reading comes upon these: see `columns::look`.
impl ValueCheck for NearZero {
    fn message(&self, value: f64, options: &Options) -> String {
        format!("is {}, whose reciprocal is infinite in {}", float(value), options.precision.as_str())
    }
}
