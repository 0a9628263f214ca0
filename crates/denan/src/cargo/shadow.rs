//! A workspace with the same files by symbolic link and a lock file of its own.

use crate::cache;
use crate::error::Error;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// A shadow of a workspace, at the same path below a folder of denan's.
///
/// Keeping the path keeps `path = "../other"` dependencies in place: packages outside of the
/// workspace are linked at their own paths below the same folder.
pub struct Shadow {
    below: PathBuf,
    root: PathBuf,
}

impl Shadow {
    /// Makes or renews the shadow of a workspace.
    pub fn prepare(workspace_root: &Path, packages: &[PathBuf]) -> Result<Self, Error> {
        let below = cache::folder_for(workspace_root, "shadow")?;
        let shadow = Self { root: below_path(&below, workspace_root), below };
        shadow.link_all(workspace_root, packages).map_err(|source| Error::File {
            action: "prepare",
            path: shadow.root.clone(),
            source,
            help: "set DENAN_CACHE to a folder that can be written and holds symbolic links".to_owned(),
        })?;
        Ok(shadow)
    }

    /// The shadow's workspace root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where a file of the workspace is in the shadow.
    pub fn path_of(&self, file: &Path) -> PathBuf {
        below_path(&self.below, file)
    }

    fn link_all(&self, workspace_root: &Path, packages: &[PathBuf]) -> io::Result<()> {
        fs::create_dir_all(&self.root)?;
        for old in fs::read_dir(&self.root)? {
            let old = old?;
            if old.file_type()?.is_symlink() {
                fs::remove_file(old.path())?;
            }
        }
        for entry in fs::read_dir(workspace_root)? {
            let name = entry?.file_name();
            if name != "Cargo.lock" && name != "target" {
                link(&workspace_root.join(&name), &self.root.join(&name))?;
            }
        }
        self.renew_lock(workspace_root)?;
        for package in packages.iter().filter(|package| !package.starts_with(workspace_root)) {
            let at = self.path_of(package);
            if let Some(parent) = at.parent() {
                fs::create_dir_all(parent)?;
            }
            if fs::symlink_metadata(&at).is_err() {
                link(package, &at)?;
            }
        }
        Ok(())
    }

    /// Starts from the user's lock file whenever that changed; keeps cargo's additions otherwise.
    fn renew_lock(&self, workspace_root: &Path) -> io::Result<()> {
        let (lock, seen) = (self.root.join("Cargo.lock"), self.below.join("user-Cargo.lock"));
        let users = match fs::read(workspace_root.join("Cargo.lock")) {
            Ok(users) => users,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if fs::read(&seen).ok().as_ref() != Some(&users) || !lock.exists() {
            fs::write(&lock, &users)?;
            fs::write(&seen, &users)?;
        }
        Ok(())
    }
}

fn below_path(below: &Path, path: &Path) -> PathBuf {
    let parts = path.components().filter(|part| matches!(part, Component::Normal(_)));
    parts.fold(below.to_owned(), |path, part| path.join(part))
}

#[cfg(unix)]
fn link(original: &Path, at: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(original, at)
}

#[cfg(not(unix))]
fn link(original: &Path, at: &Path) -> io::Result<()> {
    if original.is_dir() {
        std::os::windows::fs::symlink_dir(original, at)
    } else {
        std::os::windows::fs::symlink_file(original, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shadow_has_the_files_but_its_own_lock() {
        let place = tempfile::tempdir().unwrap();
        let workspace = place.path().join("user");
        fs::create_dir_all(workspace.join("src")).unwrap();
        fs::write(workspace.join("Cargo.toml"), "[package]").unwrap();
        fs::write(workspace.join("Cargo.lock"), "lock").unwrap();
        let below = place.path().join("below");
        let shadow = Shadow { root: below_path(&below, &workspace), below };
        fs::create_dir_all(&shadow.below).unwrap();
        for _ in 0..2 {
            shadow.link_all(&workspace, &[]).unwrap();
            assert_eq!(fs::read_to_string(shadow.root().join("Cargo.toml")).unwrap(), "[package]");
        }
        fs::write(shadow.root().join("Cargo.lock"), "changed by cargo").unwrap();
        shadow.link_all(&workspace, &[]).unwrap();
        assert_eq!(fs::read_to_string(shadow.root().join("Cargo.lock")).unwrap(), "changed by cargo");
        assert_eq!(
            fs::read_to_string(workspace.join("Cargo.lock")).unwrap(),
            "lock",
            "the user's own is left alone"
        );
        fs::write(workspace.join("Cargo.lock"), "lock 2").unwrap();
        shadow.link_all(&workspace, &[]).unwrap();
        assert_eq!(fs::read_to_string(shadow.root().join("Cargo.lock")).unwrap(), "lock 2");
    }
}
