//! Samples left out by name.

use crate::program::{Known, Program, broke};
use denan_cure::patch::NoPatch;
use denan_finding::Patch;
use denan_record::model::Sample;
use denan_record::plan::Intervention;

fn drop(program: &str, names: &[Option<&str>]) -> Result<Patch, NoPatch> {
    let mut known = Known::new(broke("log", "forward", None, &[]));
    let sample =
        |(index, name): (usize, &Option<&str>)| Sample { index: index as u64, name: name.map(str::to_owned) };
    known.dropped = names.iter().enumerate().map(sample).collect();
    let indices = (0..names.len() as u64).collect();
    known.patch(&Program::new(program), &Intervention::DropSamples { indices, rows: None })
}

#[track_caller]
fn check(import: &str, line: &str, after: &str) {
    let program = format!("{import}\nfn main() {{\n    {line}\n}}\n");
    assert_eq!(
        drop(&program, &[Some("BloodImage_00338.xml")]).expect("a patch").after,
        format!("    {after}")
    );
}

#[test]
fn the_watched_data_set_leaves_names_out() {
    check(
        "",
        "let data = denan_burn::data::watched(dataset, name);",
        r#"let data = denan_burn::data::watched(dataset, name).without_names(&["BloodImage_00338.xml"]);"#,
    );
    check(
        "use denan_burn::data::watched;",
        r#"let data = watched(dataset, name).without_names(&["a.xml"]);"#,
        r#"let data = watched(dataset, name).without_names(&["a.xml", "BloodImage_00338.xml"]);"#,
    );
    check(
        "use denan_burn::data;",
        "let data = data::watched(dataset, name).without_names(&[]);",
        r#"let data = data::watched(dataset, name).without_names(&["BloodImage_00338.xml"]);"#,
    );
}

#[test]
fn names_are_quoted_as_rust_reads_them() {
    let patch =
        drop("fn main() {\n    denan_burn::data::watched(d);\n}\n", &[Some("a\"b\\c.xml"), Some("ü.xml")]);
    assert_eq!(
        patch.expect("a patch").after,
        r#"    denan_burn::data::watched(d).without_names(&["a\"b\\c.xml", "ü.xml"]);"#
    );
}

#[test]
fn otherwise_the_samples_are_named_in_the_advice() {
    let advice = |program, names| drop(program, names).expect_err("no patch");
    let own = advice("fn main() {\n    let d = watched(dataset);\n}\n", &[Some("a.xml"), Some("b.xml")]);
    assert_eq!(own.by_hand, "repair or remove the annotation of a.xml, b.xml");
    assert!(own.why.contains("no data set is watched"), "{own}");

    let nameless = advice("fn main() {\n    denan_burn::data::watched(d);\n}\n", &[None]);
    assert_eq!(nameless.by_hand, "repair or remove the annotation of sample 0");

    let many = advice("fn main() {\n    denan_burn::data::watched(d);\n}\n", &[Some("a.xml"); 9]);
    assert!(many.by_hand.ends_with("a.xml and 1 more"), "{many}");

    let two = "fn main() {\n    denan_burn::data::watched(a);\n    denan_burn::data::watched(b);\n}\n";
    assert!(advice(two, &[Some("a.xml")]).why.contains("several data sets"));
}

#[test]
fn of_several_watched_data_sets_the_one_beside_the_training_is_changed() {
    let mut known = Known::new(broke("log", "forward", None, &[]));
    known.dropped = vec![Sample { index: 3, name: Some("a.xml".to_owned()) }];
    let program = Program::new("fn main() {\n    denan_burn::data::watched(d);\n    step();\n}\n")
        .and("src/evaluate.rs", "fn evaluate() {\n    denan_burn::data::watched(e);\n}\n");
    let intervention = Intervention::DropSamples { indices: vec![3], rows: None };
    let refused = known.patch(&program, &intervention).expect_err("which of the two is not known");
    assert!(refused.why.contains("several data sets"), "{refused}");
    known.step_place = Some(program.place("step()"));
    let patch = known.patch(&program, &intervention).expect("a patch");
    assert_eq!(patch.after, r#"    denan_burn::data::watched(d).without_names(&["a.xml"]);"#);
}
