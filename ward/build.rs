//! Finds the cases of the ward: every folder `CAUSE/CASE` that holds a `mod.rs` and a `case.toml`, and
//! the examples on the pages of the causes.
//!
//! What it writes is included by `src/main.rs`, so adding a folder or a page adds a case.

mod page;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let ward = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    println!("cargo::rerun-if-changed={}", ward.display());
    let mut cases = Cases::default();
    for cause in folders(&ward)? {
        for case in folders(&cause)? {
            let source = case.join("mod.rs");
            if source.is_file() && case.join("case.toml").is_file() {
                cases.add_folder(&name(&cause), &name(&case), &source);
            }
        }
    }
    // The demo takes the ward along without the pages.
    let pages = ward.join("../crates/denan-diagnose/pages");
    if pages.is_dir() {
        println!("cargo::rerun-if-changed={}", pages.display());
        let mut entries = fs::read_dir(&pages)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::path);
        for entry in entries {
            let path = entry.path();
            if path.extension().is_some_and(|extension| extension == "md") {
                let id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let text = fs::read_to_string(&path)?;
                // Examples in Python are none of this program's.
                if let Some(example) = page::Example::read(&text, page::RUST) {
                    cases.add_page(&id, &example, &out)?;
                }
            }
        }
    }
    let Cases { modules, list } = cases;
    fs::write(out.join("cases.rs"), format!("{modules}\nstatic CASES: &[Case] = &[\n{list}];\n"))
}

/// What `src/main.rs` includes.
#[derive(Default)]
struct Cases {
    modules: String,
    list: String,
}

impl Cases {
    fn add_folder(&mut self, cause: &str, case: &str, source: &Path) {
        let module = format!("{cause}_{case}").replace('-', "_");
        self.module(&module, source);
        self.case(cause, case, &format!("{module}::train"));
    }

    /// The example of a page, and the same with the page's change applied.
    fn add_page(&mut self, id: &str, example: &page::Example, out: &Path) -> io::Result<()> {
        let (sick, healthy) = (example.sick.as_str(), example.healthy.as_str());
        let module = format!("page_{}", id.replace('-', "_"));
        for (variant, text) in [("sick", sick), ("healthy", healthy)] {
            let file = out.join(format!("{module}_{variant}.rs"));
            fs::write(&file, text.replace("\nfn main()", "\npub fn main()"))?;
            self.module(&format!("{module}_{variant}"), &file);
        }
        let train =
            format!("|healthy| if healthy {{ {module}_healthy::main() }} else {{ {module}_sick::main() }}");
        self.case(id, "page-example", &train);
        Ok(())
    }

    fn module(&mut self, module: &str, source: &Path) {
        writeln!(self.modules, "#[path = {source:?}]\nmod {module};").expect("a string takes text");
    }

    fn case(&mut self, cause: &str, name: &str, train: &str) {
        writeln!(self.list, "    Case {{ cause: {cause:?}, name: {name:?}, train: {train} }},")
            .expect("a string takes text");
    }
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
