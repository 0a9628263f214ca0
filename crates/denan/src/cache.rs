//! denan's own folder for things that can be made again.

use crate::error::Error;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

/// A folder below denan's cache, made if need be.
pub fn folder(name: &str) -> Result<PathBuf, Error> {
    let folder = base()?.join(name);
    std::fs::create_dir_all(&folder).map_err(|source| Error::File {
        action: "create",
        path: folder.clone(),
        source,
        help: "set DENAN_CACHE to a folder that can be written".to_owned(),
    })?;
    // cargo and the compiler resolve links in some places and not in others.
    Ok(folder.canonicalize().unwrap_or(folder))
}

/// A folder of the cache that belongs to one workspace.
pub fn folder_for(workspace_root: &Path, name: &str) -> Result<PathBuf, Error> {
    let mut hasher = DefaultHasher::new();
    workspace_root.hash(&mut hasher);
    let readable =
        workspace_root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    folder(&format!("workspaces/{readable}-{:016x}/{name}", hasher.finish()))
}

fn base() -> Result<PathBuf, Error> {
    if let Some(folder) = std::env::var_os("DENAN_CACHE") {
        return Ok(std::path::absolute(folder)?);
    }
    if let Some(folder) = std::env::var_os("XDG_CACHE_HOME") {
        return Ok(PathBuf::from(folder).join("denan"));
    }
    match std::env::home_dir() {
        Some(home) => Ok(home.join(".cache").join("denan")),
        None => Ok(std::env::temp_dir().join("denan-cache")),
    }
}

/// Writes a file of a project that is kept here, unless it is there already as it is to be.
pub fn write(path: &Path, text: &str) -> Result<(), Error> {
    if std::fs::read_to_string(path).ok().as_deref() == Some(text) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, text)).map_err(|source| Error::File {
        action: "write",
        path: path.to_owned(),
        source,
        help: "set DENAN_CACHE to a folder that can be written".to_owned(),
    })
}

/// Writes the versions that such a project was tried with. cargo takes out of them what it does not need, so
/// they are written only once.
pub fn write_lock(folder: &Path, text: &str) -> Result<(), Error> {
    let lock = folder.join("Cargo.lock");
    if lock.exists() { Ok(()) } else { write(&lock, text) }
}
