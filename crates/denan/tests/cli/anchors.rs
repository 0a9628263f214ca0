//! `denan anchors`: from labels to anchors, and what is said of bad ones.

use crate::support::{code, denan, stderr, stdout};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;

/// An annotation of an image of 200 x 100 with these boxes: `xmin ymin xmax ymax difficult`.
fn annotation(boxes: &[[i32; 5]]) -> String {
    let mut xml = "<annotation><size><width>200</width><height>100</height></size>".to_owned();
    for [xmin, ymin, xmax, ymax, difficult] in boxes {
        let _ = write!(
            xml,
            "<object><name>cell</name><difficult>{difficult}</difficult><bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin>\
             <xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"
        );
    }
    xml + "</annotation>"
}

fn labels(folder: &Path) {
    std::fs::write(
        folder.join("a.xml"),
        annotation(&[[0, 0, 20, 20, 0], [5, 5, 27, 25, 0], [10, 10, 110, 60, 0]]),
    )
    .unwrap();
    std::fs::write(folder.join("b.xml"), annotation(&[[0, 0, 98, 52, 0], [3, 3, 25, 23, 1]])).unwrap();
}

fn document(folder: &Path, options: &[&str]) -> Value {
    let output = denan(folder, &[&["anchors", ".", "--format", "json"], options].concat());
    serde_json::from_str(&stdout(&output)).unwrap_or_else(|error| panic!("{error}: {}", stderr(&output)))
}

fn sides(document: &Value) -> Vec<[f64; 2]> {
    serde_json::from_value(document["anchors"].clone()).unwrap()
}

#[test]
fn anchors_are_in_the_pixels_that_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    labels(folder.path());
    for (options, of_large) in [
        (&[][..], [100.0, 51.0]),
        // 200 x 100 fits into 400 x 400 twice as large.
        (&["--size", "400"], [200.0, 102.0]),
        (&["--size", "400", "--resize", "stretch"], [200.0, 204.0]),
        (&["--size", "100x400"], [50.0, 25.5]),
    ] {
        let document = document(folder.path(), &[&["-k", "2"], options].concat());
        let [_, large] = sides(&document)[..] else { panic!("{document}") };
        let is_near = |at: usize| (large[at] / of_large[at] - 1.0).abs() < 0.05;
        assert!(is_near(0) && is_near(1), "{options:?}: {large:?}");
        assert_eq!((document["boxes"].as_u64(), document["images"].as_u64()), (Some(5), Some(2)));
    }
}

#[test]
fn the_document_keeps_its_schema() {
    let folder = tempfile::tempdir().unwrap();
    labels(folder.path());
    std::fs::write(folder.path().join("c.xml"), annotation(&[[7, 7, 7, 7, 0]])).unwrap();
    let schema: Value =
        serde_json::from_str(include_str!("../../../../schema/anchors-v1.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for options in
        [&[][..], &["--sweep", "1..4", "--levels", "2", "--size", "64", "-k", "3", "--threshold", "0.9"]]
    {
        let document = document(folder.path(), options);
        let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}\n{document:#}");
    }
}

#[test]
fn boxes_without_an_area_are_told_and_left_out() {
    let folder = tempfile::tempdir().unwrap();
    labels(folder.path());
    assert_eq!(code(&denan(folder.path(), &["anchors", "."])), 0);
    std::fs::write(
        folder.path().join("c.xml"),
        annotation(&[[0, 0, 30, 30, 0], [9, 7, 9, 12, 0], [50, 7, 40, 12, 0]]),
    )
    .unwrap();
    let output = denan(folder.path(), &["anchors", ".", "-k", "2"]);
    let said = stdout(&output);
    assert_eq!(code(&output), 1, "{said}");
    assert!(said.contains("for 6 boxes of 3 images") && said.contains("2 boxes have no area"), "{said}");
    assert!(said.contains("c.xml box 1 (cell): x 9 to 9, y 7 to 12"), "{said}");
    assert!(
        said.lines().filter(|line| !line.contains("torch")).all(|line| line.chars().count() <= 80),
        "{said}"
    );
}

#[test]
fn a_broken_label_keeps_none_of_the_others_from_being_read() {
    let folder = tempfile::tempdir().unwrap();
    labels(folder.path());
    std::fs::write(folder.path().join("c.xml"), "<annotation><object>").unwrap();
    let output = denan(folder.path(), &["anchors", "."]);
    assert_eq!(code(&output), 1);
    assert!(stdout(&output).contains("c.xml"), "{}", stdout(&output));
    assert!(stdout(&output).contains("for 5 boxes"), "{}", stdout(&output));
}

#[test]
fn difficult_objects_are_left_out_on_request() {
    let folder = tempfile::tempdir().unwrap();
    labels(folder.path());
    let document = document(folder.path(), &["--ignore", "difficult,crowd"]);
    assert_eq!((document["boxes"].as_u64(), document["ignored"].as_u64()), (Some(4), Some(1)));
}

#[test]
fn the_same_labels_and_seed_give_the_same_document() {
    let folder = tempfile::tempdir().unwrap();
    labels(folder.path());
    let of = |seed: &str| document(folder.path(), &["-k", "3", "--seed", seed]);
    assert_eq!(of("5"), of("5"));
    assert_eq!(of("5")["seed"], 5);
}

#[test]
fn a_picture_is_never_drawn_over_a_file() {
    let folder = tempfile::tempdir().unwrap();
    labels(folder.path());
    let draw = |name: &str| denan(folder.path(), &["anchors", ".", "--plot", name]);
    assert_eq!(code(&draw("anchors.svg")), 0);
    let svg = std::fs::read_to_string(folder.path().join("anchors.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
    assert_eq!(code(&draw("anchors.html")), 0);
    assert!(std::fs::read_to_string(folder.path().join("anchors.html")).unwrap().contains("<svg"));
    let again = draw("anchors.svg");
    assert_eq!(code(&again), 2);
    assert!(stderr(&again).contains("not there yet"), "{}", stderr(&again));
    assert_eq!(code(&draw("anchors.png")), 2);
}

#[test]
fn without_labels_or_boxes_there_is_nothing_to_look_at() {
    let folder = tempfile::tempdir().unwrap();
    let output = denan(folder.path(), &["anchors", "."]);
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("holds no labels"), "{}", stderr(&output));
    std::fs::write(folder.path().join("a.xml"), annotation(&[])).unwrap();
    assert_eq!(code(&denan(folder.path(), &["anchors", "."])), 3);
    assert_eq!(code(&denan(folder.path(), &["anchors", "nowhere"])), 2);
    assert_eq!(code(&denan(folder.path(), &["anchors", ".", "--size", "0"])), 2);
    assert_eq!(code(&denan(folder.path(), &["anchors"])), 2);
}

#[test]
fn the_degenerate_boxes_of_a_real_data_set_are_found() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !data.join("bccd").is_dir() {
        eprintln!("skipped: there is no {}", data.display());
        return;
    }
    let found = |name: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = data.join(name).join("Annotations");
        let output =
            denan(folder.path(), &["anchors", path.to_str().unwrap(), "--format", "json", "-k", "5"]);
        let document: Value = serde_json::from_str(&stdout(&output)).unwrap();
        (code(&output), document)
    };
    let (exit, bccd) = found("bccd");
    assert_eq!((exit, bccd["degenerate_total"].as_u64(), bccd["boxes"].as_u64()), (1, Some(2), Some(4886)));
    let names: Vec<&str> =
        bccd["degenerate"].as_array().unwrap().iter().map(|found| found["file"].as_str().unwrap()).collect();
    assert!(
        names[0].ends_with("BloodImage_00338.xml") && names[1].ends_with("BloodImage_00343.xml"),
        "{names:?}"
    );
    let (exit, raccoon) = found("raccoon");
    assert_eq!((exit, raccoon["degenerate_total"].as_u64()), (0, Some(0)));
}
