//! Names of YOLO's classes: `names` of a `data.yaml`, or one name a line in `classes.txt` or `*.names`.

use super::files::{Candidate, is_list_of_names};
use super::problem::quoted;
use super::{Place, Problem, text};
use crate::image_file::extension;
use saphyr_parser::{Event, Parser};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders above a path in which names are looked for: `data/labels/train` lies two below its `data.yaml`.
const FOLDERS_ABOVE: usize = 2;

/// Names by the number of their class.
#[derive(Default)]
pub(super) struct Names {
    by_number: BTreeMap<u64, String>,
    /// Whether `data.yaml` says that keypoints follow the box in each line (`kpt_shape`).
    pub with_keypoints: bool,
    source: PathBuf,
}

impl Names {
    /// The names of these files, else of files in the folders above the paths.
    ///
    /// A YAML file goes before a list: it is what a training reads.
    pub(super) fn find(below: &[Candidate], paths: &[PathBuf], problems: &mut Vec<Problem>) -> Self {
        let files: Vec<PathBuf> = below.iter().map(|candidate| candidate.path.clone()).collect();
        let names = Self::first_of(files, problems);
        if !names.is_empty() {
            return names;
        }
        for up in 0..=FOLDERS_ABOVE {
            for path in paths {
                let absolute = std::path::absolute(path).unwrap_or_else(|_| path.clone());
                // A folder itself was looked through already.
                let Some(folder) = absolute.ancestors().skip(1).nth(up) else { continue };
                let names = Self::first_of(list(folder), problems);
                if !names.is_empty() {
                    return names;
                }
            }
        }
        names
    }

    pub(super) fn get(&self, class: u64) -> Option<&str> {
        self.by_number.get(&class).map(String::as_str)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    pub(super) fn in_order(self) -> Vec<String> {
        self.by_number.into_values().collect()
    }

    /// The file for a message.
    pub(super) fn source(&self) -> String {
        format!("`{}`", self.source.display())
    }

    fn first_of(mut files: Vec<PathBuf>, problems: &mut Vec<Problem>) -> Self {
        files.sort_by_key(|file| !is_yaml(file));
        let mut first = Self::default();
        for file in files {
            let read = match text::read_names(&file) {
                Ok(text) if is_yaml(&file) => Self::of_yaml(&file, &text.text, problems),
                Ok(text) => Self::of_list(&text.text),
                Err(problem) => {
                    problems.push(problem);
                    continue;
                }
            };
            first.with_keypoints |= read.with_keypoints;
            if first.is_empty() {
                first = Self { with_keypoints: first.with_keypoints, source: file, ..read };
            } else if !read.is_empty() && read.by_number != first.by_number {
                let message = format!("is not used: it names other classes than {}", first.source());
                problems.push(Problem::of_file(&file, message));
            }
        }
        first
    }

    fn of_list(text: &str) -> Self {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        Self { by_number: (0..).zip(lines.map(str::to_owned)).collect(), ..Self::default() }
    }

    fn of_yaml(file: &Path, yaml: &str, problems: &mut Vec<Problem>) -> Self {
        let mut names = Self::default();
        let mut reading = Reading::default();
        for event in Parser::new_from_str(yaml) {
            match event {
                Ok((event, _)) => reading.take(event, &mut names),
                Err(error) => {
                    // A YAML file without names has nothing to do with labels.
                    if yaml.contains("names") {
                        let message = format!("its `names` are not read: {}", quoted(error.info()));
                        let place = Place::Line(error.marker().line() as u64);
                        problems.push(Problem::at(file, place, message));
                    }
                    return Self { with_keypoints: names.with_keypoints, ..Self::default() };
                }
            }
        }
        if reading.has_alias {
            problems.push(Problem::of_file(
                file,
                "its `names` are not read to their end: they hold a YAML alias",
            ));
        }
        names
    }
}

fn is_yaml(file: &Path) -> bool {
    matches!(&*extension(file), "yaml" | "yml")
}

/// The files with names in a folder, sorted.
fn list(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| is_list_of_names(file) && file.is_file());
    files.sort();
    files
}

/// Where in a YAML document the next event belongs.
#[derive(Default)]
struct Reading {
    /// Collections that are open.
    depth: usize,
    is_document_mapping: bool,
    /// The key of the document's mapping whose value comes next, or within which events come.
    key: Option<String>,
    /// Whether the collection below the document's mapping is a key and not a value.
    is_key: bool,
    /// In `names`: the key whose value comes next.
    number: Option<String>,
    /// Whether `names` is a mapping from numbers to names, and not a list.
    is_mapping: bool,
    listed: u64,
    has_alias: bool,
}

impl Reading {
    fn take(&mut self, event: Event<'_>, names: &mut Names) {
        let in_names = self.depth == 2 && self.is_document_mapping && self.key.as_deref() == Some("names");
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                let is_mapping = matches!(event, Event::MappingStart(..));
                match self.depth {
                    0 => self.is_document_mapping = is_mapping,
                    1 => {
                        self.is_mapping = is_mapping;
                        self.is_key = self.key.is_none();
                        names.with_keypoints |=
                            self.key.as_deref() == Some("kpt_shape") && self.is_document_mapping;
                    }
                    _ if in_names => self.name(String::new(), names),
                    _ => {}
                }
                self.depth += 1;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 1 {
                    // After a key that is a collection, which has no name, comes its value.
                    self.key = self.is_key.then(String::new);
                }
            }
            Event::Scalar(text, ..) if self.depth == 1 => {
                self.key = if self.key.is_none() { Some(text.into_owned()) } else { None };
            }
            Event::Scalar(text, ..) if in_names => self.name(text.into_owned(), names),
            Event::Alias(_) if self.depth == 1 => {
                self.has_alias |= self.key.take().is_some_and(|key| key == "names");
            }
            Event::Alias(_) if in_names => {
                self.has_alias = true;
                self.name(String::new(), names);
            }
            _ => {}
        }
    }

    /// A scalar within `names`; an empty one holds the place of what is no name.
    fn name(&mut self, text: String, names: &mut Names) {
        if !self.is_mapping {
            if !text.is_empty() {
                names.by_number.insert(self.listed, text);
            }
            self.listed += 1;
            return;
        }
        match self.number.take() {
            None => self.number = Some(text),
            Some(number) => {
                if let (Ok(number), false) = (number.parse(), text.is_empty()) {
                    names.by_number.insert(number, text);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str, names: &[(u64, &str)]) {
        let mut problems = Vec::new();
        let read = Names::of_yaml(Path::new("data.yaml"), yaml, &mut problems);
        let read: Vec<(u64, &str)> =
            read.by_number.iter().map(|(number, name)| (*number, name.as_str())).collect();
        assert_eq!(read, names, "{yaml}");
        assert_eq!(problems, [], "{yaml}");
    }

    #[test]
    fn names_are_a_list_or_a_mapping() {
        check("nc: 2\nnames: ['a b', c]\ntrain: x\n", &[(0, "a b"), (1, "c")]);
        check("train: [x, y]\r\nnames:\r\n- a\r\n- \"b\"\r\n", &[(0, "a"), (1, "b")]);
        check("# COCO\nnames:\n  0: person # one\n  2: car\n", &[(0, "person"), (2, "car")]);
        check("download: |\n  names: no\nnames: {7: x}", &[(7, "x")]);
        check("a: {names: [no]}\nb:\n  names: [no]\n", &[]);
        check("[names, [a]]", &[]);
        check("names: one", &[]);
    }

    #[test]
    fn what_is_no_name_keeps_its_place() {
        check("names: [a, [b], {c: d}, e]", &[(0, "a"), (3, "e")]);
        check("names: {0: [x, y], 1: b, z: c}", &[(1, "b")]);
        check("? [names]\n: [a]\nnames: [b]", &[(0, "b")]);
        check("? {a: b}\n: a\nnames: [b]", &[(0, "b")]);
    }

    #[test]
    fn aliases_are_told_and_not_expanded() {
        let mut problems = Vec::new();
        let yaml = "a: &a [x, x]\nnames: [*a, b]";
        let names = Names::of_yaml(Path::new("data.yaml"), yaml, &mut problems);
        assert_eq!(names.get(1), Some("b"));
        assert_eq!(problems.len(), 1);
    }

    #[test]
    fn a_broken_file_is_told_only_if_it_speaks_of_names() {
        for (yaml, told) in [("a: [", 0), ("names: [a", 1)] {
            let mut problems = Vec::new();
            assert!(Names::of_yaml(Path::new("data.yaml"), yaml, &mut problems).is_empty());
            assert_eq!(problems.len(), told, "{yaml}");
        }
    }

    #[test]
    fn keypoints_are_announced() {
        assert!(
            Names::of_yaml(Path::new("a"), "kpt_shape: [17, 3]\nnames: [a]", &mut Vec::new()).with_keypoints
        );
        assert!(!Names::of_yaml(Path::new("a"), "x: {kpt_shape: [17, 3]}", &mut Vec::new()).with_keypoints);
    }
}
