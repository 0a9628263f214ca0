//! Files that are made to do harm, and files that are damaged in any way: an error, in bounded memory and time, and no panic.

mod bombs;
mod changes;
mod headers;
mod memory;

#[allow(dead_code, reason = "the corpus uses all of it")]
#[path = "../corpus/faults.rs"]
mod faults;
#[allow(dead_code, reason = "the corpus uses all of it")]
#[path = "../corpus/make.rs"]
mod make;
#[allow(dead_code, reason = "the corpus uses all of it")]
#[path = "../corpus/write.rs"]
mod write;

use denan_data::{Error, Options, Task, scan};
use denan_finding::scan::ScanResult;
use std::cell::Cell;
use std::panic;
use std::path::Path;
use std::sync::Once;
use std::time::Instant;

/// Bytes that no file may take.
const MOST_MEMORY: usize = 400 << 20;
/// Seconds that no file may take.
const MOST_SECONDS: u64 = 60;

/// What is said where a reader panics, which is caught.
const CAUGHT: &str = "its reader failed";

thread_local! {
    static IS_SCANNING: Cell<bool> = const { Cell::new(false) };
}

/// Scans a path within bounds.
#[track_caller]
fn scan_path(path: &Path, options: &Options) -> Result<ScanResult, Error> {
    scan_within(path, options, MOST_MEMORY)
}

/// Scans a path in so many bytes of memory.
#[track_caller]
fn scan_within(path: &Path, options: &Options, most: usize) -> Result<ScanResult, Error> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        // A panic that is caught is told by the result.
        panic::set_hook(Box::new(move |info| {
            if !IS_SCANNING.get() {
                usual(info);
            }
        }));
    });
    let paths = [path.to_owned()];
    let task = Task { threads: 1, options: options.clone(), ..Task::new(&paths) };
    let begin = Instant::now();
    let (result, bytes) = memory::most_of(|| {
        IS_SCANNING.set(true);
        let result = panic::catch_unwind(|| scan(&task, &|_, _| ()));
        IS_SCANNING.set(false);
        result
    });
    let name = path.file_name().unwrap();
    assert!(bytes < most, "{name:?} took {} MiB", bytes >> 20);
    assert!(begin.elapsed().as_secs() < MOST_SECONDS, "{name:?} took {:?}", begin.elapsed());
    result.unwrap_or_else(|_| panic!("{name:?} made the scan panic"))
}

/// Scans a file of these bytes.
#[track_caller]
fn scan_bytes(name: &str, bytes: &[u8]) -> ScanResult {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    scan_path(&path, &Options::default()).unwrap()
}

/// What is said of a file that cannot be read.
#[track_caller]
fn unreadable(name: &str, bytes: &[u8]) -> String {
    let result = scan_bytes(name, bytes);
    let mut found = result.findings.iter().filter(|found| found.rule.starts_with("unreadable"));
    let message = found.next().map(|found| found.message.to_string());
    let message = message.unwrap_or_else(|| panic!("{name} is read: {:?}", result.tables));
    assert!(!message.contains(CAUGHT), "{name}: its reader panics");
    message
}
