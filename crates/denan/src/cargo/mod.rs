//! `denan run -- cargo run …`: builds the user's program with the watching device in place of burn-flex.
//!
//! Nothing of the user's is touched: the build has a target folder and a lock file of its own. cargo has
//! no stable option for another lock file, so it is given a [`shadow`] of the workspace: the same
//! files by symbolic link, but a `Cargo.lock` that is a copy. cargo then runs, in place of
//! the program, `denan __capture`, which notes what would have been run and in which
//! environment; a copy of that is what every experiment starts again.
//!
//! All workspaces share one target folder, so that burn is built once per set of features and
//! not once per program.

mod built;
mod device;
mod shadow;

use crate::cache;
use crate::error::Error;
use crate::host::Host;
use crate::launch::{Launch, Source};
use crate::temporary::Temporary;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What cargo would have run.
#[derive(serde::Deserialize, serde::Serialize)]
struct Captured {
    program: PathBuf,
    arguments: Vec<String>,
    folder: PathBuf,
    environment: BTreeMap<String, String>,
}

/// `cargo [+TOOLCHAIN] run OPTIONS -- ARGS`, taken apart.
struct CargoRun {
    toolchain: Option<OsString>,
    manifest: Option<PathBuf>,
    rest: Vec<OsString>,
}

/// Builds what `cargo run …` would build, but watched; `None` if the command is neither that nor a program
/// that cargo has built.
pub fn watched(typed: &Launch, host: &Host, say: &dyn Fn(&str)) -> Result<Option<Launch>, Error> {
    let rebuilt = built::as_cargo_run(typed);
    if let Some(rebuilt) = &rebuilt {
        say(&format!(
            "{} has no watching device in it; building it again, with its default features: {}",
            typed.program.display(),
            rebuilt.in_words()
        ));
    }
    let typed = rebuilt.as_ref().unwrap_or(typed);
    if !typed.is("cargo") {
        return Ok(None);
    }
    let Some(run) = CargoRun::parse(&typed.arguments) else { return Ok(None) };
    let metadata = Metadata::read(&run)?;
    let flex = metadata.flex()?;
    let device = device::prepare(&flex)?;
    let shadow = shadow::Shadow::prepare(&metadata.workspace_root, &metadata.local_packages)?;

    let capture = tempfile::NamedTempFile::new()?;
    let denan = host.command()?;
    let mut command = Command::new(&typed.program);
    command.args(&run.toolchain).arg("run");
    for setting in settings(&device, &denan, capture.path(), &metadata) {
        command.arg("--config").arg(setting);
    }
    if let Some(flags) = encoded_flags() {
        command.env("CARGO_ENCODED_RUSTFLAGS", flags);
    }
    command
        .arg("--manifest-path")
        .arg(shadow.path_of(&metadata.manifest))
        .arg("--target-dir")
        .arg(cache::folder("target")?)
        .args(&run.rest);
    say("building the program with denan's watching device (burn is built once; later runs are quick)");
    let status = command.status().map_err(|source| Error::Start { program: "cargo".to_owned(), source })?;
    let text = std::fs::read_to_string(capture.path())?;
    if !status.success() || text.is_empty() {
        return Err(Error::Build {
            help: "if it builds without denan, please report it together with the output of `cargo tree -i burn-flex`"
                .to_owned(),
        });
    }
    let captured: Captured = serde_json::from_str(&text).map_err(|error| Error::Cargo {
        what: "run",
        detail: format!("what it would have run cannot be read: {error}"),
    })?;
    // The next build of a program of this name, from whatever workspace, replaces the original.
    let kept = Temporary::new("denan-program-")?;
    let program = kept.path().join(captured.program.file_name().unwrap_or_default());
    std::fs::copy(&captured.program, &program)?;
    Ok(Some(Launch {
        program: program.into(),
        kept: Some(kept.into()),
        arguments: captured.arguments.into_iter().map(OsString::from).collect(),
        folder: Some(captured.folder),
        environment: captured
            .environment
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        source: Source {
            files: source_files(&captured.program, shadow.root(), &metadata.workspace_root),
            root: Some(metadata.workspace_root),
            built_in: Some(shadow.root().to_owned()),
            is_watched: true,
        },
    }))
}

/// The Rust files of the workspace that went into a program.
fn source_files(program: &Path, built_in: &Path, root: &Path) -> Option<Vec<String>> {
    let files = built::sources(program)?;
    let ours = files.iter().filter_map(|file| file.strip_prefix(built_in).ok());
    Some(ours.map(|relative| root.join(relative).display().to_string()).collect())
}

/// `denan __capture FILE PROGRAM ARGS…`: notes what cargo would have run.
pub fn capture(into: &Path, command: &[OsString]) -> Result<(), Error> {
    let (program, arguments) = command.split_first().ok_or(Error::NoCommand)?;
    let of_cargo =
        |name: &str| name.starts_with("CARGO") || name.ends_with("LIBRARY_PATH") || name == "OUT_DIR";
    let captured = Captured {
        program: program.into(),
        arguments: arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect(),
        folder: std::env::current_dir()?,
        environment: std::env::vars()
            .filter(|(name, _)| of_cargo(name) && name != "CARGO_ENCODED_RUSTFLAGS")
            .collect(),
    };
    std::fs::write(into, serde_json::to_vec(&captured).expect("strings are JSON"))?;
    Ok(())
}

impl CargoRun {
    fn parse(arguments: &[OsString]) -> Option<Self> {
        let mut arguments = arguments.iter().cloned().peekable();
        let toolchain = arguments.next_if(|argument| argument.to_string_lossy().starts_with('+'));
        arguments.next_if(|argument| argument == "run" || argument == "r")?;
        let mut run = Self { toolchain, manifest: None, rest: Vec::new() };
        while let Some(argument) = arguments.next() {
            let text = argument.to_string_lossy();
            if argument == "--" {
                run.rest.push(argument);
                break;
            }
            if argument == "--manifest-path" {
                run.manifest = arguments.next().map(PathBuf::from);
            } else if let Some(path) = text.strip_prefix("--manifest-path=") {
                run.manifest = Some(PathBuf::from(path));
            } else if argument == "--target-dir" {
                arguments.next();
            } else if !text.starts_with("--target-dir=") {
                run.rest.push(argument);
            }
        }
        run.rest.extend(arguments);
        Some(run)
    }
}

/// What `cargo metadata` says of the user's workspace.
struct Metadata {
    workspace_root: PathBuf,
    /// The manifest `cargo run` would look at.
    manifest: PathBuf,
    host: String,
    /// Folders of all packages that are not from a registry.
    local_packages: Vec<PathBuf>,
    packages: Vec<serde_json::Value>,
}

/// burn-flex as the user's program would get it.
pub struct FlexPackage {
    /// Its version.
    pub version: String,
    /// Folder of its source in cargo's registry.
    pub folder: PathBuf,
}

impl Metadata {
    fn read(run: &CargoRun) -> Result<Self, Error> {
        let cargo = |arguments: &[&str]| -> Result<Vec<u8>, Error> {
            let mut command = Command::new("cargo");
            command.args(&run.toolchain).args(arguments);
            if let Some(manifest) = &run.manifest {
                command.arg("--manifest-path").arg(manifest);
            }
            let output = command
                .stderr(Stdio::piped())
                .output()
                .map_err(|source| Error::Start { program: "cargo".to_owned(), source })?;
            if output.status.success() {
                return Ok(output.stdout);
            }
            let detail = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(Error::Cargo {
                what: if arguments[0] == "metadata" { "metadata" } else { "locate-project" },
                detail,
            })
        };
        let broken = |detail: &str| Error::Cargo { what: "metadata", detail: detail.to_owned() };
        let located: serde_json::Value = serde_json::from_slice(&cargo(&["locate-project"])?)
            .map_err(|_| broken("its answer is no JSON"))?;
        let manifest = located["root"].as_str().ok_or_else(|| broken("no manifest found"))?.into();
        let mut metadata: serde_json::Value =
            serde_json::from_slice(&cargo(&["metadata", "--format-version", "1"])?)
                .map_err(|_| broken("its answer is no JSON"))?;
        let packages = match metadata["packages"].take() {
            serde_json::Value::Array(packages) => packages,
            _ => return Err(broken("it lists no packages")),
        };
        let local_packages = packages
            .iter()
            .filter(|package| package["source"].is_null())
            .filter_map(|package| Path::new(package["manifest_path"].as_str()?).parent().map(Path::to_owned))
            .collect();
        Ok(Self {
            workspace_root: metadata["workspace_root"].as_str().ok_or_else(|| broken("no workspace"))?.into(),
            manifest,
            host: host_triple(run)?,
            local_packages,
            packages,
        })
    }

    fn flex(&self) -> Result<FlexPackage, Error> {
        let flex = self.packages.iter().find(|package| package["name"] == "burn-flex").ok_or_else(|| {
            Error::NotSupported {
                what: "this program does not use burn's flex device, the one that denan can watch".to_owned(),
                help: "enable burn's feature `flex` and run on `Device::default()`".to_owned(),
            }
        })?;
        let version = flex["version"].as_str().unwrap_or_default().to_owned();
        if version != device::BURN_VERSION {
            return Err(Error::NotSupported {
                what: format!(
                    "this program uses burn-flex {version}; denan watches {}",
                    device::BURN_VERSION
                ),
                help: format!("cargo update -p burn-flex --precise {}", device::BURN_VERSION),
            });
        }
        let folder =
            flex["manifest_path"].as_str().and_then(|path| Path::new(path).parent()).map(Path::to_owned);
        folder.map(|folder| FlexPackage { version, folder }).ok_or_else(|| Error::Cargo {
            what: "metadata",
            detail: "burn-flex has no source folder".to_owned(),
        })
    }
}

fn host_triple(run: &CargoRun) -> Result<String, Error> {
    let output = Command::new("cargo")
        .args(&run.toolchain)
        .args(["--version", "--verbose"])
        .output()
        .map_err(|source| Error::Start { program: "cargo".to_owned(), source })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or(Error::Cargo { what: "--version", detail: text })
}

/// Settings that put the device in place and keep what watching needs: frame pointers to find
/// call sites cheaply, line tables to name them.
fn settings(device: &Path, denan: &[OsString], capture: &Path, metadata: &Metadata) -> Vec<OsString> {
    let quoted = |path: &Path| format!("'{}'", path.display());
    let denan: Vec<String> = denan.iter().map(|word| quoted(Path::new(word))).collect();
    let denan = denan.join(", ");
    let flags = FLAGS.map(|flag| format!("'{flag}'")).join(", ");
    let mut settings = vec![
        format!("patch.crates-io.burn-flex.path={}", quoted(device)),
        format!("target.{}.runner=[{denan}, '__capture', {}]", metadata.host, quoted(capture)),
        // Line tables alone leave the modules out of inlined functions' names, and with them what burn is doing.
        "profile.release.debug='limited'".to_owned(),
        "profile.dev.debug='limited'".to_owned(),
        "profile.release.strip='none'".to_owned(),
        // A mistake of denan's own must not end the training.
        "profile.release.panic='unwind'".to_owned(),
        "profile.dev.panic='unwind'".to_owned(),
    ];
    // The kernels call nothing of interest, and describing them doubles the time their build takes.
    for profile in ["release", "dev"] {
        settings.extend(KERNELS.map(|kernel| format!("profile.{profile}.package.{kernel}.debug=false")));
    }
    if std::env::var_os("RUSTFLAGS").is_none() && std::env::var_os("CARGO_ENCODED_RUSTFLAGS").is_none() {
        settings.push(format!("build.rustflags=[{flags}]"));
    }
    settings.into_iter().map(OsString::from).collect()
}

/// Packages of numeric kernels below the device.
const KERNELS: [&str; 7] =
    ["denan-real-flex", "gemm-common", "gemm-f16", "gemm-f32", "gemm-f64", "gemm-c32", "gemm-c64"];

/// Keeps frame pointers, by which the device finds call sites cheaply.
const FLAGS: [&str; 1] = ["-Cforce-frame-pointers=yes"];

/// The user's own flags from the environment, with ours behind them; cargo would ignore ours otherwise.
fn encoded_flags() -> Option<OsString> {
    let mut all: Vec<String> = match (std::env::var("CARGO_ENCODED_RUSTFLAGS"), std::env::var("RUSTFLAGS")) {
        (Ok(encoded), _) => encoded.split('\u{1f}').map(str::to_owned).collect(),
        (_, Ok(plain)) => plain.split_whitespace().map(str::to_owned).collect(),
        _ => return None,
    };
    all.retain(|flag| !flag.is_empty());
    all.extend(FLAGS.map(str::to_owned));
    Some(OsStr::new(&all.join("\u{1f}")).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<CargoRun> {
        CargoRun::parse(&text.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn only_cargo_run_is_taken_apart() {
        assert!(parse("build --release").is_none());
        assert!(parse("test").is_none());
        assert!(parse("+stable run").is_some_and(|run| run.toolchain.is_some()));
    }

    #[test]
    fn what_belongs_to_the_training_is_left_alone() {
        let run =
            parse("run --release --manifest-path a/Cargo.toml --target-dir t -- --target-dir x").unwrap();
        assert_eq!(run.manifest.as_deref(), Some(Path::new("a/Cargo.toml")));
        assert_eq!(run.rest, ["--release", "--", "--target-dir", "x"]);
    }
}
