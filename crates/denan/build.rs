//! Lists the sources that travel inside the binary: the watching device, and the demo's programs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let crates = here.parent().expect("crates/denan has a parent").to_owned();
    let workspace = crates.parent().expect("crates has a parent").to_owned();
    let mut list = String::new();
    constant(
        &mut list,
        "DEVICE",
        "Packages of the watching device.",
        &[
            (crates.join("denan-device/src"), "denan-device/src"),
            (crates.join("denan-record/src"), "denan-record/src"),
            (crates.join("denan-numerics/src"), "denan-numerics/src"),
        ],
    );
    constant(
        &mut list,
        "DEMO",
        "Programs that the demo plays.",
        &[
            (crates.join("denan-burn/src"), "denan-burn/src"),
            (crates.join("denan-burn/examples"), "denan-burn/examples"),
            (workspace.join("ward"), "ward"),
        ],
    );
    let lock = workspace.join("Cargo.lock");
    println!("cargo::rerun-if-changed={}", lock.display());
    writeln!(list, "/// Versions that the demo's programs are built with.\npub const LOCK: &str = include_str!({lock:?});")
        .expect("strings can be written");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("set by cargo")).join("embedded.rs");
    fs::write(out, list).expect("OUT_DIR can be written");
}

fn constant(list: &mut String, name: &str, what: &str, folders: &[(PathBuf, &str)]) {
    writeln!(list, "/// {what}\npub const {name}: &[Embedded] = &[").expect("strings can be written");
    for (folder, below) in folders {
        println!("cargo::rerun-if-changed={}", folder.display());
        let mut files = Vec::new();
        find(folder, &mut files);
        files.sort();
        for file in files {
            let relative = file.strip_prefix(folder).expect("found below the folder");
            let path = Path::new(below).join(relative);
            writeln!(list, "    Embedded {{ path: {path:?}, text: include_str!({file:?}) }},")
                .expect("strings can be written");
        }
    }
    writeln!(list, "];").expect("strings can be written");
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            find(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "toml") {
            files.push(path);
        }
    }
}
