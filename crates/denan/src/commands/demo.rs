//! `denan demo`: a real training breaks, is explained, is cured.

use crate::args::{Common, CureChoice, DemoArguments, RunArguments};
use crate::cache;
use crate::commands::run;
use crate::demo_data;
use crate::embedded::{self, Embedded};
use crate::error::Error;
use crate::host::Host;
use crate::terminal::Terminal;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Workspace of the demo's programs.
const WORKSPACE_MANIFEST: &str = r#"[workspace]
members = ["denan-burn", "ward"]
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

/// The sick trainings and their twins; stands in for `ward/Cargo.toml`, which inherits from a workspace.
const WARD_MANIFEST: &str = r#"[package]
name = "denan-ward"
version = "0.1.0"
edition = "2024"

[[bin]]
name = "ward"
path = "src/main.rs"

[dependencies]
burn = { version = "=0.22.1", default-features = false, features = ["std", "flex", "autodiff", "optim", "simd", "rayon", "dataset"] }
denan-burn = { path = "../denan-burn" }
"#;

const MANIFESTS: [(&str, &str); 3] = [
    ("Cargo.toml", WORKSPACE_MANIFEST),
    ("denan-burn/Cargo.toml", DENAN_BURN_MANIFEST),
    ("ward/Cargo.toml", WARD_MANIFEST),
];

/// The cause of the detector's break.
const CAUSE_OF_DETECTOR: &str = "degenerate-box";

/// Plays the demo.
pub fn demo(
    arguments: &DemoArguments,
    common: &Common,
    host: &Host,
    terminal: &Terminal,
) -> Result<u8, Error> {
    let case = match arguments.cause.as_deref() {
        None | Some(CAUSE_OF_DETECTOR) => None,
        Some(cause) => Some(case_of(cause)?),
    };
    let programs = programs()?;
    let manifest = |package: &str| programs.join(package).join("Cargo.toml").into_os_string();
    let mut command: Vec<OsString> =
        ["cargo", "run", "--quiet", "--release", "--manifest-path"].map(OsString::from).to_vec();
    // Held until the training and its re-runs are over.
    let mut drawn = None;
    match &case {
        Some(case) => {
            terminal.say(&format!("{}: {}", case.path, case.about));
            terminal.say(&format!("its source is {}", programs.join(case.source).display()));
            command.extend([manifest("ward"), "--".into(), (&case.path).into()]);
        }
        None => {
            let data = match &arguments.data {
                Some(folder) => folder.clone(),
                None => drawn
                    .insert(tempfile::Builder::new().prefix("denan-demo-").tempdir()?)
                    .path()
                    .join("cells"),
            };
            draw(&data, terminal)?;
            terminal.say(&format!("the detector's source is in {}", programs.display()));
            terminal.say("denan run -- cargo run --release --example detector -- DATA --steps 150");
            command.extend([manifest("denan-burn"), "--example".into(), "detector".into(), "--".into()]);
            command.extend([data.into(), "--steps".into(), "150".into()]);
        }
    }
    let arguments = RunArguments {
        cure: CureChoice::Auto,
        record: arguments.record.clone(),
        cure_budget: 600,
        patch: None,
        keep_going: false,
        guard: false,
        state_every: 0.0,
        screen: false,
        command,
    };
    run::run(&arguments, common, host, terminal)
}

fn draw(data: &Path, terminal: &Terminal) -> Result<(), Error> {
    let options = demo_data::Options::default();
    demo_data::generate(data, &options).map_err(|source| Error::File {
        action: "write the demo's data set to",
        path: data.to_owned(),
        source,
        help: "choose an empty folder with --data DIR".to_owned(),
    })?;
    terminal.say(&format!(
        "drew {} images of blood cells with annotations into {}",
        options.images,
        data.display()
    ));
    Ok(())
}

/// A sick training of the ward.
struct Case {
    /// `CAUSE/CASE`.
    path: String,
    /// Its source, below the demo's programs.
    source: &'static str,
    /// What is wrong with it, in one sentence.
    about: &'static str,
}

/// The first case of a cause, or the one that is named as `CAUSE/CASE`.
fn case_of(asked: &str) -> Result<Case, Error> {
    let (cause, name) = asked.split_once('/').unwrap_or((asked, ""));
    let of_cause = || cases().filter(|case| case.path.split_once('/').is_some_and(|(of, _)| of == cause));
    let found = of_cause().find(|case| name.is_empty() || case.path == asked);
    found.ok_or_else(|| {
        let names: Vec<String> = of_cause().map(|case| case.path).collect();
        if !names.is_empty() {
            let what = format!("there is no training `{asked}`");
            return Error::NotSupported { what, help: format!("there are {}", names.join(", ")) };
        }
        if is_of_python(cause) {
            let what = format!("only a PyTorch training can have `{cause}`, and the demo plays burn's");
            return Error::NotSupported {
                what,
                help: format!("denan explain {cause} shows a script that breaks"),
            };
        }
        if denan_diagnose::ids().contains(&cause) {
            let what = format!("there is no demo of `{cause}` yet");
            return Error::NotSupported { what, help: format!("denan explain {cause}") };
        }
        let suggestion = denan_diagnose::closest(cause).map(|id| format!(", did you mean `{id}`?"));
        Error::UnknownCause { id: cause.to_owned(), suggestion: suggestion.unwrap_or_default() }
    })
}

/// Whether a cause's own example is a script, because no other engine can have it.
fn is_of_python(cause: &str) -> bool {
    denan_diagnose::page(cause).is_some_and(|page| page.contains("## An example that breaks\n\n```python\n"))
}

/// The sick trainings that travel inside the binary.
fn cases() -> impl Iterator<Item = Case> {
    let text_of = |path: &str| embedded::DEMO.iter().find(|file| file.path == path).map(|file| file.text);
    embedded::DEMO.iter().filter_map(move |Embedded { path, .. }| {
        let case = path.strip_prefix("ward/")?.strip_suffix("/mod.rs").filter(|case| case.contains('/'))?;
        let about = text_of(&format!("ward/{case}/case.toml"))?
            .lines()
            .find_map(|line| line.strip_prefix("about = \"")?.strip_suffix('"'))?;
        let is_sick = !case.starts_with("healthy/");
        is_sick.then(|| Case { path: case.to_owned(), source: path, about })
    })
}

/// Writes the demo's programs to the cache, if they are not there.
fn programs() -> Result<PathBuf, Error> {
    let beside_sources: Vec<&str> =
        MANIFESTS.iter().map(|(_, manifest)| *manifest).chain([embedded::LOCK]).collect();
    let folder = cache::folder(&format!("demo/{}", embedded::digest(embedded::DEMO, &beside_sources)))?;
    let sources = embedded::DEMO.iter().map(|Embedded { path, text }| (*path, *text));
    let sources = sources.filter(|(path, _)| MANIFESTS.iter().all(|(manifest, _)| manifest != path));
    for (path, text) in MANIFESTS.into_iter().chain(sources) {
        cache::write(&folder.join(path), text)?;
    }
    cache::write_lock(&folder, embedded::LOCK)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_can_be_played_and_its_case_says_what_it_is_about() {
        for cause in denan_diagnose::ids() {
            if is_of_python(cause) {
                let error = case_of(cause).err().expect("the demo plays burn's").to_string();
                assert!(error.contains("PyTorch") && error.contains("denan explain"), "{error}");
                continue;
            }
            let case = case_of(cause).unwrap_or_else(|error| panic!("{cause}: {error}"));
            assert!(case.path.starts_with(cause) && case.about.ends_with('.'), "{}", case.path);
        }
    }

    #[test]
    fn a_training_can_be_asked_for_by_name() {
        let case = case_of("exp-overflow/raw-scores").unwrap();
        assert_eq!(case.source, "ward/exp-overflow/raw-scores/mod.rs");
        let error = case_of("exp-overflow/raw-score").err().unwrap().to_string();
        assert!(error.contains("exp-overflow/raw-scores"), "{error}");
        let error = case_of("exp-overflo").err().unwrap().to_string();
        assert!(error.contains("did you mean `exp-overflow`?"), "{error}");
    }
}
