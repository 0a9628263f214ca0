//! `denan scan`: what is said of a data set, and how it ends.

use crate::support::{code, denan, stderr, stdout};
use serde_json::Value;
use std::path::Path;

fn labels(folder: &Path, boxes: &[[&str; 4]]) {
    let objects: String = boxes
        .iter()
        .map(|[xmin, ymin, xmax, ymax]| {
            format!(
                "<object><name>cell</name><bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax>\
                 <ymax>{ymax}</ymax></bndbox></object>"
            )
        })
        .collect();
    let xml = format!("<annotation><size><width>64</width><height>48</height></size>{objects}</annotation>");
    std::fs::write(folder.join("a.xml"), xml).unwrap();
}

#[test]
fn a_clean_set_ends_with_0_and_one_with_findings_with_1() {
    let folder = tempfile::tempdir().unwrap();
    labels(folder.path(), &[["1", "2", "30", "40"]]);
    let clean = denan(folder.path(), &["scan", "."]);
    assert_eq!(code(&clean), 0, "{}", stderr(&clean));
    assert!(stdout(&clean).starts_with("clean: 1 label with 1 box and no image files"), "{}", stdout(&clean));
    labels(folder.path(), &[["1", "2", "30", "40"], ["7", "2", "7", "40"]]);
    let dirty = denan(folder.path(), &["scan", "."]);
    assert_eq!(code(&dirty), 1);
    let said = stdout(&dirty);
    assert!(said.starts_with("error: 1 box has no area (degenerate-box)\n"), "{said}");
    assert!(said.contains("a.xml box 1 (cell): x 7 to 7, y 2 to 40"), "{said}");
    assert!(said.contains("next: denan explain degenerate-box"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
}

#[test]
fn only_the_first_findings_are_told_and_all_are_in_the_document() {
    let folder = tempfile::tempdir().unwrap();
    let mut boxes = vec![["3", "2", "3", "40"]; 1];
    let sides: Vec<String> = (5..25).map(|at| at.to_string()).collect();
    boxes.extend(sides.iter().map(|at| [at.as_str(), "2", at.as_str(), "40"]));
    labels(folder.path(), &boxes);
    let said = stdout(&denan(folder.path(), &["scan", "."]));
    assert!(said.contains("21 boxes have no area") && said.contains("and 13 more"), "{said}");
    let lines = stdout(&denan(folder.path(), &["scan", ".", "--format", "concise"]));
    assert_eq!(lines.lines().count(), 21, "{lines}");
    assert!(lines.lines().all(|line| line.contains("error[degenerate-box]")), "{lines}");
    let json = stdout(&denan(folder.path(), &["scan", ".", "--format", "json"]));
    let document: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(document["findings"].as_array().map(Vec::len), Some(21));
}

#[test]
fn the_document_keeps_its_schema() {
    let folder = tempfile::tempdir().unwrap();
    labels(folder.path(), &[["1", "2", "30", "40"], ["nan", "2", "7", "40"], ["9", "2", "7", "90"]]);
    std::fs::write(folder.path().join("b.xml"), "<annotation><obj").unwrap();
    let json = stdout(&denan(folder.path(), &["scan", ".", "--format", "json"]));
    let document: Value = serde_json::from_str(&json).unwrap();
    let schema: Value = serde_json::from_str(include_str!("../../../../schema/scan-v1.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{document:#}");
    assert_eq!(document["findings"][1]["value"][0], "NaN", "{document:#}");
}

#[test]
fn without_labels_there_is_nothing_to_look_at() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(code(&denan(folder.path(), &["scan", "."])), 3);
    assert_eq!(code(&denan(folder.path(), &["scan", "nowhere"])), 2);
    assert_eq!(code(&denan(folder.path(), &["scan"])), 2);
}
