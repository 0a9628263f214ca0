//! What carries the program: a binary of its own, or the Python package.

use std::ffi::OsString;
use std::path::PathBuf;

/// What the program knows of what carries it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Interpreter that runs the program, if it is Python's package.
    pub python: Option<PathBuf>,
    /// Folder of that package.
    pub package: Option<PathBuf>,
}

impl Host {
    /// How the program is started once more.
    pub fn command(&self) -> std::io::Result<Vec<OsString>> {
        match &self.python {
            Some(python) => Ok(vec![python.into(), "-m".into(), "denan".into()]),
            None => Ok(vec![std::env::current_exe()?.into()]),
        }
    }
}
