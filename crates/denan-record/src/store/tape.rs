//! The tape of the breaking step: added to a finished record, read by `denan replay`.

use super::cell::Bits;
use super::error::StoreError;
use super::graph::has_table;
use super::reader::reading;
use crate::tape::Tape;
use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use std::io;
use std::path::Path;
use std::time::Duration;

/// Adds the tape of the breaking step to a record that nobody is writing any more.
///
/// # Errors
/// The file cannot be written, or is no record of this version; it stays as it was.
pub fn add_tape(path: &Path, tape: &Tape) -> Result<(), StoreError> {
    let bytes = postcard::to_stdvec(tape).map_err(|error| StoreError::Io {
        path: path.to_owned(),
        source: io::Error::other(format!("the breaking step cannot be encoded: {error}")),
    })?;
    let add = || -> rusqlite::Result<()> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(Duration::from_secs(2))?;
        db.execute(
            "INSERT OR REPLACE INTO tape VALUES (1, ?1, ?2, ?3)",
            params![Bits(tape.graph.step), tape.engine, bytes],
        )?;
        Ok(())
    };
    add().map_err(|error| StoreError::of(path, error))
}

/// The tape of a record's breaking step, if it has one.
///
/// # Errors
/// As [`read`](super::read); a tape that cannot be read is [`StoreError::Damaged`].
pub fn read_tape(path: &Path) -> Result<Option<Tape>, StoreError> {
    let bytes: Option<Vec<u8>> = reading(path, |db| {
        if !has_table(db, "tape")? {
            return Ok(None);
        }
        db.query_row("SELECT tape FROM tape", [], |row| row.get(0)).optional()
    })?;
    let damaged = |detail: String| StoreError::Damaged { path: path.to_owned(), detail };
    let decoded: Option<Tape> = bytes
        .map(|bytes| postcard::from_bytes(&bytes))
        .transpose()
        .map_err(|error| damaged(format!("its tape cannot be read: {error}")))?;
    match decoded {
        Some(tape) if !tape.is_sound() => {
            Err(damaged("its tape names tensors that are not there".to_owned()))
        }
        decoded => Ok(decoded),
    }
}
