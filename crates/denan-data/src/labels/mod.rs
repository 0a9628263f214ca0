//! Label sets: which boxes of which classes were drawn in which images.
//!
//! [`read`] finds out by itself which of three layouts a folder has:
//!
//! | [`Format`] | label files | unit of a box |
//! |---|---|---|
//! | Pascal VOC | one `*.xml` an image, with the root `annotation` | pixels |
//! | COCO | a `*.json` with `images` and `annotations` | pixels |
//! | YOLO | one `*.txt` an image, `class x y width height` in each line | sides of the image |
//!
//! Boxes come out exactly as they were annotated, even inverted, empty or NaN: whoever looks for the box that breaks
//! a training must see it. Label files are foreign bytes: their size and depth are bounded, entities are never
//! expanded, and no bytes make [`read`] panic.

mod coco;
mod error;
mod files;
mod image_beside;
mod problem;
mod python_json;
mod text;
mod voc;
mod yolo;
mod yolo_data;
mod yolo_names;

pub use error::{Error, Found, Sources};
pub use problem::{Place, Problem};
pub(crate) use python_json::PythonJson;
pub(crate) use voc::places as places_of_objects;
pub(crate) use yolo::corners as corners_of_line;

use std::fmt;
use std::path::{Path, PathBuf};

/// The labels of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelSet {
    /// The layout that was found.
    pub format: Format,
    /// Sorted by the path of their label file; those of one COCO file in the order of its `images`.
    pub images: Vec<LabelledImage>,
    /// Names of the classes. COCO: the `categories` in their order. YOLO: the names of `data.yaml` or `classes.txt`
    /// in the order of their numbers, none without such a file. VOC, which lists them nowhere: those that occur,
    /// sorted.
    pub classes: Vec<String>,
    /// What could not be read, sorted by file. Everything else was.
    pub problems: Vec<Problem>,
}

/// An image and the boxes in it.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelledImage {
    /// The file that holds the labels: XML, JSON or text.
    pub file: PathBuf,
    /// Name of the image file. VOC and COCO: as it is written in the labels, which may be a path or untrue. YOLO: the
    /// image found beside the labels.
    pub image: Option<String>,
    /// Width and height in pixels. VOC and COCO: as annotated, even if 0. YOLO: from the header of the image, which
    /// says nothing of a rotation by EXIF.
    pub size: Option<[f64; 2]>,
    /// Whether the corners are in sides of the image (its width and height are 1) and not in pixels: YOLO labels
    /// without a readable image.
    pub is_normalised: bool,
    /// In the order of the file.
    pub boxes: Vec<LabelledBox>,
}

/// One labelled box.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LabelledBox {
    /// Counted from 0. VOC: the number of the `object` in its file; YOLO: of the line that is not blank; COCO: of the
    /// annotation among all `annotations`. What could not be read counts too.
    pub index: u64,
    /// The name of the class; its number as written where no name is known (COCO, YOLO).
    pub class: Option<String>,
    /// `xmin, ymin, xmax, ymax`, exactly as annotated, even when inverted, infinite or NaN. COCO writes a corner and a
    /// size, YOLO a centre and a size (or a polygon, whose bounds these are): their corners are computed in `f64`.
    pub corners: [f64; 4],
    /// COCO's `iscrowd`: the box holds a group, not one object.
    pub is_crowd: bool,
    /// VOC's `difficult`.
    pub is_difficult: bool,
}

/// A layout of label files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Pascal VOC.
    Voc,
    /// Microsoft COCO, object detection.
    Coco,
    /// YOLO, that is Darknet and Ultralytics.
    Yolo,
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Voc => "Pascal VOC",
            Self::Coco => "COCO",
            Self::Yolo => "YOLO",
        })
    }
}

/// Whether a file goes by the name of a label.
pub(crate) fn may_be_label(file: &Path) -> bool {
    ["xml", "json", "txt"].contains(&&*crate::image_file::extension(file))
}

/// Reads the labels in these files and folders, with all folders below; names with a leading dot are left out.
///
/// A file that is reached twice is read once. Symbolic links are followed, loops are not.
///
/// # Errors
///
/// If a path cannot be reached, if there are no labels in any of them, or if there are labels of several formats.
pub fn read(paths: &[PathBuf]) -> Result<LabelSet, Error> {
    let files = files::find(paths)?;
    let mut all = [voc::read(&files.xml), coco::read(&files.json), yolo::read(&files, paths)];
    let mut problems = files.problems;
    for part in &mut all {
        problems.append(&mut part.problems);
    }
    problems.sort_by(|a, b| a.file.cmp(&b.file));

    let sources = Sources(paths.to_vec());
    let found: Vec<Found> = all.iter().filter_map(Part::found).collect();
    if found.len() > 1 {
        return Err(Error::Mixed { sources, found });
    }
    let Some(part) = all.into_iter().find(|part| part.label_files > 0) else {
        return Err(Error::NoLabels { sources, problems });
    };
    let Part { format, mut images, classes, .. } = part;
    images.sort_by(|a, b| a.file.cmp(&b.file));
    Ok(LabelSet { format, images, classes, problems })
}

/// What the files of one format hold.
struct Part {
    format: Format,
    /// Files that are labels of this format beyond doubt.
    label_files: usize,
    first: Option<PathBuf>,
    images: Vec<LabelledImage>,
    classes: Vec<String>,
    problems: Vec<Problem>,
}

impl Part {
    fn new(format: Format) -> Self {
        Self {
            format,
            label_files: 0,
            first: None,
            images: Vec::new(),
            classes: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn count_file(&mut self, file: &Path) {
        self.label_files += 1;
        self.first.get_or_insert_with(|| file.to_owned());
    }

    fn found(&self) -> Option<Found> {
        Some(Found { format: self.format, files: self.label_files, first: self.first.clone()? })
    }
}
