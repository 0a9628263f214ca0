//! A cell with something else than a number, in a column of numbers.

use super::ValueCheck;
use crate::columns::Options;

check!(
    TextInNumbers,
    Error,
    "text-in-numbers",
    "cell of a column of numbers holds something else",
    "cells of columns of numbers hold something else"
);

impl ValueCheck for TextInNumbers {
    fn message(&self, _: f64, _: &Options) -> String {
        "is no number".to_owned()
    }
}
