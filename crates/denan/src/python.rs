//! Python trainings: the interpreter they run in, and the package that watches them from inside.
//!
//! The package is on `PYTHONPATH` with a `sitecustomize` of its own, so any Python that the command starts is watched,
//! `torchrun` and its ranks included. What the command does is not changed.

use crate::error::Error;
use crate::host::Host;
use crate::launch::{Launch, Source};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Folder of the package that goes on `PYTHONPATH`.
const INJECTED: &str = "_inject";

/// A command as it is started with the package in place: a script, `-m` and a module, or any other command, whose
/// Pythons are watched wherever the package is known.
///
/// # Errors
/// A script or module is to run, and its Python lacks the package or PyTorch.
pub fn watched(typed: Launch, host: &Host, seed: u64) -> Result<Launch, Error> {
    let is_script = Path::new(&typed.program).extension() == Some(OsStr::new("py"));
    let is_module = typed.program == "-m";
    let named = is_python(&typed.program).then(|| PathBuf::from(&typed.program));
    let interpreter = named.clone().or_else(|| host.python.clone()).or_else(interpreter);
    if !is_script && !is_module && named.is_none() {
        let Some(package) = host.package.clone().or_else(|| package_of(&interpreter?)) else {
            return Ok(typed);
        };
        return Ok(Launch { environment: environment(&package, seed), ..typed });
    }
    let python = interpreter.ok_or_else(|| Error::NotSupported {
        what: "there is no `python3` or `python` on the PATH".to_owned(),
        help: "activate the environment that the training runs in".to_owned(),
    })?;
    let Found { package, has_torch } = Found::of(&python)?;
    let package = host.package.clone().or(package).ok_or_else(|| Error::NotSupported {
        what: format!(
            "{} has no package `denan`, which watches PyTorch trainings from inside",
            python.display()
        ),
        help: format!("{} -m pip install PATH/TO/denan/python", python.display()),
    })?;
    if !has_torch {
        return Err(Error::NotSupported {
            what: format!("{} has no PyTorch", python.display()),
            help: format!("{} -m pip install torch", python.display()),
        });
    }
    let mut arguments = Vec::new();
    if named.is_none() {
        arguments.push(typed.program.clone());
    }
    arguments.extend(typed.arguments.iter().cloned());
    Ok(Launch {
        program: python.into(),
        arguments,
        environment: environment(&package, seed),
        source: Source { is_watched: true, ..typed.source },
        ..typed
    })
}

/// Whether a program is an interpreter of Python: `python`, `python3.12`, `/opt/venv/bin/python`.
fn is_python(program: &OsStr) -> bool {
    let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
    let rest = name.strip_prefix("python");
    rest.is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

/// The interpreter that `python` means here.
pub fn interpreter() -> Option<PathBuf> {
    let of_environment = std::env::var_os("VIRTUAL_ENV").map(|folder| Path::new(&folder).join("bin/python"));
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&folders)
        .flat_map(|folder| ["python3", "python"].map(|name| folder.join(name)))
        .find(|path| path.is_file());
    of_environment.filter(|path| path.is_file()).or(on_path)
}

/// What an interpreter has.
struct Found {
    package: Option<PathBuf>,
    has_torch: bool,
}

impl Found {
    fn of(python: &Path) -> Result<Self, Error> {
        /// Finds without importing, which would take seconds.
        const ASK: &str = "import importlib.util as u\n\
            denan = u.find_spec('denan')\n\
            print(next(iter(denan.submodule_search_locations or ['']), '') if denan else '')\n\
            print(int(u.find_spec('torch') is not None))";
        let output = Command::new(python)
            .args(["-c", ASK])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .map_err(|source| Error::Start { program: python.display().to_string(), source })?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = text.lines();
        let package = lines.next().filter(|line| !line.is_empty()).map(PathBuf::from);
        // A folder that happens to be called denan is not the package.
        let package = package.filter(|folder| folder.join(INJECTED).is_dir());
        Ok(Self { package, has_torch: lines.next() == Some("1") })
    }
}

fn package_of(python: &Path) -> Option<PathBuf> {
    Found::of(python).ok()?.package
}

/// Variables that put the package in place. What depends on the order of hashes repeats itself in every re-run.
fn environment(package: &Path, seed: u64) -> Vec<(OsString, OsString)> {
    let mut folders = vec![package.join(INJECTED)];
    if let Some(given) = std::env::var_os("PYTHONPATH").filter(|given| !given.is_empty()) {
        folders.extend(std::env::split_paths(&given));
    }
    let mut environment = Vec::new();
    if let Ok(path) = std::env::join_paths(folders) {
        environment.push(("PYTHONPATH".into(), path));
    }
    if std::env::var_os("PYTHONHASHSEED").is_none() {
        environment.push(("PYTHONHASHSEED".into(), (seed % (1 << 32)).to_string().into()));
    }
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_known_by_their_name() {
        for (program, is) in [
            ("python", true),
            ("python3", true),
            ("/opt/venv/bin/python3.12", true),
            ("torchrun", false),
            ("pythonic", false),
            ("train.py", false),
        ] {
            assert_eq!(is_python(OsStr::new(program)), is, "{program}");
        }
    }
}
