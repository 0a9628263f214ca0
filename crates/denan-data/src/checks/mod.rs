//! What can be wrong with a data set: one file per check, each with a page for `denan explain`.

/// A check by its name, how bad what it finds is, its id, and what is said of one and of many findings. Its page is
/// `pages/ID.md`.
macro_rules! check {
    ($name:ident, $severity:ident, $id:literal, $one:literal, $many:literal) => {
        pub(crate) struct $name;

        impl $crate::checks::Identity for $name {
            fn names(&self) -> [&'static str; 3] {
                [$id, $one, $many]
            }

            fn severity(&self) -> denan_finding::scan::Severity {
                denan_finding::scan::Severity::$severity
            }

            fn page(&self) -> &'static str {
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/pages/", $id, ".md"))
            }
        }
    };
}

mod box_outside_image;
mod cast_overflow;
mod constant_feature;
mod degenerate_box;
mod division_by_zero;
mod dtype_drift;
mod duplicate_box;
mod duplicate_sample;
mod empty_array;
mod exp_overflow;
mod feature_scale;
mod image_mode;
mod image_size;
mod incomplete_sample;
mod inverted_box;
mod label_out_of_range;
mod log_of_zero;
mod logit_at_bound;
mod missing_class;
mod missing_image;
mod missing_label;
mod missing_value;
mod near_one;
mod near_zero;
mod nearly_constant_feature;
mod no_valid_target;
mod non_finite_box;
mod non_finite_input;
mod outlier_sample;
mod shape_drift;
mod sqrt_of_negative;
mod square_overflow;
mod sum_overflow;
mod text_in_numbers;
mod tiny_box;
mod unreadable_file;
mod unreadable_image;
mod unreadable_label;

use crate::columns::{BETWEEN_COLUMNS, Column, OF_TYPE, Operation, Options, Sample, Shape, Table};
use crate::images::Images;
use crate::labels::{LabelSet, LabelledBox, LabelledImage};
use denan_finding::number::float;
use denan_finding::scan::{ScanFinding, Severity, Value};
use denan_numerics::Summary;
use std::collections::{BTreeMap, BTreeSet};

/// The checks of labels and their images, in the order in which their findings are told.
pub(crate) static LABEL_CHECKS: [&dyn LabelCheck; 10] = [
    &unreadable_label::UnreadableLabel,
    &non_finite_box::NonFiniteBox,
    &degenerate_box::DegenerateBox,
    &inverted_box::InvertedBox,
    &box_outside_image::BoxOutsideImage,
    &tiny_box::TinyBox,
    &duplicate_box::DuplicateBox,
    &image_size::ImageSize,
    &missing_image::MissingImage,
    &missing_label::MissingLabel,
];

/// The checks that look at each value of a column by itself. States of parts of a data set know them by their position.
pub(crate) static VALUE_CHECKS: [&dyn ValueCheck; 14] = [
    &non_finite_input::NonFiniteInput,
    &missing_value::MissingValue,
    &text_in_numbers::TextInNumbers,
    &cast_overflow::CastOverflow,
    &square_overflow::SquareOverflow,
    &near_zero::NearZero,
    &near_one::NearOne,
    &log_of_zero::LogOfZero,
    &logit_at_bound::LogitAtBound,
    &division_by_zero::DivisionByZero,
    &sqrt_of_negative::SqrtOfNegative,
    &exp_overflow::ExpOverflow,
    &label_out_of_range::LabelOutOfRange,
    &no_valid_target::NoValidTarget,
];

/// Positions of checks whose cases the reading itself comes upon.
pub(crate) const MISSING_VALUE: u8 = 1;
pub(crate) const TEXT_IN_NUMBERS: u8 = 2;
pub(crate) const NEAR_ZERO: u8 = 5;
pub(crate) const NEAR_ONE: u8 = 6;
pub(crate) const NO_VALID_TARGET: u8 = 13;

/// The checks of what is known of all columns in the end.
pub(crate) static TABLE_CHECKS: [&dyn TableCheck; 10] = [
    &outlier_sample::OutlierSample,
    &sum_overflow::SumOverflow,
    &constant_feature::ConstantFeature,
    &nearly_constant_feature::NearlyConstantFeature,
    &feature_scale::FeatureScale,
    &missing_class::MissingClass,
    &shape_drift::ShapeDrift,
    &dtype_drift::DtypeDrift,
    &image_mode::ImageMode,
    &duplicate_sample::DuplicateSample,
];

/// The checks of files, whose cases the reading comes upon.
pub(crate) static FILE_CHECKS: [&(dyn Identity + Sync); 4] = [
    &unreadable_file::UnreadableFile,
    &unreadable_image::UnreadableImage,
    &empty_array::EmptyArray,
    &incomplete_sample::IncompleteSample,
];

pub(crate) use box_outside_image::leaves;
pub(crate) use degenerate_box::is_degenerate;
pub(crate) use duplicate_box::{SameAs, same_as};
pub(crate) use inverted_box::is_inverted;
pub(crate) use non_finite_box::is_non_finite;
pub(crate) use outlier_sample::{Fence, fences};
pub(crate) use tiny_box::is_tiny;

/// What a check is called; written by `check!`.
pub(crate) trait Identity {
    /// Its id, and what is said of one and of many findings: `box has no area`, `boxes have no area`.
    fn names(&self) -> [&'static str; 3];

    /// How bad what it finds is.
    fn severity(&self) -> Severity;

    /// Its page in Markdown.
    fn page(&self) -> &'static str;
}

/// A check of a set of labels and its images.
pub(crate) trait LabelCheck: Identity + Sync {
    /// Whether there is nothing to check where no image files are found.
    fn needs_images(&self) -> bool {
        false
    }

    /// Tells all that it finds, in the order of the labels.
    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found));
}

/// A check of values, one by one.
pub(crate) trait ValueCheck: Identity + Sync {
    /// Whether a column is checked.
    fn applies(&self, _column: &About<'_>) -> bool {
        true
    }

    /// Whether values with this summary can fail; if not they are not looked at one by one.
    fn may_fail(&self, _block: &Summary, _options: &Options) -> bool {
        false
    }

    /// Whether a value fails.
    fn fails(&self, _value: f64, _options: &Options) -> bool {
        false
    }

    /// What is wrong, after the place: `is NaN`.
    fn message(&self, value: f64, options: &Options) -> String;
}

/// What is known of a column before its values are read.
pub(crate) struct About<'a> {
    pub(crate) options: &'a Options,
    pub(crate) is_target: bool,
    /// What the training does to its values.
    pub(crate) operations: &'a [Operation],
}

/// A check of what is known of all tables.
pub(crate) trait TableCheck: Identity + Sync {
    /// Tells all that it finds, and returns how many there are: more where not all are known one by one.
    fn look(&self, set: &Tables<'_>, tell: &mut dyn FnMut(Found)) -> u64;
}

/// The tables of a data set.
pub(crate) struct Tables<'a> {
    pub(crate) options: &'a Options,
    pub(crate) tables: &'a [Table],
    /// Samples that can be compared with others.
    pub(crate) samples: &'a [Sample],
    /// Names of the files.
    pub(crate) files: &'a dyn Fn(u32) -> String,
}

impl Tables<'_> {
    /// Where a table is: its file, or the first of them and how many there are.
    fn place(&self, table: &Table) -> String {
        let first = (self.files)(table.file);
        if table.files > 1 { format!("{first} and {} like it", table.files - 1) } else { first }
    }

    /// The tables of data, without a model's parameters.
    fn of_data(&self) -> impl Iterator<Item = &Table> {
        self.tables.iter().filter(|table| !table.is_parameter())
    }

    /// Tells of each column of numbers of which `wrong` has something to say.
    fn columns(&self, tell: &mut dyn FnMut(Found), wrong: impl Fn(&Column) -> Option<String>) -> u64 {
        let mut total = 0;
        for table in self.of_data() {
            for (number, column) in table.numeric() {
                if let Some(message) = wrong(column) {
                    total += 1;
                    tell(Found::of_column(self.place(table), table, number, message));
                }
            }
        }
        total
    }

    /// Tells of each column that holds nothing.
    fn empty_columns(&self, tell: &mut dyn FnMut(Found), message: &str) -> u64 {
        let mut total = 0;
        for table in self.of_data() {
            for (number, _) in table.columns.iter().enumerate().filter(|(_, column)| column.is_empty()) {
                total += 1;
                tell(Found::of_column(self.place(table), table, number, message));
            }
        }
        total
    }

    /// Tells of the files whose layout, or what `part` takes of its types and its shape, is not that of most files of their table.
    fn drift(&self, tell: &mut dyn FnMut(Found), part: impl Fn([&str; 2]) -> &str) -> u64 {
        let mut total = 0;
        for table in self.tables.iter().filter(|table| table.schema.shape != Shape::Image) {
            let mut by_part: BTreeMap<&str, (u64, Vec<u32>)> = BTreeMap::new();
            for (layout, files) in &table.layouts {
                let Some(at) = layout.rfind(" (") else { continue };
                let (count, first) = by_part.entry(part([&layout[..at], &layout[at + 1..]])).or_default();
                *count += files.files;
                first.extend(&files.first);
            }
            let Some((usual, _)) = by_part.iter().rev().max_by_key(|(_, (count, _))| *count) else {
                continue;
            };
            let usual = *usual;
            for (part, (count, mut files)) in by_part.into_iter().filter(|(part, _)| *part != usual) {
                total += count;
                files.sort_unstable();
                for file in files {
                    let message = differences(part, usual);
                    tell(Found { column: None, ..Found::of_column((self.files)(file), table, 0, message) });
                }
            }
        }
        total
    }

    /// Tells of the files whose tables lack columns that most of their kind have, or have others.
    fn other_columns(&self, tell: &mut dyn FnMut(Found)) -> u64 {
        let mut by_kind: BTreeMap<(&str, &str), Vec<&Table>> = BTreeMap::new();
        // Where no layout is known, keys may be left out.
        for table in self.tables.iter().filter(|table| !table.layouts.is_empty()) {
            if table.schema.shape == Shape::Table {
                by_kind.entry((&table.schema.group, &table.schema.name)).or_default().push(table);
            }
        }
        let mut total = 0;
        for tables in by_kind.into_values().filter(|tables| tables.len() > 1) {
            // Of as many files the first.
            let Some(usual) = tables.iter().rev().max_by_key(|table| table.files) else { continue };
            // Without most of them being alike, they are no parts of one.
            let files: u64 = tables.iter().map(|table| table.files).sum();
            if usual.files < FEWEST_ALIKE || usual.files * 2 <= files {
                continue;
            }
            let usual_names: BTreeSet<&String> = usual.schema.columns.iter().collect();
            for table in tables.iter().filter(|table| table.schema != usual.schema) {
                total += table.files;
                let names: BTreeSet<&String> = table.schema.columns.iter().collect();
                let message =
                    match (listed(usual_names.difference(&names)), listed(names.difference(&usual_names))) {
                        (None, None) => "has its columns in another order than most".to_owned(),
                        (Some(lacks), None) => format!("has no {lacks}, most have"),
                        (None, Some(has)) => format!("has {has}, most have not"),
                        (Some(lacks), Some(has)) => format!("has {has} and no {lacks}, unlike most"),
                    };
                let files = table.layouts.values().flat_map(|layout| &layout.first);
                for file in files {
                    tell(Found::of_file((self.files)(*file), message.clone()));
                }
            }
        }
        total
    }
}

/// Files with the same columns, from which on others of their kind should have them too.
const FEWEST_ALIKE: u64 = 3;

/// Names of columns that are said at most.
const SAID: usize = 5;

/// `column a, b and 3 more`; nothing of none.
fn listed<'a>(names: impl Iterator<Item = &'a &'a String>) -> Option<String> {
    let names: Vec<&str> = names.map(|name| name.as_str()).collect();
    let more = names.len().saturating_sub(SAID);
    let said = names.iter().take(SAID).copied().collect::<Vec<_>>().join(", ");
    match (names.len(), more) {
        (0, _) => None,
        (1, _) => Some(format!("column {said}")),
        (_, 0) => Some(format!("columns {said}")),
        _ => Some(format!("columns {said} and {more} more")),
    }
}

/// How types or a shape differ from the usual ones: of a table's columns only those that do.
fn differences(is: &str, usual: &str) -> String {
    if !is.contains(OF_TYPE) {
        return format!("is {is}, most are {usual}");
    }
    let all = is.split(BETWEEN_COLUMNS).zip(usual.split(BETWEEN_COLUMNS)).filter(|(is, usual)| is != usual);
    let all: Vec<String> = all
        .filter_map(|(is, usual)| {
            let ((name, is), (_, usual)) = (is.split_once(OF_TYPE)?, usual.split_once(OF_TYPE)?);
            Some(format!("{name} is {is}, most are {usual}"))
        })
        .collect();
    let more = all.len().saturating_sub(SAID);
    let said = all[..all.len().min(SAID)].join("; ");
    if more > 0 { format!("{said}; and {more} columns more") } else { said }
}

/// What is looked at.
pub(crate) struct Looked<'a> {
    pub(crate) labels: &'a LabelSet,
    pub(crate) images: &'a Images,
}

impl Looked<'_> {
    /// Each box with its image.
    fn boxes(&self) -> impl Iterator<Item = Labelled<'_>> {
        let images = self.labels.images.iter().enumerate();
        images.flat_map(|(position, image)| {
            image.boxes.iter().map(move |found| Labelled { position: position as u64, image, found })
        })
    }
}

/// A box of an image.
struct Labelled<'a> {
    /// That of the image among the labelled ones.
    position: u64,
    image: &'a LabelledImage,
    found: &'a LabelledBox,
}

impl Labelled<'_> {
    fn in_words(&self) -> String {
        in_words(&self.found.corners)
    }

    /// Something is wrong with it.
    fn wrong(&self, message: impl Into<String>) -> Found {
        Found {
            file: self.image.file.display().to_string(),
            index: Some(self.position),
            labelled: Some(self.found.clone()),
            message: message.into(),
            ..Found::default()
        }
    }
}

/// Width and height, negative where corners are exchanged; `None` if a corner is no number.
fn sides(corners: &[f64; 4]) -> Option<[f64; 2]> {
    let [xmin, ymin, xmax, ymax] = *corners;
    (!is_non_finite(corners)).then_some([xmax - xmin, ymax - ymin])
}

/// `x 504 to 504, y 337 to 337`.
pub(crate) fn in_words(corners: &[f64; 4]) -> String {
    let [xmin, ymin, xmax, ymax] = corners.map(float);
    format!("x {xmin} to {xmax}, y {ymin} to {ymax}")
}

/// Something found, before it is said which check has.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Found {
    pub(crate) file: String,
    /// Table or array in the file, where it has several.
    pub(crate) table: Option<String>,
    /// Row of the table; of labels, the position of the image among them.
    pub(crate) index: Option<u64>,
    /// Rows from that on.
    pub(crate) rows: Option<u64>,
    /// Name of the column, and whether it is a channel.
    pub(crate) column: Option<(String, bool)>,
    pub(crate) labelled: Option<LabelledBox>,
    /// What is there; not kept in states, which checks that tell it are not part of.
    #[serde(skip)]
    pub(crate) value: Option<Value>,
    pub(crate) message: String,
}

impl Found {
    pub(crate) fn of_file(file: impl ToString, message: impl Into<String>) -> Self {
        Self { file: file.to_string(), message: message.into(), ..Self::default() }
    }

    /// Of a column of a table, in a file where it is in one.
    pub(crate) fn of_column(file: String, table: &Table, column: usize, message: impl Into<String>) -> Self {
        let schema = &table.schema;
        Self {
            file,
            table: Some(schema.name.clone()).filter(|name| !name.is_empty()),
            column: schema.column_name(column),
            message: message.into(),
            ..Self::default()
        }
    }

    /// As it is told.
    pub(crate) fn by(self, check: &(impl Identity + ?Sized)) -> ScanFinding {
        let [rule, ..] = check.names();
        let (column, channel) = match self.column {
            Some((name, true)) => (None, Some(name.into())),
            Some((name, false)) => (Some(name.into()), None),
            None => (None, None),
        };
        ScanFinding {
            rule,
            severity: check.severity(),
            file: self.file.into(),
            table: self.table.map(Into::into),
            index: self.index,
            rows: self.rows.filter(|rows| *rows > 1),
            column,
            channel,
            labelled_box: self.labelled.as_ref().map(|found| found.index),
            class: self.labelled.as_ref().and_then(|found| found.class.clone()),
            value: self.labelled.map(|found| Value::Corners(found.corners)).or(self.value),
            message: self.message.into(),
        }
    }
}

/// Every check.
fn all() -> impl Iterator<Item = &'static dyn Identity> {
    let labels = LABEL_CHECKS.iter().map(|check| *check as &dyn Identity);
    let values = VALUE_CHECKS.iter().map(|check| *check as &dyn Identity);
    let tables = TABLE_CHECKS.iter().map(|check| *check as &dyn Identity);
    labels.chain(values).chain(tables).chain(FILE_CHECKS.iter().map(|check| *check as &dyn Identity))
}

/// The page of a check, or `None` if there is none of this id.
pub fn page(id: &str) -> Option<&'static str> {
    all().find(|check| check.names()[0] == id).map(Identity::page)
}

/// The ids of all checks, sorted.
pub fn ids() -> Vec<&'static str> {
    let mut ids: Vec<&str> = all().map(|check| check.names()[0]).collect();
    ids.sort_unstable();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reading_knows_its_checks() {
        for (position, id) in [
            (MISSING_VALUE, "missing-value"),
            (TEXT_IN_NUMBERS, "text-in-numbers"),
            (NEAR_ZERO, "near-zero"),
            (NEAR_ONE, "near-one"),
            (NO_VALID_TARGET, "no-valid-target"),
        ] {
            assert_eq!(VALUE_CHECKS[usize::from(position)].names()[0], id);
        }
    }

    #[test]
    fn each_check_has_a_page_of_its_name() {
        for check in all() {
            let [id, one, many] = check.names();
            assert!(check.page().starts_with(&format!("# {id}\n\n")), "{id}");
            assert!(one != many && check.page().contains("## How it is cured"), "{id}");
        }
        let ids = ids();
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
        assert!(page("tiny-box").is_some() && page("no-such-check").is_none());
    }
}
