//! Which files in the given paths may hold labels.

use super::{Error, Problem};
use crate::image_file::extension;
use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Folders deeper than this below a given path are not entered.
const MOST_FOLDERS_DEEP: usize = 64;

/// Files by what they may be, each list sorted by path.
#[derive(Default)]
pub(super) struct Files {
    pub xml: Vec<Candidate>,
    pub json: Vec<Candidate>,
    pub txt: Vec<Candidate>,
    /// YAML files and lists of class names, which go with the labels of YOLO.
    pub names: Vec<Candidate>,
    pub problems: Vec<Problem>,
}

/// A file that may hold labels.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Candidate {
    pub path: PathBuf,
    /// Whether the path was given, so that a file that is no label file must be told.
    pub is_named: bool,
}

/// Finds the files; a folder or file that is reached twice counts once.
pub(super) fn find(paths: &[PathBuf]) -> Result<Files, Error> {
    if paths.is_empty() {
        return Err(Error::NoPaths);
    }
    let mut files = Files::default();
    let mut seen = HashSet::new();
    for path in paths {
        let unreachable = |source| Error::Io { path: path.clone(), source };
        let kind = fs::metadata(path).map_err(unreachable)?;
        if kind.is_dir() {
            fs::read_dir(path).map_err(unreachable)?;
            files.walk(path, &mut seen);
        } else if kind.is_file() {
            fs::File::open(path).map_err(unreachable)?;
            files.add(path, true, &mut seen);
            super::yolo_data::folders(path).iter().for_each(|folder| files.walk(folder, &mut seen));
        } else {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a folder");
            return Err(Error::Io { path: path.clone(), source });
        }
    }
    for list in [&mut files.xml, &mut files.json, &mut files.txt, &mut files.names] {
        list.sort();
    }
    Ok(files)
}

impl Files {
    fn walk(&mut self, top: &Path, seen: &mut HashSet<PathBuf>) {
        let mut left = vec![(top.to_owned(), 0)];
        while let Some((folder, depth)) = left.pop() {
            let entries = match fs::canonicalize(&folder)
                .and_then(|real| Ok((seen.insert(real), fs::read_dir(&folder)?)))
            {
                Ok((true, entries)) => entries,
                // A loop of links, or two paths to one folder.
                Ok((false, _)) => continue,
                Err(error) => {
                    self.problems.push(Problem::of_file(&folder, format!("cannot be read: {error}")));
                    continue;
                }
            };
            let mut below = Vec::new();
            for entry in entries {
                match entry {
                    Ok(entry) if entry.file_name().as_encoded_bytes().starts_with(b".") => {}
                    Ok(entry) => below.push(entry.path()),
                    Err(error) => {
                        self.problems
                            .push(Problem::of_file(&folder, format!("is not read to its end: {error}")));
                    }
                }
            }
            // The one of two links to a folder that is entered must not depend on the file system.
            below.sort_by(|a, b| b.cmp(a));
            for path in below {
                match fs::metadata(&path) {
                    Ok(kind) if kind.is_dir() && depth == MOST_FOLDERS_DEEP => {
                        let message =
                            format!("is not read: it lies more than {MOST_FOLDERS_DEEP} folders deep");
                        self.problems.push(Problem::of_file(&path, message));
                    }
                    Ok(kind) if kind.is_dir() => left.push((path, depth + 1)),
                    Ok(kind) if kind.is_file() => self.add(&path, false, seen),
                    Ok(_) => {}
                    Err(error) if self.list_for(&path).is_some() => {
                        self.problems.push(Problem::of_file(&path, format!("cannot be read: {error}")));
                    }
                    Err(_) => {}
                }
            }
        }
    }

    fn add(&mut self, path: &Path, is_named: bool, seen: &mut HashSet<PathBuf>) {
        let Some(list) = self.list_for(path) else {
            if is_named {
                let message = "is not read: label files end in `.xml`, `.json` or `.txt`";
                self.problems.push(Problem::of_file(path, message));
            }
            return;
        };
        if seen.insert(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())) {
            list.push(Candidate { path: path.to_owned(), is_named });
        }
    }

    fn list_for(&mut self, path: &Path) -> Option<&mut Vec<Candidate>> {
        if is_list_of_names(path) {
            return Some(&mut self.names);
        }
        match extension(path).as_str() {
            "xml" => Some(&mut self.xml),
            "json" => Some(&mut self.json),
            "txt" => Some(&mut self.txt),
            _ => None,
        }
    }
}

/// Whether a file goes by a name under which class names are kept.
pub(super) fn is_list_of_names(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_ascii_lowercase();
    name == "classes.txt"
        || name == "_darknet.labels"
        || matches!(&*extension(path), "yaml" | "yml" | "names")
}
