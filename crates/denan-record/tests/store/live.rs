//! Reading while somebody writes, and after the writer was killed.

use crate::sample;
use denan_record::event::Event;
use denan_record::store::{self, Journal, Limits, Recorder};
use rusqlite::Connection;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Set for the child that is to be killed: the path of its record.
const CHILD_RECORD: &str = "DENAN_TEST_CHILD_RECORD";

/// A folder stands where SQLite wants its shared memory, as if the file system had none.
fn without_shared_memory(path: &Path) {
    let mut name = path.as_os_str().to_owned();
    name.push("-shm");
    fs::create_dir(name).unwrap();
}

#[test]
fn a_reader_sees_whole_steps_while_the_training_runs() {
    for journal in [Journal::WriteAhead, Journal::Rollback] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        if journal == Journal::Rollback {
            without_shared_memory(&path);
        }
        let recorder = Recorder::create(&path, Limits::default()).unwrap();
        assert_eq!(recorder.journal(), journal);
        let is_running = AtomicBool::new(true);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let (mut reads, mut different) = (0, 0);
                let mut newest = None;
                while is_running.load(Ordering::Relaxed) {
                    let run = store::read(&path).unwrap();
                    let last = run.steps.last().map(|step| step.step);
                    assert!(last >= newest, "went back from {newest:?} to {last:?}");
                    different += i32::from(last != newest);
                    newest = last;
                    reads += 1;
                    let late = run.steps.iter().rev().take(256);
                    assert!(late.clone().all(|step| step.parameters.len() == 3));
                    assert!(run.steps.windows(2).all(|pair| pair[0].step < pair[1].step));
                }
                (reads, different)
            });
            for step in 0..2000 {
                recorder.tell(Event::Step(sample::step(step, 3))).unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
            is_running.store(false, Ordering::Relaxed);
            let (reads, different) = reader.join().unwrap();
            assert!(reads > 5 && different > 3, "{journal:?}: {reads} reads, {different} states");
        });
        let report = recorder.finish().unwrap();
        assert_eq!((report.steps, report.dropped, report.complete), (2000, 0, true));
        assert_eq!(store::read(&path).unwrap().steps.len(), 2000);
    }
}

/// Not a test by itself: what the child does until it is killed.
#[test]
fn child_that_tells_steps_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD_RECORD) else {
        return;
    };
    let recorder = Recorder::create(Path::new(&path), Limits::default()).unwrap();
    let start = Instant::now();
    for number in 0.. {
        let elapsed_us = start.elapsed().as_micros() as u64;
        recorder
            .tell(Event::Step(denan_record::model::Step { elapsed_us, ..sample::step(number, 3) }))
            .unwrap();
        // Told first, printed then: what was read from the pipe was surely told.
        let mut out = std::io::stdout().lock();
        writeln!(out, "told {elapsed_us}").unwrap();
        out.flush().unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn kill_9_loses_less_than_a_second() {
    for journal in [Journal::WriteAhead, Journal::Rollback] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        if journal == Journal::Rollback {
            without_shared_memory(&path);
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "live::child_that_tells_steps_until_it_is_killed", "--nocapture"])
            .env(CHILD_RECORD, &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut last_told_us = 0u64;
        for line in lines {
            let Ok(line) = line else { break };
            let Some((_, elapsed_us)) = line.split_once("told ") else {
                continue;
            };
            last_told_us = elapsed_us.parse().unwrap();
            if last_told_us > 2_000_000 {
                // SIGKILL on Unix.
                child.kill().unwrap();
                break;
            }
        }
        child.wait().unwrap();

        let run = store::read(&path).unwrap();
        let last = run.steps.last().expect("steps were told for two seconds");
        let lost_us = last_told_us.saturating_sub(last.elapsed_us);
        assert!(lost_us < 1_000_000, "{journal:?}: lost {lost_us} microseconds");
        assert!(last_told_us > 2_000_000 && run.ending.is_none());
        assert!(run.steps.iter().rev().take(256).all(|step| step.parameters.len() == 3));
    }
}

/// The worst moment in rollback mode: half a transaction is in the file, and the journal that
/// takes it back needs a reader that may write.
#[test]
fn a_record_that_was_left_within_a_transaction_reads_as_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let run = sample::broken_run();
    sample::write(&path, &run);

    let killed = folder.path().join("killed.db");
    let mut writer = Connection::open(&path).unwrap();
    writer.execute_batch("PRAGMA cache_size = 1; PRAGMA cache_spill = 1").unwrap();
    let transaction = writer.transaction().unwrap();
    transaction.execute_batch("UPDATE parameter_step SET nan = 99; DELETE FROM step").unwrap();
    fs::copy(&path, &killed).unwrap();
    fs::copy(folder.path().join("a.db-journal"), folder.path().join("killed.db-journal")).unwrap();

    let read_only = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let naive = Connection::open_with_flags(&killed, read_only).unwrap();
    let refusal = naive.query_row("SELECT count(*) FROM step", [], |_| Ok(()));
    assert!(refusal.is_err(), "the way out is not tested if there is no error");
    drop(naive);

    assert_eq!(format!("{:?}", store::read(&killed).unwrap()), format!("{run:?}"));
}

/// A write-ahead log needs files beside the record; where none can be made the record alone is
/// read. Root may write everywhere, so under root this checks the ordinary way only.
#[cfg(unix)]
#[test]
fn a_record_in_a_read_only_folder_can_be_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a b.db");
    let run = sample::broken_run();
    sample::write(&path, &run);
    let read_only = fs::Permissions::from_mode(0o555);
    let writable = fs::Permissions::from_mode(0o755);

    fs::set_permissions(folder.path(), read_only.clone()).unwrap();
    let settled = store::read(&path);
    fs::set_permissions(folder.path(), writable.clone()).unwrap();
    assert_eq!(format!("{:?}", settled.unwrap()), format!("{run:?}"));

    // As if a reader had been in the file at its end.
    Connection::open(&path).unwrap().query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
    fs::set_permissions(folder.path(), read_only).unwrap();
    let unsettled = store::read(&path);
    fs::set_permissions(folder.path(), writable).unwrap();
    assert_eq!(format!("{:?}", unsettled.unwrap()), format!("{run:?}"));
}
