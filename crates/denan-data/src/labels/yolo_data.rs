//! The folders that a YOLO `data.yaml` names.

use super::text;
use crate::image_file::extension;
use saphyr_parser::{Event, Parser};
use std::path::{Path, PathBuf};

/// Keys under which folders of images stand.
const SPLITS: [&str; 3] = ["train", "val", "test"];

/// The folders of labels, and of images, that a file names, if it is a `data.yaml` and they are there; `images` in a path stands as `labels`
/// in that of its labels, as ultralytics has it.
pub(super) fn folders(file: &Path) -> Vec<PathBuf> {
    if !["yaml", "yml"].contains(&&*extension(file)) {
        return Vec::new();
    }
    let Ok(yaml) = text::read_names(file) else { return Vec::new() };
    let own = file.parent().unwrap_or(Path::new("."));
    let (mut root, mut images) = (own.to_owned(), Vec::new());
    for (key, value) in entries(&yaml.text) {
        if key == "path" {
            root = own.join(value);
        } else if SPLITS.contains(&&*key) {
            images.push(value);
        }
    }
    let mut folders = Vec::new();
    for image in images {
        // The path of a file that has moved is taken from where it lies now.
        let Some(folder) = [root.join(&image), own.join(&image)].into_iter().find(|folder| folder.is_dir())
        else {
            continue;
        };
        folders.push(of_labels(&folder));
        folders.push(folder);
    }
    folders.retain(|folder| folder.is_dir());
    folders.sort();
    folders.dedup();
    folders
}

/// The folder of labels that goes with one of images.
fn of_labels(images: &Path) -> PathBuf {
    let parts: Vec<_> = images.components().collect();
    let last = parts.iter().rposition(|part| part.as_os_str() == "images");
    let part = |(number, part): (usize, &std::path::Component<'_>)| {
        if Some(number) == last { "labels".into() } else { part.as_os_str().to_owned() }
    };
    parts.iter().enumerate().map(part).collect()
}

/// Keys of the document with their values, each item of a list by itself.
fn entries(yaml: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let (mut depth, mut key): (usize, Option<String>) = (0, None);
    for event in Parser::new_from_str(yaml) {
        let Ok((event, _)) = event else { return found };
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
            Event::MappingEnd | Event::SequenceEnd => {
                depth = depth.saturating_sub(1);
                if depth == 1 {
                    key = None;
                }
            }
            Event::Scalar(value, ..) if depth == 1 => match key.take() {
                Some(key) => found.push((key, value.into_owned())),
                None => key = Some(value.into_owned()),
            },
            Event::Scalar(value, ..) if depth == 2 => {
                found.extend(key.clone().map(|key| (key, value.into_owned())));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_those_that_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let at = |inner: &str| folder.path().join("set").join(inner);
        for inner in ["images/train", "images/val", "labels/train", "labels/val", "other"] {
            std::fs::create_dir_all(at(inner)).unwrap();
        }
        let yaml = folder.path().join("data.yaml");
        std::fs::write(
            &yaml,
            "path: set\ntrain: images/train\nval:\n  - images/val\n  - images/gone\nnames: {0: other}\n",
        )
        .unwrap();
        let expected = ["images/train", "images/val", "labels/train", "labels/val"].map(at);
        assert_eq!(folders(&yaml), expected);
        assert!(folders(&at("other")).is_empty());
    }
}
