//! The environment of Python in which the package is tested: made once, with PyTorch, below the target folder.
//!
//! `DENAN_PYTHON` names the interpreter of another one that has PyTorch already; the package is installed there as well.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the tests need beside the package.
const REQUIREMENTS: [&str; 3] = ["torch>=2.4", "numpy", "pytest"];

/// `cargo xtask python`: makes the environment and runs the package's tests in it.
pub fn run(options: &[String]) -> Result<bool, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_owned);
    let python = environment(&root)?;
    // From the root: in the folder of the package Python would import the sources, which lack the native half.
    let status = Command::new(&python)
        .args(["-m", "pytest", "--quiet", "python/tests"])
        .args(options)
        .current_dir(&root)
        .status()
        .map_err(|error| format!("{} cannot be started: {error}", python.display()))?;
    Ok(status.success())
}

/// The interpreter of an environment that has PyTorch and the package as it is now.
pub fn environment(root: &Path) -> Result<PathBuf, String> {
    let python = match std::env::var_os("DENAN_PYTHON") {
        Some(python) => PathBuf::from(python),
        None => own(root)?,
    };
    let package = root.join("python");
    pip(&python, &["--no-deps", &package.display().to_string()])?;
    Ok(python)
}

/// The environment below the target folder.
fn own(root: &Path) -> Result<PathBuf, String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let folder = target.join("python");
    let python = folder.join("bin/python");
    // Written when everything is there: half an environment is made anew.
    let mark = folder.join("requirements");
    let wanted = REQUIREMENTS.join("\n");
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
    pip(&python, &REQUIREMENTS)?;
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
