//! The file stays bounded however long the training is.

use crate::sample;
use denan_record::event::Event;
use denan_record::store::{self, Limits, Recorder};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The record and whatever SQLite keeps beside it.
fn bytes_in(folder: &Path) -> u64 {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn a_hundred_thousand_steps_stay_within_a_few_megabytes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let recorder = Recorder::create(&path, Limits::default()).unwrap();
    let mut largest = 0;
    for step in 0..100_000 {
        recorder.tell(Event::Batch(sample::batch(step, 4))).unwrap();
        recorder.tell(Event::Step(sample::step(step, 2))).unwrap();
        recorder.tell(Event::Note("again".into())).unwrap();
        if step % 500 == 0 {
            largest = bytes_in(folder.path()).max(largest);
            // Slow enough for many transactions: most of what is deleted was written before.
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
    let report = recorder.finish().unwrap();
    assert_eq!((report.steps, report.dropped), (100_000, 0));

    // Kept in full, these steps would need more than 60 MB.
    assert!(largest < 10 << 20, "{largest} bytes on the way");
    assert!(bytes_in(folder.path()) < 3 << 20, "{} bytes", bytes_in(folder.path()));

    let run = store::read(&path).unwrap();
    let whole = 99_744..100_000;
    let steps: Vec<u64> = run.steps.iter().map(|step| step.step).collect();
    let expected: BTreeSet<u64> = (0..100_000).step_by(32).chain(whole.clone()).collect();
    assert_eq!(steps, expected.into_iter().collect::<Vec<_>>());
    assert_eq!(run.steps[1], denan_record::model::Step { parameters: vec![], ..sample::step(32, 0) });
    let detailed = run.steps.iter().filter(|step| !step.parameters.is_empty());
    let detailed: Vec<u64> = detailed.map(|step| step.step).collect();
    let expected: BTreeSet<u64> = (0..100_000).step_by(2048).chain(whole.clone()).collect();
    assert_eq!(detailed, expected.into_iter().collect::<Vec<_>>());
    assert!(run.batches.iter().map(|batch| batch.step).eq(whole));
    assert_eq!(run.notes.len(), 1001);
}

#[test]
fn what_led_to_a_break_stays_whole_although_the_training_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let limits = Limits { whole_steps: 8, thinned_steps: 16, ..Limits::default() };
    let recorder = Recorder::create(&path, limits).unwrap();
    for step in 0..2000 {
        recorder.tell(Event::Batch(sample::batch(step, 4))).unwrap();
        if step == 500 {
            let mut found = sample::broken_run().first_break.unwrap();
            found.step = 500;
            recorder.tell(Event::Break(Box::new(found))).unwrap();
        }
        recorder.tell(Event::Step(sample::step(step, 2))).unwrap();
    }
    recorder.finish().unwrap();
    let run = store::read(&path).unwrap();
    let batches: Vec<u64> = run.batches.iter().map(|batch| batch.step).collect();
    assert_eq!(batches, (493..=500).chain(1992..2000).collect::<Vec<_>>());
    let whole = run.steps.iter().filter(|step| (493..=500).contains(&step.step));
    assert!(whole.clone().all(|step| step.parameters.len() == 2));
    assert_eq!(whole.count(), 8);
}
