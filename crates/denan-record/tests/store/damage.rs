//! Files that are no whole record are refused in words, whatever their bytes are.

use crate::sample;
use denan_record::store::{self, SCHEMA_VERSION, StoreError};
use proptest::prelude::*;
use rusqlite::Connection;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use tempfile::TempDir;

static RECORD: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    sample::write(&path, &sample::broken_run());
    fs::read(&path).unwrap()
});

fn file_of(bytes: &[u8]) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    fs::write(&path, bytes).unwrap();
    (folder, path)
}

fn changed(sql: &str) -> (TempDir, PathBuf) {
    let (folder, path) = file_of(&RECORD);
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    (folder, path)
}

fn message(path: &Path) -> String {
    let text = store::read(path).unwrap_err().to_string();
    text.replace(&path.display().to_string(), "FILE")
}

#[test]
fn a_missing_file_and_a_folder_are_errors_of_the_system() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().join("a.db"), folder.path().to_owned()] {
        assert!(matches!(store::read(&path), Err(StoreError::Io { .. })));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "reading makes no file");
}

#[test]
fn other_files_are_no_records() {
    let (_folder, other_database) = file_of(&[]);
    Connection::open(&other_database).unwrap().execute_batch("CREATE TABLE step (step)").unwrap();
    assert_eq!(message(&other_database), "`FILE` is not a denan record");
    for bytes in [&b""[..], b"x", b"SQLite format 3\0", &[0; 5000], &[0xff; 5000]] {
        let (_folder, path) = file_of(bytes);
        assert_eq!(message(&path), "`FILE` is not a denan record", "{bytes:.20?}");
    }
}

#[test]
fn a_newer_schema_is_refused_with_both_versions_and_a_way_out() {
    let newer = SCHEMA_VERSION + 1;
    let (_folder, path) = changed(&format!("PRAGMA user_version = {newer}"));
    assert_eq!(
        message(&path),
        format!(
            "`FILE` was written by a newer denan: its schema is version {newer} and this denan \
             reads up to version {SCHEMA_VERSION}; update denan to read it"
        )
    );
}

#[test]
fn a_record_that_was_cut_off_is_damaged_wherever_the_cut_is() {
    assert!(RECORD.len() > 100_000);
    for length in (0..RECORD.len()).step_by(509) {
        let (_folder, path) = file_of(&RECORD[..length]);
        let error = store::read(&path).unwrap_err();
        assert!(
            matches!(error, StoreError::Damaged { .. } | StoreError::NotARecord { .. }),
            "cut at {length}: {error:?}"
        );
    }
    let (_folder, path) = file_of(&RECORD[..RECORD.len() / 2]);
    assert_eq!(message(&path), "`FILE` is damaged: database disk image is malformed");
}

#[test]
fn values_that_make_no_sense_are_damage() {
    for sql in [
        "UPDATE break SET phase = 'sideways'",
        "UPDATE break SET kind = 7",
        "UPDATE break_operation SET line = -1",
        "UPDATE break_tensor SET shape = '[1,'",
        "UPDATE step SET loss = 'nan'",
        "UPDATE parameter_step SET quantity = 'mood' WHERE quantity = 'value'",
        "UPDATE note SET text = CAST(x'ff' AS TEXT)",
        "UPDATE ending SET ending = 'exploded'",
        "DELETE FROM break_operation",
        "DELETE FROM break_tensor",
        "DROP TABLE note",
        "ALTER TABLE step DROP COLUMN loss",
    ] {
        let (_folder, path) = changed(sql);
        let error = store::read(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{sql}: {error:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn altered_bytes_never_lead_to_a_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        in_head in prop::collection::vec((0usize..4096, any::<u8>()), 0..3),
    ) {
        let mut bytes = RECORD.clone();
        for (index, byte) in changes {
            let index = index.index(bytes.len());
            bytes[index] = byte;
        }
        for (index, byte) in in_head {
            bytes[index] = byte;
        }
        let (_folder, path) = file_of(&bytes);
        let _ = store::read(&path);
    }

    #[test]
    fn foreign_bytes_never_lead_to_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..5000)) {
        let (_folder, path) = file_of(&bytes);
        prop_assert!(store::read(&path).is_err());
    }
}
