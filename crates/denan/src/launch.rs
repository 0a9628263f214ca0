//! A command that can be started as often as the experiments need.

use crate::error::Error;
use crate::temporary::Temporary;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

/// A program, its arguments, folder and additional environment.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Program as typed, or the path cargo would run.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Folder it starts in; this process's own if `None`.
    pub folder: Option<PathBuf>,
    /// Variables on top of this process's.
    pub environment: Vec<(OsString, OsString)>,
    /// What denan knows of the program's source.
    pub source: Source,
    /// Folder of a copy of the program, kept as long as it may be started.
    #[expect(dead_code, reason = "held for its end, when it removes the folder")]
    pub kept: Option<std::sync::Arc<Temporary>>,
}

/// What denan knows of a program's source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Folder that relative paths in debug information start from.
    pub root: Option<PathBuf>,
    /// Where the build saw that folder, if not there.
    pub built_in: Option<PathBuf>,
    /// Source files that went into the program, when cargo told.
    pub files: Option<Vec<String>>,
    /// Built by denan with the watching device in place.
    pub is_watched: bool,
}

impl Launch {
    /// The command as typed.
    pub fn typed(command: &[OsString]) -> Result<Self, Error> {
        let (program, arguments) = command.split_first().ok_or(Error::NoCommand)?;
        Ok(Self {
            program: program.clone(),
            arguments: arguments.to_vec(),
            folder: None,
            environment: Vec::new(),
            source: Source::default(),
            kept: None,
        })
    }

    /// Ready to be started.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command
    }

    /// As it could be typed.
    pub fn in_words(&self) -> String {
        let words = std::iter::once(&self.program).chain(&self.arguments);
        let quoted = words.map(|word| {
            let word = word.to_string_lossy();
            let is_plain = word.chars().all(|c| c.is_alphanumeric() || "-_./=:+,@".contains(c));
            if is_plain && !word.is_empty() { word.into_owned() } else { format!("'{word}'") }
        });
        quoted.collect::<Vec<_>>().join(" ")
    }

    /// What file names in debug information start with, and what they should: the user's files are
    /// told relative to the root, which [`crate::sources::SourceFiles`] knows.
    pub fn renamed(&self) -> Option<(String, String)> {
        let built_in = self.source.built_in.as_ref()?;
        Some((format!("{}/", built_in.display()), String::new()))
    }

    /// Whether the program is the one of this name, whatever its folder.
    pub fn is(&self, name: &str) -> bool {
        std::path::Path::new(&self.program).file_stem() == Some(OsStr::new(name))
    }
}
