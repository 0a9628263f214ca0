//! The record as a file: one SQLite database, written while the training runs.
//!
//! A [`Recorder`] takes [`Event`]s and writes them from a thread of its own, so that neither the
//! training nor the process that watches it waits for a disk. [`read`] gives the whole of a
//! record as a [`Run`](crate::model::Run), also while it is being written. [`Limits`] says how
//! much stays on the record: the latest steps in full, older ones thinned out, so the file stays
//! bounded however long the training is.
//!
//! ```
//! use denan_record::event::Event;
//! use denan_record::model::{Ending, Step};
//! use denan_record::store::{self, Limits, Recorder};
//!
//! # fn main() -> Result<(), store::StoreError> {
//! # let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("denan-1.db");
//! let recorder = Recorder::create(&path, Limits::default())?;
//! recorder.tell(Event::Step(Step { step: 0, loss: Some(f64::NAN), ..Step::default() }))?;
//! recorder.tell(Event::Ended(Ending::Completed))?;
//! recorder.finish()?;
//!
//! let run = store::read(&path)?;
//! assert!(run.steps[0].loss.unwrap().is_nan());
//! # Ok(())
//! # }
//! ```
//!
//! What can be relied on:
//! - A recorder never overwrites a file and never fails a training: on its first error it says
//!   so once and turns into something that takes events and does nothing.
//! - What was told is in the file half a second later, so a `kill -9` loses less than a second.
//! - A record of a newer denan is refused with a message that says what to do.
//! - A damaged file is an error, never a panic.
//!
//! The tables are described in `docs/record.md` and in the file itself (`.schema`).

mod cell;
mod error;
mod file;
mod graph;
mod insert;
mod pending;
mod queue;
mod reader;
mod retention;
mod schema;
mod tape;
mod writer;

pub use error::StoreError;
pub use file::Journal;
pub use reader::read;
pub use retention::Limits;
pub use schema::{APPLICATION_ID, SCHEMA_VERSION};
pub use tape::{add_tape, read_tape};
pub use writer::{Recorder, RecorderReport};

use crate::event::Event;
use crate::model::Step;

/// Rows of `parameter_step` that a step makes.
fn parameter_rows(step: &Step) -> usize {
    let quantities = step.parameters.iter().map(|parameter| {
        usize::from(parameter.gradient.is_some())
            + usize::from(parameter.value.is_some())
            + usize::from(parameter.update.is_some())
    });
    quantities.sum()
}

/// Rows that an event makes, roughly: what it weighs in memory and on disk.
fn rows_of(event: &Event) -> usize {
    match event {
        Event::Step(step) => 1 + parameter_rows(step),
        Event::Batch(batch) => 1 + batch.samples.len(),
        Event::Acted(act) => 1 + act.samples.len(),
        _ => 1,
    }
}
