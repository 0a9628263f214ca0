//! The recorder: a thread of its own between what is told and the file.

use super::error::StoreError;
use super::file::{self, Journal};
use super::pending::Pending;
use super::queue::{Put, Queue, Taken};
use super::retention::Limits;
use crate::event::Event;
use rusqlite::{Connection, ErrorCode};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How long an event may wait for its transaction.
///
/// Half of what is promised, so that a slow commit still keeps the promise.
const WRITE_EVERY: Duration = Duration::from_millis(250);

/// How long [`Recorder::tell`] waits for room.
const TELL_PATIENCE: Duration = Duration::from_millis(50);

/// Rows that may wait for the thread, about 20 MB.
const QUEUE_ROWS: usize = 1 << 16;

/// How often the last transaction is tried while somebody else locks the file, two seconds each.
const LAST_TRIES: usize = 5;

/// Writes a record from a thread of its own.
///
/// Dropping it writes what was told, as [`finish`](Self::finish) does, but silently.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    journal: Journal,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecorderReport {
    /// Where the record is.
    pub path: PathBuf,
    /// How it was protected while it was written.
    pub journal: Journal,
    /// Steps that were told, whether or not they are still on the record.
    pub steps: u64,
    /// Events that came faster than the disk could take them and are missing.
    pub dropped: u64,
    /// Whether all events were taken; false after an error that [`Recorder::tell`] returned.
    pub complete: bool,
}

#[derive(Debug)]
struct Shared {
    queue: Queue,
    /// The error that ended the writing, until somebody was told of it.
    error: Mutex<Option<StoreError>>,
    /// Stays true after the error was taken.
    failed: AtomicBool,
    steps: AtomicU64,
    dropped: AtomicU64,
}

impl Recorder {
    /// Makes an empty record at a path where nothing is, and starts to wait for events.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if there is something at the path, otherwise why no file could be
    /// made. Nothing is left behind then.
    pub fn create(path: &Path, limits: Limits) -> Result<Self, StoreError> {
        let (db, journal) = file::create(path, &limits)?;
        let shared = Arc::new(Shared {
            queue: Queue::new(QUEUE_ROWS),
            error: Mutex::new(None),
            failed: AtomicBool::new(false),
            steps: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let writing =
            Writing { path: path.to_owned(), db, pending: Pending::new(limits), shared: Arc::clone(&shared) };
        let thread =
            thread::Builder::new().name("denan-record".into()).spawn(|| writing.run()).map_err(|error| {
                // The connection went with the thread's closure; the file is empty and ours.
                let _ = fs::remove_file(path);
                StoreError::Thread(error)
            })?;
        Ok(Self { path: path.to_owned(), journal, shared, thread: Some(thread) })
    }

    /// How the record is protected while it is written.
    pub fn journal(&self) -> Journal {
        self.journal
    }

    /// Hands an event to the thread that writes. Waits 50 ms at most; a step or batch that finds no room
    /// by then is left out and counted in [`RecorderReport::dropped`].
    ///
    /// # Errors
    /// The writing has failed. This is said once; all later events are taken and ignored.
    pub fn tell(&self, event: Event) -> Result<(), StoreError> {
        let is_step = matches!(event, Event::Step(_));
        match self.shared.queue.put(event, TELL_PATIENCE) {
            Put::Queued => {}
            Put::Dropped => {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            }
            Put::Closed => return self.shared.take_error().map_or(Ok(()), Err),
        }
        self.shared.steps.fetch_add(u64::from(is_step), Ordering::Relaxed);
        Ok(())
    }

    /// Writes what was told and ends the record.
    ///
    /// # Errors
    /// Why the writing failed, if [`tell`](Self::tell) has not said so before. What was written
    /// until then can be read all the same.
    pub fn finish(mut self) -> Result<RecorderReport, StoreError> {
        self.shared.queue.close();
        let Some(thread) = self.thread.take() else { unreachable!("only the end takes the thread") };
        if thread.join().is_err() {
            return Err(StoreError::WriterPanicked { path: self.path.clone() });
        }
        if let Some(error) = self.shared.take_error() {
            return Err(error);
        }
        Ok(RecorderReport {
            path: self.path.clone(),
            journal: self.journal,
            steps: self.shared.steps.load(Ordering::Relaxed),
            dropped: self.shared.dropped.load(Ordering::Relaxed),
            complete: !self.shared.failed.load(Ordering::Relaxed),
        })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.shared.queue.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn take_error(&self) -> Option<StoreError> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn fail(&self, error: StoreError) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        self.failed.store(true, Ordering::Relaxed);
        self.queue.close();
    }
}

/// What the thread owns.
struct Writing {
    path: PathBuf,
    db: Connection,
    pending: Pending,
    shared: Arc<Shared>,
}

impl Writing {
    fn run(mut self) {
        // Also after a panic nobody must wait for this thread.
        let _open = CloseOnDrop(Arc::clone(&self.shared));
        match self.follow() {
            Ok(()) => file::settle(self.db),
            Err(error) => self.shared.fail(StoreError::of(&self.path, error)),
        }
    }

    fn follow(&mut self) -> rusqlite::Result<()> {
        loop {
            let deadline = self.pending.since().map(|since| since + WRITE_EVERY);
            match self.shared.queue.take(deadline) {
                Taken::Events(events) => {
                    for event in events {
                        self.pending.add(event);
                    }
                    let since = self.pending.since();
                    let is_due = since.is_some_and(|since| since.elapsed() >= WRITE_EVERY);
                    if is_due || self.pending.is_urgent() {
                        self.write()?;
                    }
                }
                Taken::End => return self.write_last(),
            }
        }
    }

    /// Writes what is pending, or leaves it for the next time if somebody locks the file.
    fn write(&mut self) -> rusqlite::Result<()> {
        match self.pending.write(&mut self.db) {
            Err(error) if is_busy(&error) => Ok(()),
            written => written,
        }
    }

    fn write_last(&mut self) -> rusqlite::Result<()> {
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        if dropped > 0 {
            let note =
                format!("{dropped} steps or batches came faster than they could be written and are missing");
            self.pending.add(Event::Note(note));
        }
        let mut written = Ok(());
        for _ in 0..LAST_TRIES {
            written = self.pending.write(&mut self.db);
            if !written.as_ref().is_err_and(is_busy) {
                break;
            }
        }
        written
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

struct CloseOnDrop(Arc<Shared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.queue.close();
    }
}
