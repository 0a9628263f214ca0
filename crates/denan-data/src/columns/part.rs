//! A part of a data set: what is known of the tables in some of its files, or in a piece of one.

use super::column::Column;
use super::hits::HitList;
use super::samples::{Sample, WHOLE};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Columns of a table up to which many extreme values of each are kept.
const FEW_COLUMNS: usize = 64;
/// Extreme values that are kept of each of few columns, and of each of many.
const MOST_EXTREMES: [usize; 2] = [64, 8];
/// Files that are named for a layout.
const MOST_FILES: usize = 1000;

/// What a table looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Schema {
    /// Files of one kind by their names; they are told of together.
    pub(crate) group: String,
    /// Name within the file; empty where the file is one table.
    pub(crate) name: String,
    /// Names of the columns.
    pub(crate) columns: Vec<String>,
    pub(crate) shape: Shape,
}

/// How values lie in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Shape {
    /// Column by column.
    Table,
    /// One after the other, as in an array: `inner` of a column follow each other before those of the next column, and `row`
    /// values are a row (a sample).
    Array { inner: usize, row: usize, has_channels: bool },
    /// The levels of an image's channels.
    Image,
}

/// What is known of a table, in all files of its group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) schema: Arc<Schema>,
    /// The first file that has it.
    pub(crate) file: u32,
    /// How many files have it.
    pub(crate) files: u64,
    pub(crate) rows: u64,
    pub(crate) columns: Vec<Column>,
    /// In how many files, and in which first, each layout occurs: `float32 (3, 224, 224)`, types and shape.
    pub(crate) layouts: BTreeMap<String, Layout>,
}

/// In the layout of a table whose columns have types of their own, what stands between two of them, …
pub(crate) const BETWEEN_COLUMNS: &str = "\u{1f}";
/// … and between a column's name and its type.
pub(crate) const OF_TYPE: &str = "\u{1e}";

/// Files in which a layout occurs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) files: u64,
    /// The first ones.
    pub(crate) first: Vec<u32>,
}

/// Something that a check says of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Id of the check.
    pub(crate) check: String,
    pub(crate) file: u32,
    pub(crate) message: String,
    /// How many times it says so.
    pub(crate) times: u64,
}

/// What is known of a part of a data set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) tables: Vec<Table>,
    pub(crate) hits: HitList,
    pub(crate) notes: Vec<Note>,
    /// What in files is not read.
    pub(crate) unread: Vec<(u32, String)>,
    /// Samples that can be compared with others.
    pub(crate) samples: Vec<Sample>,
}

impl Schema {
    /// How many extreme values of a column are kept.
    pub(crate) fn most_extremes(&self) -> usize {
        MOST_EXTREMES[usize::from(self.columns.len() > FEW_COLUMNS)]
    }

    /// Name of a column, and whether it is a channel; nothing where an array has but one.
    pub(crate) fn column_name(&self, column: usize) -> Option<(String, bool)> {
        let name = self.columns[column].clone();
        match self.shape {
            Shape::Array { .. } if self.columns.len() == 1 => None,
            Shape::Array { has_channels, .. } => Some((name, has_channels)),
            Shape::Table => Some((name, false)),
            Shape::Image => Some((name, true)),
        }
    }

    /// A column in words: `column 3`, `channel R`, `the array`.
    pub(crate) fn column_words(&self, column: usize) -> String {
        match self.column_name(column) {
            Some((name, true)) => format!("channel {name}"),
            Some((name, false)) => format!("column {name}"),
            None if self.name.is_empty() => "the array".to_owned(),
            None => self.name.clone(),
        }
    }
}

impl Part {
    /// What follows from all that is known, once that is all.
    pub(crate) fn close(&mut self) {
        self.tables.iter_mut().flat_map(|table| &mut table.columns).for_each(Column::close);
    }

    /// Joins what follows: another piece of the same file, whose rows go on counting, or other files.
    pub(crate) fn join(&mut self, other: Self, is_same_file: bool, most_listed: u64) {
        let mut positions = Vec::with_capacity(other.tables.len());
        let mut rows_before = Vec::with_capacity(other.tables.len());
        for table in other.tables {
            let position = self.tables.iter().position(|own| own.is_like(&table));
            rows_before
                .push(position.filter(|_| is_same_file).map_or(0, |position| self.tables[position].rows));
            positions.push(position.unwrap_or(self.tables.len()) as u32);
            match position {
                Some(position) => self.tables[position].join(table, is_same_file),
                None => self.tables.push(table),
            }
        }
        self.hits.join(other.hits, &positions, &rows_before, most_listed);
        self.notes.extend(other.notes);
        self.unread.extend(other.unread);
        self.samples.extend(other.samples.into_iter().map(|sample| match sample.row {
            WHOLE => sample,
            row => {
                let table = sample.table as usize;
                Sample { table: positions[table], row: row + rows_before[table], ..sample }
            }
        }));
    }
}

impl Table {
    /// Columns of numbers, with their positions.
    pub(crate) fn numeric(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter(|(_, column)| column.is_numeric())
    }

    /// Those among them that hold no targets.
    pub(crate) fn features(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.numeric().filter(|(_, column)| column.classes.is_none())
    }

    /// Whether it is a parameter of a model or the state of an optimizer, by its name: constant ones are as they should be.
    pub(crate) fn is_parameter(&self) -> bool {
        const NAMES: [&str; 10] = [
            "weight",
            "bias",
            "running_mean",
            "running_var",
            "num_batches_tracked",
            "gamma",
            "beta",
            "exp_avg",
            "exp_avg_sq",
            "step",
        ];
        let name = self.schema.name.rsplit(['.', '/']).next().unwrap_or_default();
        matches!(self.schema.shape, Shape::Array { .. }) && NAMES.contains(&name)
    }

    /// The largest value that an image's channels can have; nothing of other tables.
    pub(crate) fn full_scale(&self) -> Option<f64> {
        (self.schema.shape == Shape::Image).then(|| {
            let max = self.columns.iter().map(|column| column.figures.summary.max).fold(0.0, f64::max);
            // Pixels of float images are shares already.
            if max > 255.0 {
                65535.0
            } else if max > 1.0 {
                255.0
            } else {
                1.0
            }
        })
    }

    /// Whether both are parts of one table.
    fn is_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.schema, &other.schema) || self.schema == other.schema
    }

    fn join(&mut self, other: Self, is_same_file: bool) {
        let most_extremes = self.schema.most_extremes();
        for (column, mut other) in self.columns.iter_mut().zip(other.columns) {
            if is_same_file {
                other.extremes.shift(self.rows);
            }
            column.join(other, most_extremes);
        }
        self.rows += other.rows;
        self.files = if is_same_file { self.files.max(other.files) } else { self.files + other.files };
        for (name, layout) in other.layouts {
            let own = self.layouts.entry(name).or_default();
            // A piece of a file is no other file.
            let others =
                layout.first.into_iter().filter(|file| own.first.last() != Some(file)).collect::<Vec<_>>();
            own.files += if is_same_file { 0 } else { layout.files };
            own.first.extend(others);
            own.first.truncate(MOST_FILES);
        }
    }
}
