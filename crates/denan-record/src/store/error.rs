//! What can go wrong with a record.

use rusqlite::ErrorCode;
use std::io;
use std::path::{Path, PathBuf};

/// Why a record could not be written or read.
///
/// The texts fit after "failed to record: " and "failed to read the record: ".
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is something at the path already.
    #[error("`{}` exists already, and a record never overwrites a file", path.display())]
    Exists {
        /// Where the record was to be.
        path: PathBuf,
    },
    /// The path could not be reached.
    #[error("cannot open `{}`: {source}", path.display())]
    Io {
        /// Where the record is or was to be.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is something else, or nothing of it is left.
    #[error("`{}` is not a denan record", path.display())]
    NotARecord {
        /// The file.
        path: PathBuf,
    },
    /// The record was written by a newer denan than this one.
    #[error(
        "`{}` was written by a newer denan: its schema is version {found} and this denan reads up to version {known}; \
         update denan to read it",
        path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// Version of the file.
        found: u32,
        /// Newest version this denan knows, [`SCHEMA_VERSION`](super::SCHEMA_VERSION).
        known: u32,
    },
    /// The file was cut off or altered.
    #[error("`{}` is damaged: {detail}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found in it.
        detail: String,
    },
    /// The disk has no room left.
    #[error("no room left for `{}`", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Anything else that SQLite reports.
    #[error("cannot use `{}`: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The thread that writes is gone without a word, which is a bug in denan.
    #[error("the thread that writes `{}` panicked, which is a bug in denan", path.display())]
    WriterPanicked {
        /// The file.
        path: PathBuf,
    },
    /// No thread could be started.
    #[error("cannot start a thread: {0}")]
    Thread(#[source] io::Error),
}

impl StoreError {
    /// Sorts what SQLite reports into what a user can understand.
    pub(super) fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match &source {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::InvalidColumnName(..)
            | rusqlite::Error::Utf8Error(..) => Self::Damaged { path, detail: source.to_string() },
            rusqlite::Error::SqliteFailure(error, message) => match error.code {
                ErrorCode::NotADatabase => Self::NotARecord { path },
                ErrorCode::DatabaseCorrupt => Self::Damaged { path, detail: source.to_string() },
                // A table or column is missing although the version is one of ours.
                ErrorCode::Unknown if message.as_ref().is_some_and(|text| text.starts_with("no such ")) => {
                    Self::Damaged { path, detail: source.to_string() }
                }
                ErrorCode::DiskFull => Self::Full { path },
                _ => Self::Sqlite { path, source },
            },
            _ => Self::Sqlite { path, source },
        }
    }
}
