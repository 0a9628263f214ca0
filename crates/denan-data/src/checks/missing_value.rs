//! A cell that holds nothing, in a column of numbers.

use super::ValueCheck;
use crate::columns::Options;

check!(
    MissingValue,
    Error,
    "missing-value",
    "cell of a column of numbers is empty",
    "cells of columns of numbers are empty"
);

impl ValueCheck for MissingValue {
    fn message(&self, _: f64, _: &Options) -> String {
        "is empty, which data frames read as NaN".to_owned()
    }
}
