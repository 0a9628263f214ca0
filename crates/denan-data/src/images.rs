//! The image files of a labelled data set, and their sizes.

use crate::image_file::{extension, has_readable_header, is_image, size};
use crate::labels::LabelledImage;
use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Folders beside those of the labels in which images lie by custom.
const BESIDE: [&str; 10] =
    ["JPEGImages", "images", "Images", "img", "train", "val", "test", "train2017", "val2017", "test2017"];
/// Folders deeper than this are not entered.
const MOST_FOLDERS_DEEP: usize = 16;

/// The images of a data set.
#[derive(Debug, Default)]
pub(crate) struct Images {
    /// Sorted by path.
    all: Vec<Image>,
    /// Positions by the name of the file, and by that without its extension, in lower case.
    by_name: HashMap<OsString, Vec<usize>>,
    by_stem: HashMap<OsString, Vec<usize>>,
}

/// An image file.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) path: PathBuf,
    /// Width and height by its header, nothing for a format whose headers are not read, or why it cannot be read.
    pub(crate) size: Result<Option<[f64; 2]>, String>,
}

impl Images {
    /// Those in the paths of the labels; where there are none, those in the folders beside that have the names of folders
    /// of images.
    pub(crate) fn of_labels(paths: &[PathBuf]) -> Self {
        let mut seen = HashSet::new();
        let mut files = Vec::new();
        for path in paths {
            let folder = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(Path::new(".")) };
            let before = files.len();
            walk(folder, 0, &mut seen, &mut files);
            if files.len() > before {
                // What lies beside may be another set.
                continue;
            }
            let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
            for parent in parents(&absolute) {
                for name in BESIDE {
                    walk(&parent.join(name), 0, &mut seen, &mut files);
                }
            }
        }
        files.sort();
        let all: Vec<Image> =
            sizes(&files).into_iter().zip(files).map(|(size, path)| Image { path, size }).collect();
        let mut images = Self { all, ..Self::default() };
        for (at, image) in images.all.iter().enumerate() {
            let lower = |name: Option<&std::ffi::OsStr>| name.map(|name| name.to_ascii_lowercase());
            if let (Some(name), Some(stem)) = (lower(image.path.file_name()), lower(image.path.file_stem())) {
                images.by_name.entry(name).or_default().push(at);
                images.by_stem.entry(stem).or_default().push(at);
            }
        }
        images
    }

    pub(crate) fn all(&self) -> &[Image] {
        &self.all
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The image that a label is about: the file that it names; of Pascal VOC and YOLO, whose names may be untrue, the file
    /// that is called as the label's.
    pub(crate) fn of(&self, label: &LabelledImage) -> Option<&Image> {
        let named = label.image.as_deref().map(|name| name.replace('\\', "/"));
        let by_name = named.as_deref().and_then(|name| {
            let path = Path::new(name);
            let found = self.by_name.get(&path.file_name()?.to_ascii_lowercase())?;
            let is_named = |at: &usize| self.all[*at].path.ends_with(path);
            let alike: Vec<usize> = found.iter().copied().filter(is_named).collect();
            self.nearest(if alike.is_empty() { found } else { &alike }, label)
        });
        let is_own_file = extension(&label.file) != "json";
        let by_stem = || {
            let stem = label.file.file_stem().filter(|_| is_own_file)?.to_ascii_lowercase();
            self.nearest(self.by_stem.get(&stem)?, label)
        };
        by_name.or_else(by_stem)
    }

    /// Of images of one name the one whose folder is most like the label's: `labels/val` goes with `images/val`, and
    /// `VOC2007/Annotations` with `VOC2007/JPEGImages`.
    fn nearest(&self, found: &[usize], label: &LabelledImage) -> Option<&Image> {
        let folders = |path: &Path| -> Vec<OsString> {
            let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            absolute.parent().into_iter().flat_map(Path::iter).map(ToOwned::to_owned).collect()
        };
        if let [only] = found {
            return self.all.get(*only);
        }
        let own = folders(&label.file);
        let likeness = |at: &usize| {
            let other = folders(&self.all[*at].path);
            let first = own.iter().zip(&other).take_while(|(own, other)| own == other).count();
            let last =
                own.iter().rev().zip(other.iter().rev()).take_while(|(own, other)| own == other).count();
            first + last
        };
        // Of equally near ones the first.
        let best = found.iter().rev().max_by_key(|at| likeness(at))?;
        self.all.get(*best)
    }
}

/// The folders in which one of images may stand beside labels: `data` of `data/Annotations`, and of `data/labels/train` as
/// well.
fn parents(labels: &Path) -> Vec<&Path> {
    let own = labels.parent();
    let is_of_labels = |folder: &&Path| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        ["labels", "annotations"].contains(&&*name)
    };
    let above = own.filter(is_of_labels).and_then(Path::parent);
    own.into_iter().chain(above).collect()
}

/// The image files of a folder and those below; folders that are reached twice count once.
fn walk(folder: &Path, depth: usize, seen: &mut HashSet<PathBuf>, files: &mut Vec<PathBuf>) {
    let Ok(real) = folder.canonicalize() else { return };
    if depth > MOST_FOLDERS_DEEP || !real.is_dir() || !seen.insert(real) {
        return;
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            walk(&path, depth + 1, seen, files);
        } else if is_image(&path) && path.is_file() {
            files.push(path);
        }
    }
}

/// The sizes of images by their headers, read by as many threads as there are cores: it is the disk that is waited for.
fn sizes(files: &[PathBuf]) -> Vec<Result<Option<[f64; 2]>, String>> {
    let threads = std::thread::available_parallelism().map_or(1, Into::into);
    let each = files.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let parts = files
            .chunks(each)
            .map(|part| scope.spawn(|| part.iter().map(|path| header_size(path)).collect::<Vec<_>>()));
        let running: Vec<_> = parts.collect();
        let ended = running.into_iter().flat_map(|part| match part.join() {
            Ok(sizes) => sizes,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        ended.collect()
    })
}

fn header_size(path: &Path) -> Result<Option<[f64; 2]>, String> {
    if has_readable_header(path) { size(path).map(Some) } else { Ok(None) }
}
