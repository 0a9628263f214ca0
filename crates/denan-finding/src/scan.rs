//! What `denan scan` has to say.

use serde::{Serialize, Serializer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is wrong with a data set: the document `denan/scan/v1` but for its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ScanResult {
    /// Version of denan.
    pub denan: String,
    /// What the set is made of: `Pascal VOC`, `npy`, `CSV, image`.
    pub format: String,
    /// Samples: labelled images, other images, and rows.
    pub samples: u64,
    /// Boxes of labels.
    pub boxes: u64,
    /// Image files that were found.
    pub images: u64,
    /// How often each class occurs, the most frequent first.
    pub classes: Vec<ClassCount>,
    /// What each check has found in all, in their order.
    pub rules: Vec<RuleCount>,
    /// Checks that could not be made, for want of images.
    pub unchecked: Vec<String>,
    /// What in the files is not read, which is no fault of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<String>,
    /// Findings, by check: as many of each as were asked for.
    pub findings: Vec<ScanFinding>,
    /// Tables and arrays.
    pub tables: Vec<TableFigures>,
    /// Statistics of their columns and channels, table by table.
    pub columns: Vec<ColumnFigures>,
    /// With what to normalise, where there is but one table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalization: Option<Normalization>,
    /// The element type that the training is said to use.
    pub dtype: String,
    /// Whether all of the set was gone through.
    pub complete: bool,
}

/// Tables, arrays or images that are alike.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct TableFigures {
    /// Of files that are alike their common name, and the name within the file: `data.x`.
    pub name: String,
    /// How many files.
    pub files: u64,
    /// Rows, or samples of an array.
    pub rows: u64,
    /// Whether columns are channels, of images or arrays.
    pub has_channels: bool,
    /// The largest value of an image's channels, by which they are divided before they are normalised.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_scale: Option<f64>,
    /// With what to normalise.
    pub normalization: Normalization,
}

/// What columns or channels are normalised with: `(x - mean) / std`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Normalization {
    /// The mean of each; of images in shares of the full scale.
    pub mean: Vec<f64>,
    /// The standard deviation of each, 1 of a constant one.
    pub std: Vec<f64>,
}

/// What is known of a column or channel.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ColumnFigures {
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Numbers, finite or not.
    pub count: u64,
    /// Cells without a value.
    pub missing: u64,
    /// Values that are NaN.
    pub nan: u64,
    /// Values that are +inf.
    pub posinf: u64,
    /// Values that are -inf.
    pub neginf: u64,
    /// Values that are 0.
    pub zeros: u64,
    /// Values that are subnormal in the element type of the file.
    pub subnormal: u64,
    /// The smallest finite value.
    #[serde(serialize_with = "crate::render::number")]
    pub min: f64,
    /// The largest finite value.
    #[serde(serialize_with = "crate::render::number")]
    pub max: f64,
    /// Mean of the finite values.
    pub mean: f64,
    /// Population standard deviation of the finite values.
    #[serde(serialize_with = "crate::render::number")]
    pub std: f64,
    /// Quantiles of the finite values, each by its share (`0.5` is the median), within 6.25 % of the value; of images exact.
    pub quantiles: BTreeMap<String, f64>,
    /// Values other than 0 whose reciprocal is infinite in the training's element type.
    pub near_zero: u64,
    /// Values below 1 that are 1 in the training's element type.
    pub near_one: u64,
    /// How many finite values each operation makes NaN or infinite.
    pub operations: BTreeMap<&'static str, u64>,
    /// Of targets how often each label occurs.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<i64, u64>,
}

/// A class and its boxes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Its name.
    pub class: String,
    /// How many boxes it has.
    pub count: u64,
}

/// What a check has found in all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RuleCount {
    /// Its id.
    pub rule: String,
    /// How bad that is.
    pub severity: Severity,
    /// How many findings.
    pub count: u64,
    /// In words that follow the number: `boxes have no area`.
    #[serde(skip)]
    pub title: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// It may be meant.
    Warning,
    /// It breaks trainings, or makes something wrong of the data.
    Error,
}

impl Severity {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Something that is wrong with a file, a value or a box.
///
/// There can be millions of them, which share their texts.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScanFinding {
    /// Id of the check.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// File of the data, of the label or of the image.
    #[serde(serialize_with = "shared")]
    pub file: Arc<str>,
    /// Table or array within the file, where it has several.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_shared")]
    pub table: Option<Arc<str>>,
    /// 0-based row in the table, or position of the sample among the labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// How many rows from that on, where it is more than one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Name of the column.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_shared")]
    pub column: Option<Arc<str>>,
    /// Name of the channel.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "maybe_shared")]
    pub channel: Option<Arc<str>>,
    /// 0-based number of the box in its image; of COCO, of the annotation in its file.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    pub labelled_box: Option<u64>,
    /// Class of the box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// What is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// What is wrong, in words.
    #[serde(serialize_with = "shared")]
    pub message: Arc<str>,
}

fn shared<S: Serializer>(text: &Arc<str>, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(text)
}

fn maybe_shared<S: Serializer>(text: &Option<Arc<str>>, to: S) -> Result<S::Ok, S::Error> {
    text.as_deref().serialize(to)
}

/// What stands where something is wrong.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `xmin, ymin, xmax, ymax` of a box.
    Corners([f64; 4]),
    /// A number.
    Number(f64),
    /// Something else.
    Text(String),
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Corners(corners) => crate::render::number_list(corners, to),
            Self::Number(value) => crate::render::number(value, to),
            Self::Text(text) => to.serialize_str(text),
        }
    }
}
