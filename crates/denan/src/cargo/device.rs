//! Puts the watching device where cargo finds it: a package named `burn-flex` beside the real one.
//!
//! The sources of the device travel inside the denan binary. The real burn-flex is copied from
//! the user's own cargo registry, under another name, since cargo admits only one package of a
//! name and version.

use super::FlexPackage;
use crate::cache;
use crate::embedded::{self, Embedded};
use crate::error::Error;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The version of burn whose device this denan can stand in for.
pub const BURN_VERSION: &str = "0.22.1";

/// Folder of the package that takes burn-flex's place.
pub fn prepare(flex: &FlexPackage) -> Result<PathBuf, Error> {
    // A folder of its own, so that another denan does not build it again: it takes longest of all.
    let real = made_once(&format!("real-flex/{}", flex.version), |folder| write_real_flex(flex, folder))?;
    let digest = embedded::digest(embedded::DEVICE, &MANIFESTS.map(|(_, manifest)| manifest));
    let device =
        made_once(&format!("device/{}-{digest}", flex.version), |folder| write_device(folder, &real))?;
    Ok(device.join("denan-device"))
}

/// A folder of the cache, filled unless that has been done before.
fn made_once(name: &str, fill: impl FnOnce(&Path) -> io::Result<()>) -> Result<PathBuf, Error> {
    let folder = cache::folder(name)?;
    let ready = folder.join("ready");
    if !ready.exists() {
        fill(&folder).and_then(|()| fs::write(&ready, "")).map_err(|source| Error::File {
            action: "prepare",
            path: folder.clone(),
            source,
            help: "set DENAN_CACHE to a folder that can be written".to_owned(),
        })?;
    }
    Ok(folder)
}

fn write_real_flex(flex: &FlexPackage, folder: &Path) -> io::Result<()> {
    copy_sources(&flex.folder, folder)?;
    let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
    let manifest = manifest.replacen("name = \"burn-flex\"", "name = \"denan-real-flex\"", 1).replacen(
        "name = \"burn_flex\"",
        "name = \"denan_real_flex\"",
        1,
    );
    fs::write(folder.join("Cargo.toml"), manifest)
}

fn write_device(folder: &Path, real_flex: &Path) -> io::Result<()> {
    for Embedded { path, text } in embedded::DEVICE {
        let at = folder.join(path);
        fs::create_dir_all(at.parent().unwrap_or(folder))?;
        fs::write(at, text)?;
    }
    for (package, manifest) in MANIFESTS {
        let manifest = manifest.replacen("REAL_FLEX", &real_flex.display().to_string(), 1);
        fs::write(folder.join(package).join("Cargo.toml"), manifest)?;
    }
    Ok(())
}

fn copy_sources(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, target) = (entry.file_name(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            if name != "target" && name != "tests" && name != "benches" {
                copy_sources(&entry.path(), &target)?;
            }
        } else if name != ".cargo-ok" && name != "Cargo.lock" {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

// Manifests of the packages as they stand in the cache. They differ from those of the workspace in
// what a workspace gives (versions, lints) and in their names: cargo is to take the device for
// burn-flex, and a lock file admits no two packages of one name and version, should the user's
// program have denan's own crates among its packages.

const MANIFESTS: [(&str, &str); 3] = [
    ("denan-device", DEVICE_MANIFEST),
    ("denan-record", RECORD_MANIFEST),
    ("denan-numerics", NUMERICS_MANIFEST),
];

const DEVICE_MANIFEST: &str = r#"[package]
name = "burn-flex"
version = "0.22.1"
edition = "2024"

[lib]
name = "burn_flex"

[features]
default = ["std", "simd", "rayon"]
std = ["real_flex/std"]
simd = ["real_flex/simd"]
rayon = ["real_flex/rayon"]
x86-v4 = ["real_flex/x86-v4"]
apple-amx = ["real_flex/apple-amx"]
tracing = ["real_flex/tracing"]
critical-section = ["real_flex/critical-section"]
fft = ["real_flex/fft"]

[dependencies]
real_flex = { package = "denan-real-flex", path = 'REAL_FLEX', default-features = false }
burn-backend = { version = "=0.22.1", default-features = false, features = ["std"] }
burn-ir = { version = "=0.22.1", default-features = false, features = ["std"] }
burn-router = { version = "=0.22.1", default-features = false, features = ["std"] }
burn-std = { version = "=0.22.1", default-features = false, features = ["std"] }
backtrace = "0.3.77"
denan-numerics = { package = "denan-device-numerics", path = "../denan-numerics", features = ["serde"] }
denan-record = { package = "denan-device-record", path = "../denan-record" }
half = { version = "2.7", default-features = false, features = ["std"] }
libc = "0.2"
postcard = { version = "1.1", default-features = false, features = ["use-std"] }
rustc-hash = "2"
serde_json = "1"
smallvec = "1"
"#;

const RECORD_MANIFEST: &str = r#"[package]
name = "denan-device-record"
version = "0.1.0"
edition = "2024"

[lib]
name = "denan_record"

[features]
store = []

[dependencies]
denan-numerics = { package = "denan-device-numerics", path = "../denan-numerics", features = ["serde"] }
postcard = { version = "1.1", default-features = false, features = ["use-std"] }
serde = { version = "1", features = ["derive"] }
serde_json = "1"
thiserror = "2"
"#;

const NUMERICS_MANIFEST: &str = r#"[package]
name = "denan-device-numerics"
version = "0.1.0"
edition = "2024"

[lib]
name = "denan_numerics"

[features]
serde = ["dep:serde"]

[dependencies]
half = { version = "2.7", default-features = false, features = ["std"] }
serde = { version = "1", features = ["derive"], optional = true }
thiserror = "2"
"#;
