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

/// A table with a NaN, an empty cell and a value that is 0 in `p`, and a clean one of targets beside it.
fn tables(folder: &Path) {
    let mut text = String::from("p,q\n");
    for row in 0..200 {
        let p = match row {
            5 => "NaN".to_owned(),
            6 => String::new(),
            7 => "0".to_owned(),
            _ => format!("0.{}", row % 89 + 10),
        };
        text += &format!("{p},{}\n", row * row % 101);
    }
    std::fs::write(folder.join("features.csv"), text).unwrap();
    let labels: String = (0..200).map(|row| format!("{}\n", row % 4)).collect();
    std::fs::write(folder.join("targets.csv"), "label\n".to_owned() + &labels).unwrap();
}

fn validated(document: &Value, schema: &str) {
    let schema: Value = serde_json::from_str(schema).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<String> = validator.iter_errors(document).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}\n{document:#}");
}

#[test]
fn tables_are_told_with_what_would_fail_and_how_they_are_normalised() {
    let folder = tempfile::tempdir().unwrap();
    tables(folder.path());
    let run = denan(folder.path(), &["scan", "."]);
    let said = stdout(&run);
    assert_eq!(code(&run), 1, "{said}");
    assert!(said.contains("./features.csv row 5 column p: is NaN"), "{said}");
    assert!(said.contains("./features.csv row 6 column p: is empty"), "{said}");
    let in_one_line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(in_one_line.contains("log of column p is -inf for 1 value"), "{said}");
    assert!(said.contains("normalise, torch: (x - torch.tensor(["), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    let asked = stdout(&denan(folder.path(), &["scan", ".", "--op", "log:p"]));
    assert!(asked.contains("row 7 column p: is 0, whose log is -inf in float32"), "{asked}");
    let classes = stdout(&denan(folder.path(), &["scan", ".", "--classes", "3"]));
    assert!(classes.contains("50 labels are none of the classes (label-out-of-range)"), "{classes}");
    let json = stdout(&denan(folder.path(), &["scan", ".", "--format", "json"]));
    let document: Value = serde_json::from_str(&json).unwrap();
    validated(&document, include_str!("../../../../schema/scan-v1.schema.json"));
    let p = &document["columns"][0];
    assert_eq!((&p["nan"], &p["missing"], &p["operations"]["log"]), (&1.into(), &1.into(), &1.into()));
}

#[test]
fn shares_that_are_merged_say_what_a_scan_of_all_says() {
    let folder = tempfile::tempdir().unwrap();
    tables(folder.path());
    let whole = stdout(&denan(folder.path(), &["scan", ".", "--format", "json"]));
    let states = tempfile::tempdir().unwrap();
    let state = |number: u64| states.path().join(format!("{number}.state")).display().to_string();
    for number in 1..=3 {
        let run =
            denan(folder.path(), &["scan", ".", "--shard", &format!("{number}/3"), "--emit", &state(number)]);
        assert_eq!(code(&run), 0, "{}", stderr(&run));
    }
    let merged =
        denan(folder.path(), &["scan", "merge", &state(3), &state(1), &state(2), "--format", "json"]);
    assert_eq!(code(&merged), 1, "{}", stderr(&merged));
    assert_eq!(stdout(&merged), whole);
    let missing = denan(folder.path(), &["scan", "merge", &state(3), &state(1)]);
    assert_eq!(code(&missing), 2);
    assert!(stderr(&missing).contains("shard 2 of 3 is missing"), "{}", stderr(&missing));
    let twice = denan(folder.path(), &["scan", "merge", &state(1), &state(1), &state(2)]);
    assert!(stderr(&twice).contains("shard 1 of 3 is there twice"), "{}", stderr(&twice));
    let no_state = denan(folder.path(), &["scan", "merge", "features.csv"]);
    assert_eq!(code(&no_state), 2);
    assert_eq!(
        code(&denan(folder.path(), &["scan", ".", "--shard", "1/3"])),
        2,
        "a share needs a place for its state"
    );
    let again = denan(folder.path(), &["scan", ".", "--shard", "1/3", "--emit", &state(1)]);
    assert_eq!(code(&again), 2, "nothing is written over");
}

#[test]
fn findings_are_written_as_parquet() {
    let folder = tempfile::tempdir().unwrap();
    tables(folder.path());
    let findings = tempfile::tempdir().unwrap();
    let file = findings.path().join("findings.parquet").display().to_string();
    assert_eq!(code(&denan(folder.path(), &["scan", ".", "--findings", &file])), 1);
    let of_findings = stdout(&denan(findings.path(), &["scan", ".", "--format", "json"]));
    let document: Value = serde_json::from_str(&of_findings).unwrap();
    assert_eq!(document["tables"][0]["rows"], 2, "{document:#}");
    assert_eq!(
        code(&denan(folder.path(), &["scan", ".", "--findings", &file])),
        2,
        "nothing is written over"
    );
}

#[test]
fn a_copy_is_cleaned_and_the_source_is_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    tables(&folder.path().join("data"));
    let dry = denan(folder.path(), &["clean", "data", "-o", "clean", "--dry-run"]);
    assert_eq!(code(&dry), 1, "{}", stderr(&dry));
    assert!(stdout(&dry).contains("nothing was written"), "{}", stdout(&dry));
    let run = denan(folder.path(), &["clean", "data", "-o", "clean", "--format", "json"]);
    assert_eq!(code(&run), 1, "{}", stderr(&run));
    let document: Value = serde_json::from_str(&stdout(&run)).unwrap();
    validated(&document, include_str!("../../../../schema/clean-v1.schema.json"));
    assert_eq!(document["changes"][0]["rows"], 1, "{document:#}");
    assert_eq!(code(&denan(folder.path(), &["scan", "clean"])), 0);
    let again = denan(folder.path(), &["clean", "clean", "-o", "cleaner"]);
    assert_eq!(code(&again), 0, "{}", stdout(&again));
    assert!(stdout(&again).contains("nothing was to be repaired"), "{}", stdout(&again));
    for bad in [
        &["clean", "data", "-o", "clean"][..],
        &["clean", "data", "-o", "data/inner"],
        &["clean", "data", "-o", "x", "--rule", "nan=drop"],
    ] {
        let run = denan(folder.path(), bad);
        assert_eq!(code(&run), 2, "{bad:?} {}", stdout(&run));
        assert!(!stderr(&run).is_empty());
    }
}

#[test]
fn a_share_is_scanned_here_or_by_one_cluster() {
    let folder = tempfile::tempdir().unwrap();
    for options in [
        &["--ray", "auto", "--spark", "local[2]"][..],
        &["--ray", "auto", "--shard", "1/2", "--emit", "state"],
        &["--shards", "4"],
        &["--ray", "auto", "--shards", "0"],
    ] {
        let refused = denan(folder.path(), &[&["scan", "."], options].concat());
        assert_eq!(code(&refused), 2, "{options:?}");
        assert!(
            stderr(&refused).contains("Usage: ") || stderr(&refused).contains("--help"),
            "{}",
            stderr(&refused)
        );
    }
}

#[test]
fn a_python_without_denan_is_told_what_a_cluster_needs() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let python = folder.path().join("python3");
    std::fs::write(&python, "#!/bin/sh\nexit 1\n").unwrap();
    std::fs::set_permissions(&python, std::fs::Permissions::from_mode(0o755)).unwrap();
    let refused = std::process::Command::new(env!("CARGO_BIN_EXE_denan"))
        .args(["scan", ".", "--ray", "auto"])
        .env("PATH", folder.path())
        .env_remove("VIRTUAL_ENV")
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(code(&refused), 2);
    let said = stderr(&refused);
    assert!(said.contains("has no `denan.distributed`"), "{said}");
    assert!(said.contains("-m pip install denan==") && said.trim_end().ends_with(" ray"), "{said}");
}
