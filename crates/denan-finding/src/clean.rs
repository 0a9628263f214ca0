//! What `denan clean` has done.

use crate::scan::Normalization;
use serde::{Serialize, Serializer};

/// What was done to a data set.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CleanResult {
    /// Version of denan.
    pub denan: String,
    /// The folder of the copy; nothing where none was written.
    pub into: Option<String>,
    /// The list of all changes.
    pub audit: Option<String>,
    /// Files of the copy.
    pub files: u64,
    /// What was done on behalf of each check.
    pub changes: Vec<RuleChanges>,
    /// With what each table was normalised.
    #[serde(serialize_with = "by_table")]
    pub normalization: Vec<(String, Normalization)>,
    /// Files that were copied as they are although they may hold findings, and why.
    pub not_cleaned: Vec<String>,
}

fn by_table<S: Serializer>(all: &[(String, Normalization)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(all.iter().map(|(table, normalization)| (table, normalization)))
}

/// What was done on behalf of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleChanges {
    /// Its id.
    pub rule: String,
    /// Rows that were left out.
    pub rows: u64,
    /// Values that were replaced.
    pub values: u64,
    /// Boxes that were left out, and that were repaired.
    pub boxes: u64,
    /// Files that were left out.
    pub files: u64,
}
