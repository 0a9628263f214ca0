//! What `denan scan` has to say.

use serde::Serialize;

/// What is wrong with a data set: the document `denan/scan/v1` but for its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ScanResult {
    /// Version of denan.
    pub denan: String,
    /// What the set is made of: `Pascal VOC`.
    pub format: String,
    /// Labelled images.
    pub samples: u64,
    /// Their boxes.
    pub boxes: u64,
    /// Image files that were found.
    pub images: u64,
    /// How often each class occurs, the most frequent first.
    pub classes: Vec<ClassCount>,
    /// What each check has found in all, in their order.
    pub rules: Vec<RuleCount>,
    /// Checks that could not be made, for want of images.
    pub unchecked: Vec<String>,
    /// Every finding, by check.
    pub findings: Vec<ScanFinding>,
    /// Statistics of columns; labels have none.
    pub columns: Vec<()>,
    /// Whether all of the set was gone through.
    pub complete: bool,
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

/// Something that is wrong with one file or one box.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScanFinding {
    /// Id of the check.
    pub rule: String,
    /// How bad it is.
    pub severity: Severity,
    /// File of the label or of the image.
    pub file: String,
    /// 0-based position of the sample in the set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// 0-based number of the box in its image; of COCO, of the annotation in its file.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    pub labelled_box: Option<u64>,
    /// Class of the box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// `xmin, ymin, xmax, ymax` of the box.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "crate::render::optional_numbers")]
    pub value: Option<[f64; 4]>,
    /// What is wrong, in words.
    pub message: String,
}
