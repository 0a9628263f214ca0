//! Why there is no label set.

use super::{Format, Problem};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why labels could not be read at all. The texts fit after "failed to read labels: ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No path was given.
    #[error("no file or folder was named")]
    NoPaths,
    /// The path is not there or must not be read.
    #[error("cannot open `{}`: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// There are no labels in any of the paths.
    #[error(
        "{sources} holds no labels: looked for Pascal VOC (`*.xml` with the root `annotation`), COCO (`*.json` with \
         `images` and `annotations`) and YOLO (`*.txt` with `class x y width height` in each line){}; name the file \
         or folder that holds the labels",
        told(problems)
    )]
    NoLabels {
        /// The paths.
        sources: Sources,
        /// Files that could not be read.
        problems: Vec<Problem>,
    },
    /// There are labels of several formats.
    #[error(
        "{sources} mixes labels of several formats: {}; name the files or the folder of one of them",
        joined(found)
    )]
    Mixed {
        /// The paths.
        sources: Sources,
        /// The formats, at least two.
        found: Vec<Found>,
    },
}

/// The paths in which labels were looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources(pub Vec<PathBuf>);

/// The files of one format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The format.
    pub format: Format,
    /// How many files hold labels of this format.
    pub files: usize,
    /// The first of them.
    pub first: PathBuf,
}

impl fmt::Display for Sources {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self.0.iter().take(3).map(|path| format!("`{}`", path.display())).collect();
        out.write_str(&names.join(", "))?;
        match self.0.len().saturating_sub(3) {
            0 => Ok(()),
            more => write!(out, " and {more} more"),
        }
    }
}

fn told(problems: &[Problem]) -> String {
    match problems {
        [] => String::new(),
        [only] => format!(", but could not read {only}"),
        [first, rest @ ..] => format!(", but could not read {first} (and {} more)", rest.len()),
    }
}

fn joined(found: &[Found]) -> String {
    let parts = found.iter().map(|found| {
        let files = if found.files == 1 { "file" } else { "files" };
        format!("{} {files} of {} such as `{}`", found.files, found.format, found.first.display())
    });
    parts.collect::<Vec<_>>().join(", ")
}
