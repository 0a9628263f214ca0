//! How often each label occurs in a column of targets.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// More different labels than this are those of a regression.
const MOST: usize = 4096;

/// How often each whole number occurs in a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Classes {
    /// Of a column whose values were whole numbers, few of them different.
    Counts(BTreeMap<i64, u64>),
    /// The column is not one of classes.
    TooMany,
}

impl Default for Classes {
    fn default() -> Self {
        Self::Counts(BTreeMap::new())
    }
}

impl Classes {
    /// Takes a finite value in.
    pub(crate) fn take(&mut self, value: f64) {
        let Self::Counts(counts) = self else { return };
        if value.fract() != 0.0 || value.abs() > 9e15 {
            *self = Self::TooMany;
            return;
        }
        *counts.entry(value as i64).or_default() += 1;
        self.bound();
    }

    pub(crate) fn join(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Counts(counts), Self::Counts(others)) => {
                others.into_iter().for_each(|(label, count)| *counts.entry(label).or_default() += count);
                self.bound();
            }
            _ => *self = Self::TooMany,
        }
    }

    fn bound(&mut self) {
        if matches!(self, Self::Counts(counts) if counts.len() > MOST) {
            *self = Self::TooMany;
        }
    }
}
