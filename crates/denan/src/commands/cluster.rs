//! The shares of a scan, each gone through by a worker of a Ray or Spark cluster. These speak Python, so the package hands them out.

use crate::args::{Cluster, ScanArguments};
use crate::error::Error;
use crate::host::Host;
use crate::python::interpreter;
use crate::terminal::Terminal;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Whether a cluster is to scan.
pub fn is_asked_for(cluster: &Cluster) -> bool {
    cluster.ray.is_some() || cluster.spark.is_some()
}

/// Has all shares scanned and their states written into a folder; returns the exit code. Where it is not 0, it has been said why.
pub fn scan(
    arguments: &ScanArguments,
    most_listed: u64,
    into: &Path,
    host: &Host,
    terminal: &Terminal,
) -> Result<u8, Error> {
    let Cluster { ray, spark, shards } = &arguments.cluster;
    let python = with_package(host, if ray.is_some() { "ray" } else { "pyspark" })?;
    let mut command = Command::new(&python);
    command.args(["-m", "denan.distributed", "--into"]).arg(into);
    command.args(ray.iter().map(|address| format!("--ray={address}")));
    command.args(spark.iter().map(|master| format!("--spark={master}")));
    command.args(shards.iter().map(|shards| format!("--shards={shards}")));
    let list = format!("--list={most_listed}");
    command.args(arguments.purpose.words().into_iter().chain([list]).map(|word| format!("--option={word}")));
    command.args(terminal.shows_progress().then_some("--tell"));
    // Standard output is the result's.
    command.arg("--").args(&arguments.paths).stdout(std::io::stderr());
    // It ends when its standard input does: with this program, however that ends.
    let mut child = command.stdin(Stdio::piped()).spawn().map_err(|source| not_started(&python, source))?;
    let lifeline = child.stdin.take();
    let status = child.wait()?;
    drop(lifeline);
    Ok(match status.code() {
        Some(0) => 0,
        Some(3) => 3,
        _ => 2,
    })
}

/// The interpreter that has the package, in this version.
fn with_package(host: &Host, cluster: &str) -> Result<PathBuf, Error> {
    /// Python's package and this program are one version.
    const ASK: &str = "import denan.distributed; print(denan.__version__)";
    let version = env!("CARGO_PKG_VERSION");
    let python = host.python.clone().or_else(interpreter).ok_or_else(|| Error::NotSupported {
        what: format!("there is no `python3` or `python` on the PATH, which {cluster} needs"),
        help: format!("install Python, then pip install denan {cluster}"),
    })?;
    let mut ask = Command::new(&python);
    ask.args(["-c", ASK]).stdin(Stdio::null()).stderr(Stdio::null());
    let output = ask.output().map_err(|source| not_started(&python, source))?;
    let found = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && found.trim() == version {
        return Ok(python);
    }
    let found = if output.status.success() {
        format!("denan {}", found.trim())
    } else {
        "no `denan.distributed`".to_owned()
    };
    Err(Error::NotSupported {
        what: format!(
            "{} has {found}, and a cluster is scanned with denan {version} of Python",
            python.display()
        ),
        help: format!("{} -m pip install denan=={version} {cluster}", python.display()),
    })
}

fn not_started(python: &Path, source: std::io::Error) -> Error {
    Error::Start { program: python.display().to_string(), source }
}
