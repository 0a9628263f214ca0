//! What a user meets when labels are read: one file for each format, and one for folders and errors.

mod bounds;
mod coco;
mod folders;
mod public_data;
mod voc;
mod yolo;

use denan_data::labels::{self, LabelSet, LabelledBox};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    folder
}

fn read(folder: &Path) -> LabelSet {
    labels::read(&[folder.to_owned()]).unwrap()
}

/// The error's text with the folder called `DIR`.
fn error(folder: &Path) -> String {
    let error = labels::read(&[folder.to_owned()]).unwrap_err().to_string();
    error.replace(folder.to_str().unwrap(), "DIR")
}

/// The problems as text with the folder called `DIR`.
fn problems(folder: &Path, set: &LabelSet) -> Vec<String> {
    set.problems.iter().map(|problem| problem.to_string().replace(folder.to_str().unwrap(), "DIR")).collect()
}

/// All boxes of a set.
fn boxes(set: &LabelSet) -> Vec<&LabelledBox> {
    set.images.iter().flat_map(|image| &image.boxes).collect()
}

fn corners(set: &LabelSet) -> Vec<[f64; 4]> {
    boxes(set).iter().map(|one| one.corners).collect()
}

/// An annotation of VOC with these objects.
fn annotation(objects: &str) -> String {
    format!(
        "<annotation><filename>a.jpg</filename><size><width>640</width><height>480</height></size>{objects}</annotation>"
    )
}

/// An object of VOC.
fn object(name: &str, corners: [&str; 4]) -> String {
    let [xmin, ymin, xmax, ymax] = corners;
    format!(
        "<object><name>{name}</name><bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax>\
         <ymax>{ymax}</ymax></bndbox></object>"
    )
}

/// A PNG's first bytes.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend([8, 2, 0, 0, 0]);
    bytes
}

/// A given path below a folder.
fn at(folder: &TempDir, name: &str) -> PathBuf {
    folder.path().join(name)
}
