//! Making and opening the file: journals, locks and the file systems that lack them.
//!
//! No code of this process may open the file past SQLite while a connection is open: closing
//! *any* descriptor of a file drops all POSIX locks that the process holds on it (see "How To
//! Corrupt An SQLite Database File", section 2.2, on sqlite.org).

use super::error::StoreError;
use super::retention::Limits;
use super::schema::{APPLICATION_ID, SCHEMA_VERSION, TABLES};
use rusqlite::{Connection, OpenFlags, TransactionBehavior, ffi};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How a record survives a crash while it is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Journal {
    /// Write-ahead log: readers and the writer do not wait for each other.
    WriteAhead,
    /// Rollback journal, where the file system offers no shared memory (many network file
    /// systems): a reader and the writer wait for each other for moments.
    Rollback,
}

/// How long one side waits for the locks of the other.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);

/// Makes an empty record at a path where nothing is.
pub(super) fn create(path: &Path, limits: &Limits) -> Result<(Connection, Journal), StoreError> {
    // Claims the name atomically; the handle is closed again before SQLite takes its locks.
    match fs::File::create_new(path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(StoreError::Exists { path: path.to_owned() });
        }
        Err(source) => {
            return Err(StoreError::Io { path: path.to_owned(), source });
        }
    }
    let made = lay_out(path, limits, Journal::WriteAhead).or_else(|_| {
        // A file that was half switched to a write-ahead log can only be opened with one.
        empty(path).map_err(|source| StoreError::Io { path: path.to_owned(), source })?;
        lay_out(path, limits, Journal::Rollback).map_err(|error| StoreError::of(path, error))
    });
    if made.is_err() {
        // Ours, and useless; an error here would only hide the first.
        let _ = empty(path).and_then(|()| fs::remove_file(path));
    }
    made
}

fn lay_out(path: &Path, limits: &Limits, wanted: Journal) -> rusqlite::Result<(Connection, Journal)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let path = absolute(path);
    let mut db = match &limits.vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs.as_str())?,
        None => Connection::open_with_flags(path, flags)?,
    };
    db.busy_timeout(LOCK_PATIENCE)?;
    db.pragma_update(None, "page_size", 4096)?;
    if let Some(pages) = limits.largest_pages {
        db.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    // A transaction that spills into the file would keep readers out until it ends.
    db.pragma_update(None, "cache_spill", false)?;
    // Safe against the death of the process; a power cut may cost the last moments, not the file.
    db.pragma_update(None, "synchronous", "NORMAL")?;

    // The tables come first, in the rollback mode that every file starts in: so the main file is a
    // complete record from the beginning, and not an empty file beside a write-ahead log.
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute_batch(TABLES)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()?;

    let journal = match wanted {
        Journal::WriteAhead => switch(&db, "WAL")?,
        Journal::Rollback => Journal::Rollback,
    };
    match journal {
        Journal::WriteAhead => {
            // Only a write shows whether the shared memory really works.
            db.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            let bytes = 4 << 20;
            db.pragma_update_and_check(None, "journal_size_limit", bytes, |_| Ok(()))?;
        }
        // Keeps one journal file instead of making and removing it four times a second.
        Journal::Rollback => {
            switch(&db, "TRUNCATE")?;
        }
    }
    Ok((db, journal))
}

fn switch(db: &Connection, mode: &str) -> rusqlite::Result<Journal> {
    db.pragma_update_and_check(None, "journal_mode", mode, |row| row.get::<_, String>(0)).map(|now| match now
        .as_str()
    {
        "wal" => Journal::WriteAhead,
        _ => Journal::Rollback,
    })
}

/// Ends the writing: leaves one plain file that can be copied and read from a read-only disk.
///
/// While a reader is in the file this is not possible; the record is complete all the same, with a
/// second file beside it until somebody opens it the next time.
pub(super) fn settle(db: Connection) {
    let _ = switch(&db, "DELETE");
    // The connection has nothing left to write, so its close has nothing to report.
    let _ = db.close();
}

/// Opens a record for reading and shows it to `work`, again with other means if need be.
pub(super) fn with_reader<T>(
    path: &Path,
    work: impl Fn(&Connection) -> Result<T, ReadError>,
) -> Result<T, ReadError> {
    let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let attempt = |path: PathBuf, flags| {
        let db = Connection::open_with_flags(path, flags)?;
        db.busy_timeout(LOCK_PATIENCE)?;
        // The file may come from anywhere: its schema must not run functions, and its pages are
        // looked at before they are believed.
        db.pragma_update(None, "trusted_schema", false)?;
        db.pragma_update(None, "cell_size_check", true)?;
        db.pragma_update(None, "query_only", true)?;
        work(&db)
    };
    let first = attempt(absolute(path), read_only);
    match first.as_ref().err().and_then(ReadError::sqlite_code) {
        // The writer was killed within a transaction; taking that back needs a connection that may
        // write. Nothing else is changed by it.
        Some(ffi::SQLITE_READONLY_ROLLBACK) => {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            attempt(absolute(path), flags)
        }
        // A record that ended while a reader was in it still asks for a write-ahead log, and in a
        // folder that cannot be written none can be made. Without one nobody is writing.
        Some(ffi::SQLITE_CANTOPEN | ffi::SQLITE_READONLY_DIRECTORY) if !beside(path, "-wal").exists() => {
            attempt(immutable_uri(path), read_only | OpenFlags::SQLITE_OPEN_URI)
        }
        _ => first,
    }
}

/// What happens between a connection and the one who reads from it.
#[derive(Debug)]
pub(super) enum ReadError {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl ReadError {
    fn sqlite_code(&self) -> Option<i32> {
        match self {
            Self::Sqlite(rusqlite::Error::SqliteFailure(error, _)) => Some(error.extended_code),
            _ => None,
        }
    }
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// The path from the root, because SQLite takes `:memory:` and `file:…` for something else and
/// because the program may change its folder.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn immutable_uri(path: &Path) -> PathBuf {
    let mut uri = String::from("file:");
    for byte in absolute(path).as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' | b'~' => {
                uri.push(char::from(*byte));
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    PathBuf::from(uri)
}

/// A file that SQLite keeps beside the record.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Takes back what was written to a file that we made ourselves.
fn empty(path: &Path) -> io::Result<()> {
    for ending in ["-wal", "-shm", "-journal"] {
        // Mostly there is none, and where something else stands in the way it stays.
        let _ = fs::remove_file(beside(path, ending));
    }
    fs::OpenOptions::new().write(true).open(path)?.set_len(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vfs(name: &str) -> Limits {
        Limits { vfs: Some(name.into()), ..Limits::default() }
    }

    #[test]
    fn a_local_file_gets_a_write_ahead_log_and_ends_as_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let (db, journal) = create(&path, &Limits::default()).unwrap();
        assert_eq!(journal, Journal::WriteAhead);
        settle(db);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn without_shared_memory_the_journal_is_a_rollback_journal() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["unix-dotfile", "unix-none"] {
            let path = folder.path().join(name);
            let (db, journal) = create(&path, &vfs(name)).unwrap();
            assert_eq!(journal, Journal::Rollback, "{name}");
            settle(db);
        }
    }

    #[test]
    fn when_the_log_fails_at_the_first_write_the_file_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        // Stands where SQLite wants its shared memory.
        fs::create_dir(beside(&path, "-shm")).unwrap();
        assert!(lay_out_at_new_file(&path).is_err(), "the way out is not tested if there is no error");
        fs::remove_file(&path).unwrap();
        let (db, journal) = create(&path, &Limits::default()).unwrap();
        assert_eq!(journal, Journal::Rollback);
        db.execute("INSERT INTO note (text) VALUES ('x')", []).unwrap();
        settle(db);
    }

    fn lay_out_at_new_file(path: &Path) -> rusqlite::Result<(Connection, Journal)> {
        fs::File::create_new(path).unwrap();
        lay_out(path, &Limits::default(), Journal::WriteAhead)
    }

    #[test]
    fn nothing_is_left_of_a_record_that_could_not_be_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let limits = Limits { largest_pages: Some(2), ..Limits::default() };
        assert!(matches!(create(&path, &limits), Err(StoreError::Full { .. })));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn names_that_mean_something_to_sqlite_are_just_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in [":memory:", "file:a?mode=memory", "a b%41#?.db"] {
            let path = folder.path().join(name);
            let (db, _) = create(&path, &Limits::default()).unwrap();
            settle(db);
            assert!(fs::metadata(&path).unwrap().len() > 0, "{name}");
            let uri = immutable_uri(&path);
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            let db = Connection::open_with_flags(uri, flags).unwrap();
            db.query_row("SELECT count(*) FROM note", [], |_| Ok(())).unwrap();
        }
    }
}
