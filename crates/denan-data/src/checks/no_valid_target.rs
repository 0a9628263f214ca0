//! A sample none of whose targets counts.

use super::ValueCheck;
use crate::columns::Options;
use denan_finding::number::float;

check!(
    NoValidTarget,
    Warning,
    "no-valid-target",
    "sample has no target that counts",
    "samples have no target that counts"
);

// The reading comes upon these: see `columns::gather`.
impl ValueCheck for NoValidTarget {
    fn message(&self, value: f64, _: &Options) -> String {
        format!("has nothing but {}, which losses leave out", float(value))
    }
}
