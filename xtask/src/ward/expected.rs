//! `case.toml`: what denan must find in a training.

use crate::ward::page;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Where the pages of the causes are. Each page's example is a case of its own.
const PAGES: &str = "crates/denan-diagnose/pages";
/// Causes whose examples cannot be such a case: one breaks no training, one breaks some runs only.
const NO_EXAMPLE: [&str; 2] = ["pool-stride", "transient-fault"];
/// What that case is called.
const PAGE_EXAMPLE: &str = "page-example";
/// Folder of the cases that have no sick variant.
const HEALTHY: &str = "healthy";

/// One folder of the ward.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Id of the cause; `healthy` where there is none.
    pub cause: String,
    /// Name of the folder, or `page-example`.
    #[serde(skip)]
    pub name: String,
    /// `ward/CAUSE/CASE/mod.rs`, `…/train.py` or the page, from the workspace's root.
    #[serde(skip)]
    pub source: PathBuf,
    /// What it runs on.
    #[serde(skip)]
    engine: Engine,
    /// What is wrong, in one sentence.
    #[serde(rename = "about")]
    _about: String,
    /// What kind of network it is.
    #[serde(rename = "architecture")]
    _architecture: String,
    /// What must be found in the sick variant.
    pub sick: Option<Sick>,
}

/// What must be found in a sick training.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sick {
    /// Steps it would make if nobody stopped it.
    #[serde(rename = "steps")]
    _steps: u64,
    /// Where it breaks.
    #[serde(rename = "break", default)]
    pub place: Place,
    /// Names of the samples that are to blame, or indices of those without a name; absent where no sample is.
    pub samples: Option<Vec<SampleName>>,
    /// Interventions of which one must survive; absent where none can be asked for.
    pub cure: Option<Vec<String>>,
    /// Text of a note, for what is wrong and breaks no training: then there must be no break.
    pub note: Option<String>,
    /// What must be forecast of a training that ends before it would break: then there must be no break.
    pub forecast: Option<Forecast>,
    /// Checks that are known to miss. They count as missed; the chore fails for others.
    #[serde(default)]
    pub missed: Vec<String>,
    /// Whether only a second run can tell, so that it is made whatever was asked for.
    #[serde(default)]
    pub again: bool,
}

/// A sample by its name, or by its index in the data set.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum SampleName {
    /// Name.
    Name(String),
    /// Index.
    Index(u64),
}

impl std::fmt::Display for SampleName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

/// What a training runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// A program of `denan-ward`.
    #[default]
    Burn,
    /// A script of PyTorch.
    Torch,
}

/// The overflow that is nearest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forecast {
    /// The call that makes it.
    pub op: String,
    /// Its element type.
    pub dtype: String,
    /// First and last step that may be named.
    pub steps: [u64; 2],
}

/// Where a training breaks. What is absent is not compared.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// 0-based optimizer step.
    pub step: Option<u64>,
    /// Phase of the contract.
    pub phase: Option<String>,
    /// Operation of the contract.
    pub op: Option<String>,
    /// Text that the reported line of the case's source must hold.
    pub line_contains: Option<String>,
    /// The parameter that is updated.
    pub parameter: Option<String>,
}

impl Case {
    /// `CAUSE/CASE`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.cause, self.name)
    }

    /// What the training runs on.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// Whether it is a Python script, and no page.
    pub fn is_script(&self) -> bool {
        self.source.extension().is_some_and(|extension| extension == "py")
    }

    /// Whether it is known what cures it.
    pub fn expects_cure(&self) -> bool {
        self.sick.as_ref().is_some_and(|sick| sick.cure.is_some())
    }
}

/// All cases of the workspace, by cause and name.
pub fn read_all(root: &Path) -> Result<Vec<Case>, String> {
    let mut cases = of_pages(&root.join(PAGES))?;
    for cause in folders(&root.join("ward"))? {
        for folder in folders(&cause)? {
            let file = folder.join("case.toml");
            if file.is_file() {
                cases.push(read(&file).map_err(|error| format!("{}: {error}", file.display()))?);
            }
        }
    }
    cases.sort_by_key(Case::path);
    Ok(cases)
}

/// The examples of the pages, of which nothing but the cause is expected.
fn of_pages(folder: &Path) -> Result<Vec<Case>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let pages = entries.flatten().map(|entry| entry.path());
    let pages = pages.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let pages = pages.filter(|path| {
        let id = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        !NO_EXAMPLE.contains(&id.as_str())
    });
    let case = |page: PathBuf| Case {
        engine: if of_python(&page) { Engine::Torch } else { Engine::Burn },
        cause: page.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        name: PAGE_EXAMPLE.to_owned(),
        source: Path::new(PAGES).join(page.file_name().unwrap_or_default()),
        _about: String::new(),
        _architecture: String::new(),
        sick: Some(Sick::default()),
    };
    Ok(pages.map(case).collect())
}

/// Whether a page's example is a script.
fn of_python(page: &Path) -> bool {
    fs::read_to_string(page).is_ok_and(|text| text.contains(page::PYTHON))
}

fn read(file: &Path) -> Result<Case, String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let mut case: Case = toml::from_str(&text).map_err(|error| error.to_string())?;
    let name = |path: Option<&Path>| {
        path.and_then(Path::file_name).unwrap_or_default().to_string_lossy().into_owned()
    };
    let cause = name(file.ancestors().nth(2));
    case.name = name(file.parent());
    let is_script = file.with_file_name("train.py").is_file();
    case.engine = if is_script { Engine::Torch } else { Engine::Burn };
    let source = if is_script { "train.py" } else { "mod.rs" };
    case.source = ["ward", &cause, &case.name, source].iter().collect();
    if case.cause != cause {
        return Err(format!("its cause is `{}`, but it is in the folder `{cause}`", case.cause));
    }
    if case.sick.is_none() != (cause == HEALTHY) {
        return Err(format!("a case has a table [sick] unless it is in the folder `{HEALTHY}`"));
    }
    Ok(case)
}

fn folders(inside: &Path) -> Result<Vec<PathBuf>, String> {
    let entries: io::Result<Vec<PathBuf>> =
        fs::read_dir(inside).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    let mut found = entries.map_err(|error| format!("{}: {error}", inside.display()))?;
    found.retain(|path| path.is_dir());
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_can_be_read_and_names_a_line_of_its_source() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
        let cases = read_all(root).expect("cases");
        assert!(!cases.is_empty());
        for case in cases {
            let source = fs::read_to_string(root.join(&case.source)).expect("a source");
            let line = case.sick.and_then(|sick| sick.place.line_contains);
            if let Some(line) = line {
                assert_eq!(source.matches(&line).count(), 1, "{}: `{line}`", case.source.display());
            }
        }
    }
    /// `cargo fmt` does not find them: their modules are declared by the build script.
    #[test]
    fn every_case_is_formatted() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace");
        let cases = read_all(root).expect("cases");
        let sources = cases.iter().map(|case| &case.source);
        let output = std::process::Command::new("rustfmt")
            .args(["--edition", "2024", "--check"])
            .args(sources.filter(|source| source.extension().is_some_and(|extension| extension == "rs")))
            .current_dir(root)
            .output()
            .expect("rustfmt can be started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
