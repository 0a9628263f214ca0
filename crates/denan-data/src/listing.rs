//! The files of a data set.

use crate::image_file::{extension, is_image};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Folders deeper than this below a given path are not entered.
const MOST_FOLDERS_DEEP: usize = 64;
/// More kinds of names than this in a folder are no kinds: the names are arbitrary.
const MOST_KINDS: usize = 16;

/// A file that holds arrays, tables or an image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DataFile {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    pub(crate) bytes: u64,
    /// What it is told of under, with those of its kind: `train_x.npy`, `sample_#.npy`.
    pub(crate) group: String,
    /// How many files are of its kind.
    pub(crate) alike: u64,
}

/// A file is one sample where there are as many of its kind.
const SAMPLES: u64 = 4;

impl DataFile {
    /// Whether there are so many of its kind that each is a sample, if its shape lets it be one.
    pub(crate) fn is_sample(&self) -> bool {
        self.alike >= SAMPLES && matches!(self.format, Format::Npy | Format::Tar | Format::Image)
    }
}

/// Formats of data files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Format {
    #[default]
    Npy,
    Npz,
    Safetensors,
    Torch,
    Hdf5,
    Parquet,
    Arrow,
    Csv,
    Tsv,
    JsonLines,
    Tar,
    Image,
}

impl Format {
    /// Its name for people.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Npy => "npy",
            Self::Npz => "npz",
            Self::Safetensors => "safetensors",
            Self::Torch => "PyTorch",
            Self::Hdf5 => "HDF5",
            Self::Parquet => "Parquet",
            Self::Arrow => "Arrow",
            Self::Csv => "CSV",
            Self::Tsv => "TSV",
            Self::JsonLines => "JSON lines",
            Self::Tar => "tar",
            Self::Image => "image",
        }
    }

    /// By the name of a file, `.gz` and `.zst` left out.
    fn of(path: &Path) -> Option<Self> {
        if is_image(path) {
            return Some(Self::Image);
        }
        let stem = if is_compressed(path) { path.file_stem().map(Path::new)? } else { path };
        let is_plain = stem == path;
        Some(match &*extension(stem) {
            "npy" if is_plain => Self::Npy,
            "npz" if is_plain => Self::Npz,
            "safetensors" if is_plain => Self::Safetensors,
            "pt" | "pth" if is_plain => Self::Torch,
            "h5" | "hdf5" | "hdf" | "he5" if is_plain => Self::Hdf5,
            "parquet" | "pq" if is_plain => Self::Parquet,
            "arrow" | "feather" | "ipc" if is_plain => Self::Arrow,
            "csv" => Self::Csv,
            "tsv" | "tab" => Self::Tsv,
            "jsonl" | "ndjson" => Self::JsonLines,
            "tar" => Self::Tar,
            "tgz" if is_plain => Self::Tar,
            _ => return None,
        })
    }
}

/// The format of a data file by its name.
pub(crate) fn format(path: &Path) -> Option<Format> {
    Format::of(path)
}

/// Whether a file goes by the name of a compressed one.
pub(crate) fn is_compressed(path: &Path) -> bool {
    ["gz", "zst"].contains(&&*extension(path))
}

/// The data files in these files and folders, with all folders below; names with a leading dot are left out. Sorted by path, each once.
pub(crate) fn list(paths: &[PathBuf]) -> Vec<DataFile> {
    let mut found = BTreeSet::new();
    let mut entered = BTreeSet::new();
    for path in paths {
        walk(path, 0, &mut entered, &mut found);
    }
    let mut seen = BTreeSet::new();
    let mut files: Vec<DataFile> = found
        .into_iter()
        .filter(|path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())))
        .filter_map(|path| {
            let bytes = path.metadata().map(|metadata| metadata.len()).unwrap_or_default();
            let group = kind(&path);
            Format::of(&path).map(|format| DataFile { path, format, bytes, group, alike: 1 })
        })
        .collect();
    name_groups(&mut files);
    files
}

/// Brings files together that are alike: of one folder and format, their names the same but for digits; or whose names
/// are of so many kinds that they are arbitrary.
fn name_groups(files: &mut [DataFile]) {
    let place = |file: &DataFile| (file.path.parent().map(Path::to_owned), file.format);
    let mut kinds: BTreeMap<_, BTreeMap<String, u64>> = BTreeMap::new();
    for file in &*files {
        *kinds.entry(place(file)).or_default().entry(file.group.clone()).or_default() += 1;
    }
    for file in files {
        let kinds = &kinds[&place(file)];
        if kinds.len() > MOST_KINDS || file.format == Format::Image {
            let folder = file.path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
            file.group =
                if file.format == Format::Image { "images".to_owned() } else { format!("{folder}/*") };
            file.alike = kinds.values().sum();
        } else {
            file.alike = kinds[&file.group];
            let extensions = name(&file.path).strip_prefix(&stem(&file.path)).unwrap_or_default().to_owned();
            let own = if file.alike == 1 { stem(&file.path) } else { std::mem::take(&mut file.group) };
            file.group = own + &extensions;
        }
    }
}

/// The name of a file without its extensions, with `#` for each number.
fn kind(path: &Path) -> String {
    let mut kind = String::new();
    for character in stem(path).chars() {
        if !character.is_ascii_digit() {
            kind.push(character);
        } else if !kind.ends_with('#') {
            kind.push('#');
        }
    }
    kind
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    let stem = if is_compressed(path) { Path::new(stem).file_stem().unwrap_or(stem) } else { stem };
    stem.to_string_lossy().into_owned()
}

/// All files in these files and folders, whatever they hold, sorted; of those with a leading dot as well.
pub(crate) fn all_files(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = BTreeSet::new();
    let mut left: Vec<(PathBuf, usize)> = paths.iter().map(|path| (path.clone(), 0)).collect();
    let mut entered = BTreeSet::new();
    while let Some((path, depth)) = left.pop() {
        let Ok(metadata) = path.metadata() else { continue };
        if metadata.is_file() {
            found.insert(path);
        } else if metadata.is_dir() && depth <= MOST_FOLDERS_DEEP {
            let is_new = path.canonicalize().is_ok_and(|real| entered.insert(real));
            let entries = std::fs::read_dir(&path).into_iter().flatten().flatten();
            left.extend(entries.filter(|_| is_new).map(|entry| (entry.path(), depth + 1)));
        }
    }
    found.into_iter().collect()
}

fn walk(path: &Path, depth: usize, entered: &mut BTreeSet<PathBuf>, found: &mut BTreeSet<PathBuf>) {
    let Ok(metadata) = path.metadata() else { return };
    if metadata.is_file() {
        if Format::of(path).is_some() {
            found.insert(path.to_owned());
        }
        return;
    }
    let Ok(real) = path.canonicalize() else { return };
    if !metadata.is_dir() || depth > MOST_FOLDERS_DEEP || !entered.insert(real) {
        return;
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| !entry.file_name().as_encoded_bytes().starts_with(b"."))
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    entries.iter().for_each(|entry| walk(entry, depth + 1, entered, found));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(names: &[&str]) -> Vec<(String, u64)> {
        let folder = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| std::fs::write(folder.path().join(name), b"").unwrap());
        list(&[folder.path().to_owned()]).into_iter().map(|file| (file.group, file.alike)).collect()
    }

    #[test]
    fn files_are_alike_whose_names_differ_in_numbers() {
        let found =
            groups(&["x_train.npy", "y_train.npy", "part-1.csv.gz", "part-2.csv", "notes.md", ".hidden.npy"]);
        let expected = [("part-#.csv.gz", 2), ("part-#.csv", 2), ("x_train.npy", 1), ("y_train.npy", 1)];
        assert_eq!(found, expected.map(|(group, alike)| (group.to_owned(), alike)));
        let arbitrary: Vec<String> = ('a'..='z').map(|name| format!("{name}.npy")).collect();
        let arbitrary: Vec<&str> = arbitrary.iter().map(String::as_str).collect();
        assert!(groups(&arbitrary).iter().all(|(group, alike)| group.ends_with("/*") && *alike == 26));
    }
}
