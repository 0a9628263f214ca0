//! A recorder that cannot write says so once and is in nobody's way.

use crate::sample;
use denan_record::event::Event;
use denan_record::store::{self, Limits, Recorder, StoreError};
use std::fs;
use std::time::{Duration, Instant};

#[test]
fn a_file_that_exists_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    fs::write(&path, "precious").unwrap();
    let error = Recorder::create(&path, Limits::default()).unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }));
    assert_eq!(
        error.to_string(),
        format!("`{}` exists already, and a record never overwrites a file", path.display())
    );
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

/// Folder permissions would not bind a test that runs as root; these places bind everyone.
#[test]
fn a_place_where_no_file_can_be_made_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for path in [file.join("a.db"), folder.path().join("missing").join("a.db")] {
        let error = Recorder::create(&path, Limits::default()).unwrap_err();
        assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
    }
}

fn almost_no_room() -> Limits {
    Limits { largest_pages: Some(48), ..Limits::default() }
}

#[test]
fn a_full_disk_is_told_once_and_then_everything_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let recorder = Recorder::create(&path, almost_no_room()).unwrap();
    recorder.tell(Event::Started(sample::broken_run().header.unwrap())).unwrap();
    let start = Instant::now();
    let mut step = 0;
    let error = loop {
        match recorder.tell(Event::Step(sample::step(step, 40))) {
            Ok(()) => step += 1,
            Err(error) => break error,
        }
        assert!(start.elapsed() < Duration::from_secs(60), "the disk never became full");
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(matches!(error, StoreError::Full { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("no room left for `{}`", path.display()));
    for step in step..step + 1000 {
        recorder.tell(Event::Step(sample::step(step, 40))).unwrap();
    }
    let report = recorder.finish().unwrap();
    assert!(!report.complete);
    // What was written before is still there.
    assert!(store::read(&path).unwrap().header.is_some());
}

#[test]
fn an_error_at_the_very_end_is_told_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let recorder = Recorder::create(&path, almost_no_room()).unwrap();
    recorder.tell(Event::Step(sample::step(0, 4000))).unwrap();
    assert!(matches!(recorder.finish(), Err(StoreError::Full { .. })));
    assert!(store::read(&path).unwrap().steps.is_empty());
}

#[test]
fn a_locked_file_delays_the_writing_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let recorder = Recorder::create(&path, Limits::default()).unwrap();
    let somebody = rusqlite::Connection::open(&path).unwrap();
    somebody.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = Instant::now();
    // Longer than the recorder waits for a lock, so that it meets the refusal.
    for step in 0.. {
        recorder.tell(Event::Step(sample::step(step, 2))).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        if start.elapsed() > Duration::from_millis(3000) {
            break;
        }
    }
    somebody.execute_batch("ROLLBACK").unwrap();
    drop(somebody);
    let report = recorder.finish().unwrap();
    assert!(report.complete);
    assert_eq!(store::read(&path).unwrap().steps.len() as u64, report.steps);
}

#[test]
fn dropping_a_recorder_writes_what_was_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let recorder = Recorder::create(&path, Limits::default()).unwrap();
    recorder.tell(Event::Step(sample::step(0, 1))).unwrap();
    drop(recorder);
    assert_eq!(store::read(&path).unwrap().steps, [sample::step(0, 1)]);
}
