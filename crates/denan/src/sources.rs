//! The user's source files, for the renderer and the patches.

use crate::launch::Source;
use denan_cure::patch::SourceTree;
use denan_finding::render::Sources;
use std::path::{Path, PathBuf};

/// Folders that hold no source of the user's.
const SKIPPED: [&str; 10] = [
    "target",
    ".git",
    "node_modules",
    ".venv",
    "venv",
    "vendor",
    "site-packages",
    "__pycache__",
    ".tox",
    ".eggs",
];
/// What a virtual environment of Python holds at its top, whatever it is called.
const ENVIRONMENT: &str = "pyvenv.cfg";
/// Files that are looked through at most; a larger tree is somebody's whole disk.
const MOST_FILES: usize = 5000;

/// What names of source files end with, in the languages of burn and PyTorch.
const EXTENSIONS: [&str; 2] = ["rs", "py"];

/// Files of the user's program on disk.
pub struct SourceFiles {
    root: PathBuf,
    here: PathBuf,
    files: Option<Vec<String>>,
}

impl SourceFiles {
    /// Files below the program's root, shown relative to the working folder.
    pub fn of(source: &Source) -> Self {
        let here = std::env::current_dir().unwrap_or_default();
        Self { root: source.root.clone().unwrap_or_else(|| here.clone()), here, files: source.files.clone() }
    }

    fn path(&self, file: &str) -> PathBuf {
        let direct = Path::new(file);
        if direct.is_absolute() { direct.to_owned() } else { self.root.join(direct) }
    }

    fn shown(&self, file: &str) -> String {
        let path = self.path(file);
        let relative = path.strip_prefix(&self.here).or_else(|_| path.strip_prefix(&self.root));
        relative.unwrap_or(&path).display().to_string()
    }
}

impl Sources for SourceFiles {
    fn line(&self, file: &str, line: u32) -> Option<String> {
        let text = std::fs::read_to_string(self.path(file)).ok()?;
        text.lines().nth((line as usize).checked_sub(1)?).map(str::to_owned)
    }

    fn show(&self, file: &str) -> String {
        self.shown(file)
    }
}

impl SourceTree for SourceFiles {
    fn read(&self, file: &str) -> Option<String> {
        std::fs::read_to_string(self.path(file)).ok()
    }

    fn files(&self) -> Vec<String> {
        if let Some(files) = &self.files {
            return files.clone();
        }
        let mut found = Vec::new();
        collect(&self.root, &mut found);
        found.sort();
        found
    }

    fn show(&self, file: &str) -> String {
        self.shown(file)
    }
}

fn collect(folder: &Path, found: &mut Vec<String>) {
    if folder.join(ENVIRONMENT).exists() {
        return;
    }
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        if found.len() >= MOST_FILES {
            return;
        }
        if kind.is_dir() && !SKIPPED.iter().any(|skipped| name == *skipped) {
            collect(&path, found);
        } else if kind.is_file()
            && path.extension().is_some_and(|own| EXTENSIONS.iter().any(|known| own == *known))
        {
            found.push(path.display().to_string());
        }
    }
}
