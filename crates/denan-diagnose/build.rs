//! Finds the causes: every file of `src/causes`. What it writes is included by `src/causes/mod.rs`.

use std::fmt::Write;
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("src/causes");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = fs::read_dir(&folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()?;
    files.sort();
    let (mut modules, mut list) = (String::new(), String::new());
    for file in files {
        let module = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if module == "mod" || file.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let cause: String = module.split('_').map(capitalised).collect();
        writeln!(modules, "#[path = {:?}]\npub(crate) mod {module};", file.display().to_string())
            .expect("a string takes text");
        writeln!(list, "    &{module}::{cause},").expect("a string takes text");
    }
    let text = format!(
        "{modules}\n/// Every cause, sorted by id.\npub(crate) static CAUSES: &[&dyn crate::cause::Cause] = &[\n{list}];\n"
    );
    fs::write(out.join("causes.rs"), text)
}

fn capitalised(word: &str) -> String {
    let (first, rest) = word.split_at(word.len().min(1));
    first.to_uppercase() + rest
}
