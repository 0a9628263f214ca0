//! What could not be read of a label set.

use std::fmt;
use std::path::{Path, PathBuf};

/// Longest piece of a foreign file that a message repeats, in characters.
const MOST_QUOTED: usize = 40;

/// Something in a file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// Where in the file; `None` if the whole of it is meant.
    pub place: Option<Place>,
    /// What is wrong there: lower case, no full stop. What it quotes of the file is short and escaped.
    pub message: String,
}

/// A place in a label file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A line, counted from 1.
    Line(u64),
    /// An `object` of a VOC file, counted from 0 as [`LabelledBox::index`](super::LabelledBox::index).
    Object(u64),
    /// An element of `images` of a COCO file, counted from 0.
    Image(u64),
    /// The annotation of a COCO file with this `id`.
    Annotation(String),
    /// An annotation of a COCO file that has no `id`, counted from 0.
    AnnotationAt(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(out, "line {number}"),
            Self::Object(number) => write!(out, "object {number}"),
            Self::Image(number) => write!(out, "image {number}"),
            Self::Annotation(id) => write!(out, "annotation {id}"),
            Self::AnnotationAt(number) => write!(out, "annotations[{number}]"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{}`", self.file.display())?;
        if let Some(place) = &self.place {
            write!(out, ", {place}")?;
        }
        write!(out, ": {}", self.message)
    }
}

impl Problem {
    pub(super) fn of_file(file: &Path, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), place: None, message: message.into() }
    }

    pub(super) fn at(file: &Path, place: Place, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), place: Some(place), message: message.into() }
    }
}

/// A piece of a foreign file for a message: short, on one line, without control characters.
pub(super) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(MOST_QUOTED).flat_map(char::escape_debug).collect();
    if text.chars().nth(MOST_QUOTED).is_some() {
        shown.push('…');
    }
    format!("`{shown}`")
}
