//! The environment of Python in which the package is tested: made once, with PyTorch, below the target folder.
//!
//! `DENAN_PYTHON` names the interpreter of another one that has PyTorch already; the package is installed there as well.
//! `--torch` makes one of its own with that version of PyTorch.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The versions of PyTorch that denan supports.
const SUPPORTED: &str = "torch>=2.4";

/// Tests that run at the same time, each with up to half a gigabyte of PyTorch.
const MOST_AT_A_TIME: usize = 4;

/// Which environment the tests run in, and what pytest is told.
#[derive(Default)]
struct Options {
    /// A version of PyTorch, as in `2.4`.
    torch: Option<String>,
    /// Packages whose tests are skipped where they are missing.
    with: Vec<String>,
    pytest: Vec<String>,
}

impl Options {
    fn parse(options: &[String]) -> Result<Self, String> {
        let mut parsed = Self::default();
        let mut options = options.iter();
        while let Some(option) = options.next() {
            let mut value = || options.next().cloned().ok_or_else(|| format!("{option} needs a value"));
            match option.as_str() {
                "--torch" => parsed.torch = Some(value()?),
                "--with" => parsed.with.extend(value()?.split(',').map(ToOwned::to_owned)),
                _ => parsed.pytest.push(option.clone()),
            }
        }
        Ok(parsed)
    }
}

/// `cargo xtask python`: makes the environment and runs the package's tests in it.
pub fn run(options: &[String]) -> Result<bool, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_owned);
    let options = Options::parse(options)?;
    let python = match &options.torch {
        None => environment(&root)?,
        Some(version) => {
            let python = own(&root, Some(version))?;
            install(&python, &root)?;
            python
        }
    };
    if !options.with.is_empty() {
        let packages: Vec<&str> = options.with.iter().map(String::as_str).collect();
        pip(&python, &packages)?;
    }
    // From the root: in the folder of the package Python would import the sources, which lack the native half.
    let status = Command::new(&python)
        .args(["-m", "pytest", "--quiet", "python/tests"])
        .args(at_a_time(&python))
        .args(&options.pytest)
        // Networks as small as those of the tests are no faster on more.
        .env("OMP_NUM_THREADS", "1")
        .current_dir(&root)
        .status()
        .map_err(|error| format!("{} cannot be started: {error}", python.display()))?;
    Ok(status.success())
}

/// Nearly all of the time goes into scripts that are run one after the other, each on one core.
fn at_a_time(python: &Path) -> Vec<String> {
    let can = Command::new(python).args(["-c", "import xdist"]).stderr(Stdio::null()).status();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MOST_AT_A_TIME);
    let is_worth_it = cores > 1 && can.is_ok_and(|status| status.success());
    // Tests that share a cluster stay together.
    let options = ["-n", &cores.to_string(), "--dist", "loadgroup"].map(ToOwned::to_owned);
    if is_worth_it { options.into() } else { Vec::new() }
}

/// The interpreter of an environment that has PyTorch and the package as it is now.
pub fn environment(root: &Path) -> Result<PathBuf, String> {
    let python = match std::env::var_os("DENAN_PYTHON") {
        Some(python) => PathBuf::from(python),
        None => own(root, None)?,
    };
    install(&python, root)?;
    Ok(python)
}

/// Installs the package as it is now.
fn install(python: &Path, root: &Path) -> Result<(), String> {
    let package = root.join("python");
    pip(python, &["--no-deps", &package.display().to_string()])
}

/// The environment below the target folder; one for each version of PyTorch that is asked for.
fn own(root: &Path, torch: Option<&str>) -> Result<PathBuf, String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let (folder, torch) = match torch {
        None => (target.join("python"), SUPPORTED.to_owned()),
        Some(version) => (target.join(format!("python-{version}")), format!("torch=={version}.*")),
    };
    // Torch 2.4 compiles with setuptools and does not ask for it.
    let requirements = [torch.as_str(), "numpy", "pytest", "pytest-xdist", "setuptools"];
    let python = folder.join("bin/python");
    // Written when everything is there: half an environment is made anew.
    let mark = folder.join("requirements");
    let wanted = requirements.join("\n");
    if std::fs::read_to_string(&mark).is_ok_and(|made| made == wanted) {
        return Ok(python);
    }
    eprintln!("making an environment with PyTorch in {} (once; 5 GB)", folder.display());
    let status = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).status();
    match status {
        Ok(status) if status.success() => {}
        Ok(_) => {
            return Err("python3 -m venv failed: the tests need Python 3.10 or newer with venv".to_owned());
        }
        Err(error) => {
            return Err(format!("python3 cannot be started: {error}; the tests need Python 3.10 or newer"));
        }
    }
    pip(&python, &requirements)?;
    std::fs::write(&mark, wanted).map_err(|error| format!("{}: {error}", mark.display()))?;
    Ok(python)
}

fn pip(python: &Path, what: &[&str]) -> Result<(), String> {
    let status = Command::new(python)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
        .args(what)
        .stdin(Stdio::null())
        .status()
        .map_err(|error| format!("{} cannot be started: {error}", python.display()))?;
    if status.success() { Ok(()) } else { Err(format!("pip install {} failed", what.join(" "))) }
}
