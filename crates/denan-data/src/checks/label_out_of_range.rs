//! A label that is none of the classes.

use super::{About, ValueCheck};
use crate::columns::Options;
use denan_finding::number::{count, float};
use denan_numerics::Summary;

check!(
    LabelOutOfRange,
    Error,
    "label-out-of-range",
    "label is none of the classes",
    "labels are none of the classes"
);

impl ValueCheck for LabelOutOfRange {
    fn applies(&self, column: &About<'_>) -> bool {
        column.is_target && column.options.classes.is_some()
    }

    fn may_fail(&self, _: &Summary, _: &Options) -> bool {
        true
    }

    fn fails(&self, value: f64, options: &Options) -> bool {
        let classes = options.classes.unwrap_or(u64::MAX) as f64;
        let is_class = value.fract() == 0.0 && (0.0..classes).contains(&value);
        value.is_finite() && !is_class && !options.is_ignored(value)
    }

    fn message(&self, value: f64, options: &Options) -> String {
        let classes = options.classes.unwrap_or_default();
        format!(
            "is {}, and the {} classes are 0 to {}",
            float(value),
            count(classes),
            classes.saturating_sub(1)
        )
    }
}
