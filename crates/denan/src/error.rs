//! Everything that can go wrong, with its text and its exit code.

use std::path::PathBuf;

/// A failure of denan itself or of how it was called.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `denan run` without a command.
    #[error("no command to run\n  help: denan run -- cargo run --release")]
    NoCommand,
    /// The command could not be started.
    #[error(
        "cannot start {program}: {source}\n  help: type the command as you would without denan; check its name and path"
    )]
    Start {
        /// What was to be started.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A kind of training there is no adapter for yet.
    #[error("{what}\n  help: {help}")]
    NotSupported {
        /// What was asked for.
        what: String,
        /// The way out.
        help: String,
    },
    /// The watched build failed; cargo has said why.
    #[error("the program does not build under denan (cargo's messages are above)\n  help: {help}")]
    Build {
        /// The way out.
        help: String,
    },
    /// cargo answered something unexpected.
    #[error("cargo {what} failed: {detail}")]
    Cargo {
        /// Subcommand.
        what: &'static str,
        /// What it said.
        detail: String,
    },
    /// A file or folder could not be read or written.
    #[error("cannot {action} {path}: {source}\n  help: {help}")]
    File {
        /// `read`, `create`, …
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
        /// The way out.
        help: String,
    },
    /// There is nothing to look at.
    #[error("{what}\n  help: {help}")]
    NothingThere {
        /// What was looked for.
        what: String,
        /// The way out.
        help: String,
    },
    /// There is no such cause.
    #[error("there is no cause `{id}`{suggestion}\n  help: `denan explain` lists all causes")]
    UnknownCause {
        /// What was asked for.
        id: String,
        /// `, did you mean …?` or nothing.
        suggestion: String,
    },
    /// A record could not be read or written.
    #[error("{0}")]
    Record(#[from] denan_record::store::StoreError),
    /// The machine-readable output could not be written, and so on.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl Error {
    /// Whether the program that reads denan's output has ended, as `head` does.
    pub fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }

    /// Every failure of denan is exit code 2, and nothing to look at 3.
    pub fn exit_code(&self) -> u8 {
        if matches!(self, Self::NothingThere { .. }) { 3 } else { 2 }
    }
}
