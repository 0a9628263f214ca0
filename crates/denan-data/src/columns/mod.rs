//! Figures of the columns of a data set, gathered part by part.
//!
//! A reader hands the values of a file to a [`Part`], block by block. Parts of neighbours are joined into one
//! ([`Part::join`]), with rows and places that go on counting; what is known of all files in the end is one part as well.

mod bars;
mod classes;
mod column;
mod extremes;
mod gather;
mod hits;
mod look;
mod part;
mod precision;
mod samples;
mod tree;

pub(crate) use bars::AllBars;
pub(crate) use classes::Classes;
pub(crate) use column::Column;
pub(crate) use extremes::Placed;
pub(crate) use gather::{Gather, Rows, TableId};
pub(crate) use hits::Hit;
pub(crate) use part::{BETWEEN_COLUMNS, OF_TYPE, Part, Schema, Shape, Table};
pub use precision::{Operation, Precision};
pub(crate) use samples::{Sample, WHOLE, copies};
pub(crate) use tree::Tree;

use serde::{Deserialize, Serialize};

/// What a data set is for, as far as its files do not say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// Element type that the training uses.
    pub precision: Precision,
    /// What the training does to the values; where that fails is a finding.
    pub operations: Vec<Applied>,
    /// Name of the column or array that holds the targets.
    pub target: Option<String>,
    /// Number of classes.
    pub classes: Option<u64>,
    /// Label of what does not count.
    pub ignored: Option<i64>,
    /// Axis of an array along which its columns or channels lie.
    pub axis: Option<usize>,
    /// How many findings of a check are listed; all are counted.
    pub most_listed: u64,
}

/// An operation that a training applies to a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// Which.
    pub operation: Operation,
    /// Name of the column; all of them without one.
    pub column: Option<String>,
}

impl Options {
    /// What the training does to a column of a table.
    pub(crate) fn operations_of(&self, schema: &Schema, column: &str) -> Vec<Operation> {
        let of_it = self.operations.iter().filter(|applied| {
            applied.column.as_ref().is_none_or(|name| name == column || name == &schema.name)
        });
        of_it.map(|applied| applied.operation).collect()
    }

    /// Whether a target does not count: by what was given, or as PyTorch's losses have it.
    pub(crate) fn is_ignored(&self, label: f64) -> bool {
        /// `ignore_index` of `torch.nn.functional.cross_entropy`.
        const IGNORED: i64 = -100;
        label == self.ignored.unwrap_or(IGNORED) as f64
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            precision: Precision::default(),
            operations: Vec::new(),
            target: None,
            classes: None,
            ignored: None,
            axis: None,
            most_listed: 1000,
        }
    }
}

/// Names under which targets are kept by custom.
const TARGETS: [&str; 13] = [
    "y",
    // The second of a `TensorDataset`.
    "tensors[1]",
    "label",
    "labels",
    "target",
    "targets",
    "class",
    "classes",
    "category",
    "cls",
    "mask",
    "masks",
    "category_id",
];

/// Whether a column holds targets: by the name that was given, or by custom (`y_train`, `labels`, `target`).
fn is_target(schema: &Schema, column: &str, named: Option<&str>) -> bool {
    let is_array = matches!(schema.shape, Shape::Array { .. });
    let name = match (is_array, &*schema.name) {
        (false, _) => column,
        // The name of a file, without what says its format.
        (true, "") => schema.group.split('.').next().unwrap_or_default(),
        (true, name) => name.rsplit(['/', '.']).next().unwrap_or(name),
    };
    match named {
        Some(named) => name == named,
        None => {
            let name = name.to_ascii_lowercase();
            let plain = ["train", "test", "val", "valid"].iter().find_map(|set| {
                let end = name.strip_suffix(set).and_then(|name| name.strip_suffix(['_', '-']));
                end.or_else(|| name.strip_prefix(set).and_then(|name| name.strip_prefix(['_', '-'])))
            });
            TARGETS.contains(&plain.unwrap_or(&name))
        }
    }
}
