//! A program that cargo has built: the `cargo run` that builds and runs it again.
//!
//! `denan run -- target/release/train data` names a file without the watching device in it. Beside
//! it cargo has left the list of its sources, which lead to its package and to its name there.

use crate::launch::Launch;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The command that builds and runs the typed program again, if cargo built it.
///
/// Features that were not the package's default ones cannot be told.
pub fn as_cargo_run(typed: &Launch) -> Option<Launch> {
    let program = Path::new(&typed.program);
    // A bare name is looked up in PATH: whatever is installed there is not under development here.
    program.parent().filter(|parent| !parent.as_os_str().is_empty())?;
    let program = program.canonicalize().ok()?;
    let output = Output::of(&program)?;
    let sources = sources(&program)?;
    let (manifest, kind) = manifests(&sources).into_iter().find_map(|manifest| {
        let metadata = metadata(&manifest)?;
        package_of(&metadata, output.name, &sources)
    })?;
    let mut arguments: Vec<OsString> = vec!["run".into()];
    match output.profile {
        "debug" => {}
        "release" => arguments.push("--release".into()),
        other => arguments.extend(["--profile".into(), other.into()]),
    }
    arguments.extend(["--manifest-path".into(), manifest.into()]);
    arguments.extend([format!("--{kind}").into(), output.name.into(), "--".into()]);
    arguments.extend(typed.arguments.iter().cloned());
    Some(Launch { program: "cargo".into(), arguments, ..typed.clone() })
}

/// What a path below cargo's target folder says.
struct Output<'a> {
    name: &'a str,
    profile: &'a str,
}

impl<'a> Output<'a> {
    fn of(program: &'a Path) -> Option<Self> {
        let name = program.file_stem()?.to_str()?;
        let folder = program.parent()?;
        let of_profile = if folder.file_name()? == "examples" { folder.parent()? } else { folder };
        // `target/PROFILE`, or `target/TRIPLE/PROFILE`.
        let is_target = |folder: &Path| folder.join(".rustc_info.json").is_file();
        let mut above = of_profile.ancestors().skip(1).take(2);
        above.any(is_target).then_some(())?;
        Some(Self { name, profile: of_profile.file_name()?.to_str()? })
    }
}

/// The Rust files that went into a program, from the list that cargo leaves beside it.
pub(super) fn sources(program: &Path) -> Option<Vec<PathBuf>> {
    let list = std::fs::read_to_string(program.with_extension("d")).ok()?;
    let (_, files) = list.lines().next()?.split_once(": ")?;
    // Spaces within a path are escaped.
    let files = files.replace("\\ ", "\0");
    let files = files.split(' ').filter(|file| file.ends_with(".rs"));
    Some(files.map(|file| PathBuf::from(file.replace('\0', " "))).collect())
}

/// The nearest manifest above each of the files.
fn manifests(sources: &[PathBuf]) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for source in sources {
        let mut above = source.ancestors().skip(1).map(|folder| folder.join("Cargo.toml"));
        let nearest = above.find(|manifest| manifest.is_file());
        found.extend(nearest.filter(|manifest| !found.contains(manifest)));
    }
    found
}

fn metadata(manifest: &Path) -> Option<serde_json::Value> {
    let output = Command::new("cargo")
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(manifest)
        .output()
        .ok()?;
    serde_json::from_slice(&output.stdout).ok()
}

/// Manifest of the package that has a program of this name and one of these sources as its root, and
/// whether it is a `bin` or an `example`.
fn package_of(
    metadata: &serde_json::Value,
    name: &str,
    sources: &[PathBuf],
) -> Option<(PathBuf, &'static str)> {
    metadata["packages"].as_array()?.iter().find_map(|package| {
        let kind = package["targets"].as_array()?.iter().find_map(|target| {
            let root = Path::new(target["src_path"].as_str()?);
            let is_this = target["name"] == name && sources.iter().any(|source| source == root);
            let kinds = target["kind"].as_array()?;
            let kind = ["bin", "example"].into_iter().find(|kind| kinds.iter().any(|known| known == kind));
            kind.filter(|_| is_this)
        })?;
        Some((package["manifest_path"].as_str()?.into(), kind))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A package as cargo leaves it after `cargo build --release --examples`.
    fn package(place: &Path) -> PathBuf {
        let target = place.join("my target");
        fs::create_dir_all(place.join("examples")).unwrap();
        fs::create_dir_all(place.join("src")).unwrap();
        fs::create_dir_all(target.join("release/examples")).unwrap();
        fs::write(place.join("Cargo.toml"), "[package]\nname = \"user\"\nedition = \"2024\"").unwrap();
        fs::write(place.join("src/lib.rs"), "").unwrap();
        fs::write(place.join("examples/train.rs"), "fn main() {}").unwrap();
        fs::write(target.join(".rustc_info.json"), "{}").unwrap();
        let program = target.join("release/examples/train");
        fs::write(&program, "").unwrap();
        let escaped = |path: PathBuf| path.display().to_string().replace(' ', "\\ ");
        let list = format!(
            "{}: {} {}\n",
            escaped(program.clone()),
            escaped(place.join("examples/train.rs")),
            escaped(place.join("src/lib.rs"))
        );
        fs::write(program.with_extension("d"), list).unwrap();
        program
    }

    fn launch(program: &Path) -> Launch {
        Launch::typed(&[program.into(), "--steps".into(), "3".into()]).unwrap()
    }

    #[test]
    fn a_built_example_becomes_the_command_that_builds_it() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        let run = as_cargo_run(&launch(&package(&root))).expect("cargo built it");
        assert_eq!(run.program, "cargo");
        let manifest = root.join("Cargo.toml").display().to_string();
        let expected =
            ["run", "--release", "--manifest-path", &manifest, "--example", "train", "--", "--steps", "3"];
        assert_eq!(run.arguments, expected);
    }

    #[test]
    fn what_cargo_did_not_build_stays_as_it_is() {
        let place = tempfile::tempdir().unwrap();
        let program = package(place.path());
        let elsewhere = place.path().join("train");
        fs::copy(&program, &elsewhere).unwrap();
        assert!(as_cargo_run(&launch(&elsewhere)).is_none(), "not below a target folder");
        fs::remove_file(program.with_extension("d")).unwrap();
        assert!(as_cargo_run(&launch(&program)).is_none(), "no list of sources");
        assert!(as_cargo_run(&launch(Path::new("ls"))).is_none(), "a name in PATH");
    }
}
