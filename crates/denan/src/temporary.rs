//! Temporary folders that are gone when denan is, whether it comes to its end or a signal (Ctrl-C) ends it.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// How often it is tried to remove a folder, and how long it is waited in between.
const TRIES: u32 = 10;
const BETWEEN_TRIES: Duration = Duration::from_millis(50);

/// The folders that are there.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// A folder, for as long as this is there.
#[derive(Debug)]
pub struct Temporary {
    folder: TempDir,
    path: PathBuf,
}

impl Temporary {
    /// An empty folder whose name begins with `prefix`.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn new(prefix: &str) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix(prefix).tempdir()?;
        let path = folder.path().canonicalize()?;
        goes_with_denan(&path);
        Ok(Self { folder, path })
    }

    /// Its path, without links on the way.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).retain(|path| *path != self.path);
        remove(self.folder.path());
    }
}

/// Has a signal that ends denan remove a folder first, which something else removes otherwise.
pub fn goes_with_denan(folder: &Path) {
    static WATCHED: Once = Once::new();
    WATCHED.call_once(watch_signals);
    FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).push(folder.to_owned());
}

/// Removes a folder. A program that was ended may still be writing; what never goes is the system's to clean up.
fn remove(folder: &Path) {
    for _ in 0..TRIES {
        match std::fs::remove_dir_all(folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => std::thread::sleep(BETWEEN_TRIES),
            _ => return,
        }
    }
}

/// Has the signals that end a program remove the folders first. Those that are ignored stay so (`nohup`).
fn watch_signals() {
    let ignored = std::fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
    let ending = [SIGHUP, SIGINT, SIGTERM].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    // Without it folders stay behind, which is no reason not to run.
    let Ok(mut signals) = Signals::new(ending) else { return };
    let watch = move || {
        for signal in signals.forever() {
            FOLDERS.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|folder| remove(folder));
            // It does not come back: the process ends as it would have.
            if emulate_default_handler(signal).is_err() {
                std::process::exit(128 + signal);
            }
        }
    };
    // Nobody waits for it.
    let _detached = std::thread::Builder::new().name("denan-signals".to_owned()).spawn(watch);
}

/// The mask of ignored signals in Linux's `/proc/PID/status`, signal 1 its lowest bit.
fn ignored(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_there_for_as_long_as_it_is_held() {
        let temporary = Temporary::new("denan-test-").unwrap();
        let path = temporary.path().to_owned();
        std::fs::write(path.join("file"), "content").unwrap();
        drop(temporary);
        assert!(!path.exists());
    }

    #[test]
    fn ignored_signals_are_read_from_the_mask() {
        let status = "Name:\tdenan\nSigBlk:\t0000000000000000\nSigIgn:\t0000000001001001\n";
        assert_eq!(ignored(status) >> (SIGHUP - 1) & 1, 1, "as under nohup");
        assert_eq!(ignored(status) >> (SIGINT - 1) & 1, 0);
        assert_eq!(ignored("Name:\tdenan\n"), 0);
    }
}
