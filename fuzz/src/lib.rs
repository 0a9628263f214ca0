//! What the fuzz targets share: any bytes are a file, and a scan of it ends without a panic.

use denan_data::{Options, Task, scan};
use denan_finding::scan::ScanResult;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tempfile::TempDir;

/// Whose code reads a format.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    /// Denan's: it never panics.
    Own,
    /// A library's, which may; a scan catches that and tells of an unreadable file.
    Library,
}

/// Scans these bytes as a file of this name, which says the format; of labels, beside an image.
pub fn scan_as(name: &str, bytes: &[u8], reader: Reader) {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        // The fuzzer's own hook would end it at a panic that is caught; others still unwind into it, which ends it as well.
        std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
        tempfile::tempdir().expect("there is a folder for temporary files")
    });
    let path = folder.path().join(name);
    std::fs::create_dir_all(path.parent().unwrap_or(folder.path())).expect("a folder can be made");
    std::fs::write(&path, bytes).expect("a temporary file can be written");
    let is_label = Path::new(name).parent().is_some_and(|parent| parent != Path::new(""));
    let paths = [if is_label { folder.path().to_owned() } else { path }];
    if let Some(result) = result(&paths) {
        let failed = result.findings.iter().find(|found| found.message.contains("its reader failed"));
        assert!(reader == Reader::Library || failed.is_none(), "{failed:?}");
    }
}

fn result(paths: &[PathBuf]) -> Option<ScanResult> {
    let options = Options { classes: Some(4), ..Options::default() };
    scan(&Task { options, threads: 1, ..Task::new(paths) }, &|_, _| ()).ok()
}
