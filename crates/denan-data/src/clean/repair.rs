//! What becomes of a value that a check finds.

use crate::checks::{
    About, Fence, MISSING_VALUE, NEAR_ONE, NEAR_ZERO, TEXT_IN_NUMBERS, VALUE_CHECKS, fences,
};
use crate::columns::{Column, Operation, Options, Precision, Sample, Schema, Shape, Table, WHOLE};
use crate::listing::DataFile;
use crate::readers::Dtype;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// What is done with a value that a check finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Its row, sample or box is left out.
    Drop,
    /// The median of its column takes its place; of a box, of none.
    Impute,
    /// The nearest value that passes takes its place; a box is clamped to its image, its corners put in order.
    Clip,
    /// It stays as it is.
    Keep,
}

impl Action {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Impute => "impute",
            Self::Clip => "clip",
            Self::Keep => "keep",
        }
    }
}

/// What is done with what each check finds, where nothing else is asked for; what is not here stays as it is.
const ACTIONS: [(&str, Action); 22] = [
    ("non-finite-input", Action::Drop),
    ("missing-value", Action::Drop),
    ("text-in-numbers", Action::Drop),
    ("cast-overflow", Action::Drop),
    ("label-out-of-range", Action::Drop),
    ("no-valid-target", Action::Drop),
    ("outlier-sample", Action::Drop),
    ("log-of-zero", Action::Clip),
    ("logit-at-bound", Action::Clip),
    ("division-by-zero", Action::Clip),
    ("sqrt-of-negative", Action::Clip),
    ("exp-overflow", Action::Clip),
    ("near-zero", Action::Clip),
    ("near-one", Action::Clip),
    ("non-finite-box", Action::Drop),
    ("degenerate-box", Action::Drop),
    ("inverted-box", Action::Clip),
    ("box-outside-image", Action::Clip),
    ("duplicate-box", Action::Drop),
    ("unreadable-image", Action::Drop),
    // Of its rows and lines; what is no row or line at all is copied.
    ("unreadable-file", Action::Drop),
    (DUPLICATE, Action::Drop),
];

/// What is done with what each check finds.
#[derive(Clone, Debug)]
pub struct Actions(BTreeMap<String, Action>);

impl Default for Actions {
    fn default() -> Self {
        Self(ACTIONS.iter().map(|(check, action)| ((*check).to_owned(), *action)).collect())
    }
}

impl Actions {
    /// Another action for a check.
    ///
    /// # Errors
    ///
    /// Where there is no such check, or none of whose findings can be repaired.
    pub fn set(&mut self, check: &str, action: Action) -> Result<(), String> {
        let can =
            ACTIONS.iter().any(|(own, _)| *own == check) || check == "square-overflow" || check == "tiny-box";
        if !can {
            let all: Vec<&str> =
                self.0.keys().map(String::as_str).chain(["square-overflow", "tiny-box"]).collect();
            return Err(format!(
                "`{check}` is no check whose findings denan repairs; there are {}",
                all.join(", ")
            ));
        }
        self.0.insert(check.to_owned(), action);
        Ok(())
    }

    pub(super) fn of(&self, check: &str) -> Action {
        self.0.get(check).copied().unwrap_or(Action::Keep)
    }
}

/// The check of samples that hold the same.
pub(super) const DUPLICATE: &str = "duplicate-sample";

/// What stands in a cell.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cell {
    Number(f64),
    Missing,
    Text,
}

/// What becomes of a cell, and by which check.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    Keep,
    Set(f64, &'static str),
    DropRow(&'static str),
}

impl Fate {
    /// The check by which the row is left out.
    pub(super) fn drops(self) -> Option<&'static str> {
        match self {
            Self::DropRow(check) => Some(check),
            _ => None,
        }
    }
}

/// What is done to the tables of a data set.
pub(super) struct Repairs {
    tables: HashMap<(String, String), TableRepair>,
    /// Of each file the rows of its arrays, or its samples, that hold the same as others: the array's name, and the row.
    copies: HashMap<PathBuf, Vec<(String, u64)>>,
    axis: Option<usize>,
    actions: Actions,
}

/// What is done to a table.
pub(super) struct TableRepair {
    options: Options,
    actions: Actions,
    columns: Vec<ColumnRepair>,
    names: Vec<String>,
    by_name: HashMap<String, usize>,
    /// Parameters of models are no data.
    is_parameter: bool,
}

/// What is done to a column.
struct ColumnRepair {
    is_numeric: bool,
    is_target: bool,
    is_of_shares: bool,
    operations: Vec<Operation>,
    median: f64,
    bounds: [f64; 2],
    fences: Option<[Fence; 2]>,
    /// Mean and standard deviation.
    normalise: Option<[f64; 2]>,
}

impl Repairs {
    /// Those of what a scan knows.
    pub(super) fn new(
        tables: &[Table],
        options: &Options,
        actions: &Actions,
        normalise: Option<Normalise>,
    ) -> Self {
        let of = |table: &Table| {
            let schema = &table.schema;
            let whole = normalise.filter(|normalise| *normalise == Normalise::Whole).map(|_| whole(table));
            let columns = schema.columns.iter().zip(&table.columns).map(|(name, column)| {
                let own = normalise.map(|_| whole.unwrap_or_else(|| column.mean_and_std()));
                ColumnRepair::new(schema, name, column, options, own.filter(|_| !table.is_parameter()))
            });
            TableRepair {
                options: options.clone(),
                actions: actions.clone(),
                columns: columns.collect(),
                names: schema.columns.clone(),
                by_name: schema.columns.iter().cloned().zip(0..).collect(),
                is_parameter: table.is_parameter(),
            }
        };
        let key = |table: &Table| (table.schema.group.clone(), table.schema.name.clone());
        let tables = tables.iter().map(|table| (key(table), of(table))).collect();
        Self { tables, copies: HashMap::new(), axis: options.axis, actions: actions.clone() }
    }

    /// Has rows and samples left out that hold the same as others.
    pub(super) fn leave_out(&mut self, copies: &[Sample], files: &[DataFile], tables: &[Table]) {
        for copy in copies.iter().filter(|copy| copy.row != WHOLE) {
            let (file, table) = (&files[copy.file as usize], &tables[copy.table as usize]);
            let own = self.copies.entry(file.path.clone()).or_default();
            own.push((table.schema.name.clone(), copy.row));
        }
    }

    /// Rows of an array of a file, or its samples, that are left out as copies; `table`: the array's name, if it is one.
    pub(super) fn copies_in(
        &self,
        file: &Path,
        table: Option<&str>,
    ) -> impl Iterator<Item = (u64, &'static str)> {
        let own = self.copies.get(file).into_iter().flatten();
        let own = own.filter(move |(name, _)| table.is_none_or(|table| table == name));
        own.map(|(_, row)| (*row, DUPLICATE))
    }

    /// What is done with what a check finds.
    pub(super) fn action(&self, check: &str) -> Action {
        self.actions.of(check)
    }

    /// The axis along which columns of arrays lie, where it was given.
    pub(super) fn axis(&self) -> Option<usize> {
        self.axis
    }

    /// What is done to a table of a file.
    pub(super) fn table(&self, group: &str, name: &str) -> Option<&TableRepair> {
        self.tables.get(&(group.to_owned(), name.to_owned()))
    }
}

/// Over what means and standard deviations are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Normalise {
    /// Each column or channel by itself.
    Columns,
    /// All columns of a table together.
    Whole,
}

pub(super) fn whole(table: &Table) -> [f64; 2] {
    let all: denan_numerics::Summary = table.features().map(|(_, column)| column.figures.summary).collect();
    [all.mean, if all.min < all.max { all.std() } else { 1.0 }]
}

impl ColumnRepair {
    fn new(
        schema: &Schema,
        name: &str,
        column: &Column,
        options: &Options,
        normalise: Option<[f64; 2]>,
    ) -> Self {
        let summary = &column.figures.summary;
        let is_target = column.classes.is_some();
        Self {
            is_numeric: column.is_numeric(),
            is_target,
            is_of_shares: column.is_of_shares(),
            operations: options.operations_of(schema, name),
            median: column
                .quantile(0.5)
                .unwrap_or_default()
                .clamp(summary.min.min(summary.max), summary.max.max(summary.min)),
            bounds: [summary.min, summary.max],
            fences: fences(column).filter(|_| !is_target),
            normalise: normalise.filter(|_| !is_target && column.is_numeric() && !is_nested(schema, name)),
        }
    }
}

/// Whether a column is a value within one of JSON lines, which is not written anew by itself.
fn is_nested(schema: &Schema, name: &str) -> bool {
    let is_of_json = schema.group.contains(".jsonl") || schema.group.contains(".ndjson");
    is_of_json && schema.shape == Shape::Table && name.contains('.')
}

impl TableRepair {
    /// Whether it holds parameters of a model, which are no data.
    pub(super) fn is_of_parameters(&self) -> bool {
        self.is_parameter
    }

    /// Position of a column by its name.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// How many columns there are.
    pub(super) fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Names of the columns and their positions, in the order of these.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, usize)> {
        self.names.iter().map(String::as_str).zip(0..)
    }

    /// Whether it holds targets.
    pub(super) fn is_of_targets(&self) -> bool {
        self.columns.first().is_some_and(|column| column.is_target)
    }

    /// Whether these targets of a sample are all of those that losses leave out, and the sample is to be as well.
    pub(super) fn is_without_target(&self, targets: &[f64]) -> bool {
        self.is_of_targets()
            && targets.len() > 1
            && self.actions.of("no-valid-target") == Action::Drop
            && targets.iter().all(|target| self.options.is_ignored(*target))
    }

    /// The element type of what becomes of an array: integers that are normalised become floats.
    pub(super) fn dtype(&self, dtype: Dtype) -> Dtype {
        let is_normalised = self.columns.iter().any(|column| column.normalise.is_some());
        if is_normalised && !dtype.is_float() { Dtype::F32 } else { dtype }
    }

    /// Whether the column is normalised.
    pub(super) fn is_normalised(&self, column: usize) -> bool {
        self.columns.get(column).is_some_and(|column| column.normalise.is_some())
    }

    /// The value once it is normalised, where that is asked for.
    pub(super) fn normalised(&self, column: usize, value: f64) -> f64 {
        match self.columns.get(column).and_then(|column| column.normalise) {
            Some([mean, std]) => (value - mean) / std,
            None => value,
        }
    }

    /// What becomes of a cell.
    pub(super) fn fate(&self, column: usize, cell: Cell) -> Fate {
        let Some(own) = self.columns.get(column).filter(|own| own.is_numeric && !self.is_parameter) else {
            return Fate::Keep;
        };
        let value = match cell {
            Cell::Missing => {
                return self.act(own, VALUE_CHECKS[usize::from(MISSING_VALUE)].names()[0], f64::NAN);
            }
            Cell::Text => {
                return self.act(own, VALUE_CHECKS[usize::from(TEXT_IN_NUMBERS)].names()[0], f64::NAN);
            }
            Cell::Number(value) => value,
        };
        let about = About { options: &self.options, is_target: own.is_target, operations: &own.operations };
        let rounds_to = |operation: Operation| operation.of(value, self.options.precision);
        for (number, check) in VALUE_CHECKS.iter().enumerate() {
            let fails = match number as u8 {
                NEAR_ZERO => own.is_of_shares && value != 0.0 && rounds_to(Operation::Divide).is_infinite(),
                NEAR_ONE => own.is_of_shares && value < 1.0 && self.options.precision.round(value) == 1.0,
                _ => check.applies(&about) && check.fails(value, &self.options),
            };
            if fails {
                match self.act(own, check.names()[0], value) {
                    Fate::Keep => {}
                    fate => return fate,
                }
            }
        }
        if let Some(fences) = own.fences.filter(|_| value.is_finite())
            && let Some(fence) = fences.iter().find(|fence| fence.is_beyond(value))
        {
            return match self.actions.of("outlier-sample") {
                Action::Keep => Fate::Keep,
                Action::Drop => Fate::DropRow("outlier-sample"),
                Action::Impute => Fate::Set(own.median, "outlier-sample"),
                Action::Clip => Fate::Set(fence.at, "outlier-sample"),
            };
        }
        Fate::Keep
    }

    /// What becomes of a value that fails a check.
    fn act(&self, own: &ColumnRepair, check: &'static str, value: f64) -> Fate {
        match self.actions.of(check) {
            Action::Keep => Fate::Keep,
            Action::Drop => Fate::DropRow(check),
            // A label that is wrong is not made right by another.
            _ if own.is_target => Fate::DropRow(check),
            Action::Impute => Fate::Set(own.median, check),
            Action::Clip => Fate::Set(clipped(check, value, own, self.options.precision), check),
        }
    }
}

/// The nearest value that passes a check.
fn clipped(check: &str, value: f64, own: &ColumnRepair, precision: Precision) -> f64 {
    let [min, max] = own.bounds;
    let small = precision.small();
    let below_one = 1.0 - precision.epsilon();
    match check {
        "non-finite-input" if value == f64::INFINITY => max,
        "non-finite-input" if value == f64::NEG_INFINITY => min,
        "cast-overflow" => precision.max().copysign(value),
        "square-overflow" => (precision.max().sqrt() * 0.99).copysign(value),
        "near-zero" | "log-of-zero" => small,
        "division-by-zero" => small.copysign(value),
        "near-one" => below_one,
        "logit-at-bound" => value.clamp(small, below_one),
        "sqrt-of-negative" => 0.0,
        "exp-overflow" => precision.max().ln() * 0.99,
        // What is not there cannot be brought nearer.
        _ => own.median,
    }
}
