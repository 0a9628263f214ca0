//! Tables as text: CSV, TSV, JSON lines, compressed or not.

use crate::faults::{Fault, check, check_clean, four_classes};
use crate::make::{Cells, Type, clean, dirty};
use crate::write::{csv, gzip, json_lines, put};
use denan_data::Options;

type Writer = fn(&[crate::make::Column]) -> Vec<u8>;

const FORMATS: [(&str, Writer); 7] = [
    ("t.csv", |columns| csv(columns, ',')),
    ("semicolon.csv", |columns| csv(columns, ';')),
    ("t.tsv", |columns| csv(columns, '\t')),
    ("t.csv.gz", |columns| gzip(&csv(columns, ','))),
    ("t.csv.zst", |columns| zstd::encode_all(&csv(columns, ',')[..], 1).unwrap()),
    ("t.jsonl", json_lines),
    ("t.ndjson.gz", |columns| gzip(&json_lines(columns))),
];

#[test]
fn clean_tables_are_clean() {
    for (number, rows) in [20, 21, 57, 200, 999, 1000, 5000].into_iter().enumerate() {
        for seed in 0..20 {
            let (name, writer) = FORMATS[(number + seed as usize) % FORMATS.len()];
            let folder = tempfile::tempdir().unwrap();
            put(folder.path(), name, &writer(&clean(rows, seed, Type::F64)));
            check_clean(folder.path());
        }
    }
}

#[test]
fn a_large_clean_table_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "t.csv", &csv(&clean(100_000, 7, Type::F64), ','));
    let result = check_clean(folder.path());
    assert_eq!(result.samples, 100_000);
}

#[test]
fn every_fault_of_a_table_is_found_and_nothing_else() {
    for (name, writer) in FORMATS {
        for (rows, seed) in [(40, 1), (1000, 2), (3000, 3)] {
            let folder = tempfile::tempdir().unwrap();
            let (columns, faults) = dirty(rows, seed, Type::F64, Cells::Texts);
            put(folder.path(), name, &writer(&columns));
            let faults: Vec<Fault> = faults.into_iter().map(|fault| fault.file(name)).collect();
            check(folder.path(), &four_classes(), &faults);
        }
    }
}

#[test]
fn faults_behind_the_first_chunk_have_their_rows() {
    let folder = tempfile::tempdir().unwrap();
    let (columns, faults) = dirty(60_000, 4, Type::F64, Cells::Texts);
    put(folder.path(), "t.csv", &csv(&columns, ','));
    assert!(folder.path().join("t.csv").metadata().unwrap().len() > 3 * (4 << 20));
    let faults: Vec<Fault> = faults.into_iter().map(|fault| fault.file("t.csv")).collect();
    check(folder.path(), &four_classes(), &faults);
}

#[test]
fn quoted_fields_may_hold_line_breaks() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "x,note,y\r\n".to_owned();
    for row in 0..2000 {
        let x = if row == 1234 { "inf".to_owned() } else { format!("{}", row % 83) };
        text += &format!("{x},\"line one, of \"\"{row}\"\"\nline two\r\n\",{}\r\n", row % 3);
    }
    put(folder.path(), "t.csv", text.as_bytes());
    let fault = Fault::new("non-finite-input").file("t.csv").at(1234).column("x").value(f64::INFINITY);
    let result = check(folder.path(), &Options::default(), &[fault]);
    assert_eq!(result.samples, 2000);
}

#[test]
fn the_same_fault_in_rows_that_follow_each_other_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let rows = (0..100).map(|row| match row {
        10..15 => "nan,1\n".to_owned(),
        40..43 => ",0\n".to_owned(),
        _ => format!("{},{}\n", row % 7, row % 2),
    });
    put(folder.path(), "t.csv", format!("x,y\n{}", rows.collect::<String>()).as_bytes());
    let fault = |rule| Fault::new(rule).file("t.csv").column("x");
    let planted =
        [fault("non-finite-input").at(10).value(f64::NAN).rows(5), fault("missing-value").at(40).rows(3)];
    check(folder.path(), &Options::default(), &planted);
}

#[test]
fn files_without_rows_hold_nothing() {
    for (name, text) in [("t.csv", "x,y\n"), ("t.csv", "x,y"), ("t.tsv", "x\ty\r\n"), ("t.jsonl", "\n\n")] {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), name, text.as_bytes());
        check(folder.path(), &Options::default(), &[Fault::new("empty-array").file(name)]);
        put(folder.path(), name, b"");
        check(folder.path(), &Options::default(), &[Fault::new("unreadable-file").file(name)]);
    }
}

#[test]
fn damaged_text_is_told_and_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let whole = gzip(&csv(&clean(3000, 5, Type::F64), ','));
    put(folder.path(), "t.csv.gz", &whole[..whole.len() / 2]);
    check(folder.path(), &Options::default(), &[Fault::new("unreadable-file").file("t.csv.gz")]);
    let folder = tempfile::tempdir().unwrap();
    let lines = (0..100).map(|row| match row {
        50 => "{\"x\": \n".to_owned(),
        row => format!("{{\"x\": {}}}\n", row % 9),
    });
    put(folder.path(), "t.jsonl", lines.collect::<String>().as_bytes());
    check(folder.path(), &Options::default(), &[Fault::new("unreadable-file").file("t.jsonl")]);
    let folder = tempfile::tempdir().unwrap();
    let lines = (0..100)
        .map(|row| if row == 50 { "1,2,3\n".to_owned() } else { format!("{},{}\n", row % 9, row % 2) });
    put(folder.path(), "t.csv", format!("x,y\n{}", lines.collect::<String>()).as_bytes());
    check(folder.path(), &Options::default(), &[Fault::new("unreadable-file").file("t.csv")]);
}
