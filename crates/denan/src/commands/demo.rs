//! `denan demo`: a real training breaks, is explained, is cured.

use crate::args::{Common, CureChoice, DemoArguments, RunArguments};
use crate::cache;
use crate::commands::run;
use crate::demo_data;
use crate::embedded::{self, Embedded};
use crate::error::Error;
use crate::terminal::Terminal;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Workspace of the demo's programs.
const WORKSPACE_MANIFEST: &str = r#"[workspace]
members = ["denan-burn"]
resolver = "3"

[profile.release]
debug = "line-tables-only"
"#;

/// The optional calls and the detector.
const DENAN_BURN_MANIFEST: &str = r#"[package]
name = "denan-burn"
version = "0.1.0"
edition = "2024"

[dependencies]
burn = { version = "=0.22.1", default-features = false, features = ["std", "flex", "autodiff", "optim", "simd", "rayon", "dataset"] }
serde_json = "1"

[dev-dependencies]
image = { version = "0.25", default-features = false, features = ["jpeg"] }
quick-xml = { version = "0.42", default-features = false }
thiserror = "2"

[[example]]
name = "detector"
path = "examples/detector/main.rs"
"#;

/// Plays the demo.
pub fn demo(arguments: &DemoArguments, common: &Common, terminal: &Terminal) -> Result<ExitCode, Error> {
    if let Some(cause) = &arguments.cause
        && cause != "degenerate-box"
    {
        let known = denan_diagnose::ids().contains(&cause.as_str());
        return Err(if known {
            Error::NotSupported {
                what: format!("there is no demo of `{cause}` yet"),
                help: format!("denan explain {cause}, or the demo of `degenerate-box`: denan demo"),
            }
        } else {
            let suggestion = denan_diagnose::closest(cause).map(|id| format!(", did you mean `{id}`?"));
            Error::UnknownCause { id: cause.clone(), suggestion: suggestion.unwrap_or_default() }
        });
    }
    let programs = programs()?;
    let kept;
    let data = match &arguments.data {
        Some(folder) => folder.clone(),
        None => {
            kept = tempfile::Builder::new().prefix("denan-demo-").tempdir()?;
            kept.path().join("cells")
        }
    };
    let options = demo_data::Options::default();
    demo_data::generate(&data, &options).map_err(|source| Error::File {
        action: "write the demo's data set to",
        path: data.clone(),
        source,
        help: "choose an empty folder with --data DIR".to_owned(),
    })?;
    terminal.say(&format!(
        "drew {} images of blood cells with annotations into {}",
        options.images,
        data.display()
    ));
    let command = [
        "cargo",
        "run",
        "--quiet",
        "--release",
        "--manifest-path",
        &programs.join("denan-burn/Cargo.toml").to_string_lossy(),
        "--example",
        "detector",
        "--",
        &data.to_string_lossy(),
        "--steps",
        "150",
    ]
    .map(OsString::from);
    terminal.say(&format!("the detector's source is in {}", programs.display()));
    terminal.say("denan run -- cargo run --release --example detector -- DATA --steps 150");
    let arguments = RunArguments {
        cure: CureChoice::Auto,
        record: arguments.record.clone(),
        cure_budget: 600,
        keep_going: false,
        command: command.to_vec(),
    };
    run::run(&arguments, common, terminal)
}

/// Writes the demo's programs to the cache, if they are not there.
fn programs() -> Result<PathBuf, Error> {
    let folder = cache::folder(&format!(
        "demo/{}",
        embedded::digest(embedded::DEMO, &[WORKSPACE_MANIFEST, DENAN_BURN_MANIFEST])
    ))?;
    let write = |path: &Path, text: &str| {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        if std::fs::read_to_string(path).ok().as_deref() == Some(text) {
            return Ok(());
        }
        std::fs::write(path, text)
    };
    let manifests = [("Cargo.toml", WORKSPACE_MANIFEST), ("denan-burn/Cargo.toml", DENAN_BURN_MANIFEST)];
    let sources = embedded::DEMO.iter().map(|Embedded { path, text }| (*path, *text));
    for (path, text) in manifests.into_iter().chain(sources) {
        write(&folder.join(path), text).map_err(|source| Error::File {
            action: "write",
            path: folder.join(path),
            source,
            help: "set DENAN_CACHE to a folder that can be written".to_owned(),
        })?;
    }
    Ok(folder)
}
