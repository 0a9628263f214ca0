//! Finds the cases of the ward: every folder `CAUSE/CASE` that holds a `mod.rs` and a `case.toml`.
//!
//! What it writes is included by `src/main.rs`, so adding a folder adds a case.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let ward = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    println!("cargo::rerun-if-changed={}", ward.display());

    let mut modules = String::new();
    let mut list = String::new();
    for cause in folders(&ward)? {
        for case in folders(&cause)? {
            let source = case.join("mod.rs");
            if !source.is_file() || !case.join("case.toml").is_file() {
                continue;
            }
            let (cause, case) = (name(&cause), name(&case));
            let module = format!("{cause}_{case}").replace('-', "_");
            writeln!(modules, "#[path = {source:?}]\nmod {module};").expect("a string takes text");
            writeln!(list, "    Case {{ cause: {cause:?}, name: {case:?}, train: {module}::train }},")
                .expect("a string takes text");
        }
    }
    let cases = format!("{modules}\nstatic CASES: &[Case] = &[\n{list}];\n");
    fs::write(PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("cases.rs"), cases)
}

/// The folders inside of a folder, by name.
fn folders(inside: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(inside)? {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
