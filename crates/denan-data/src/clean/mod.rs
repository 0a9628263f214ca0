//! Writes a copy of a data set, with what checks find left out or repaired, and normalised where that is asked for.
//!
//! First the set is scanned, so that medians and the like are known; then it is gone through for the rows that are left out, since arrays of one
//! length belong together; then each file is written anew, in its own format. Normalising is a second round, with the figures of what the first one
//! wrote. Nothing is there before all of it is: the copy is written beside its place and moved there in the end.

mod archive;
mod arrays;
mod audit;
mod batches;
mod boxes;
mod hdf5;
mod out;
mod repair;
mod rows;
mod text;
mod torch;

pub use audit::Change;
pub use repair::{Action, Actions, Normalise};

use crate::columns::{Options, Part, Sample, WHOLE, copies};
use crate::gone_through::Shard;
use crate::guarded::guarded;
use crate::listing::{self, DataFile, Format};
use crate::scan::{self, Error, Examined, Task};
use audit::Audit;
use denan_finding::clean::CleanResult;
use denan_finding::scan::Normalization;
use repair::{DUPLICATE, Repairs};
use rows::{Drops, RowSet};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// What is cleaned, and how.
#[derive(Clone, Debug)]
pub struct CleanTask<'a> {
    /// Files and folders.
    pub paths: &'a [PathBuf],
    /// Folder for the copy, which is not there yet.
    pub into: &'a Path,
    /// What the data are for.
    pub options: Options,
    /// What is done with what each check finds.
    pub actions: Actions,
    /// Whether columns are normalised.
    pub normalise: Option<Normalise>,
    /// Threads of the scan.
    pub threads: usize,
    /// Whether nothing is written, and only said what would be.
    pub is_dry: bool,
}

/// Cleans a data set into a folder that is not there yet; beside it goes a list of all changes, `FOLDER.audit.jsonl`.
///
/// `progress` is told how many bytes of how many are scanned; `scratch` the folder in which the copy is written until it is whole, which a
/// signal that ends the program would leave behind.
///
/// # Errors
///
/// Where the source cannot be read, the copy not be written, or would lie in the source or over anything.
pub fn clean(
    task: &CleanTask<'_>,
    progress: &(dyn Fn(u64, u64) + Sync),
    scratch: &dyn Fn(&Path),
) -> Result<CleanResult, Error> {
    let place = Place::new(task)?;
    scratch(place.scratch.path());
    let first =
        Round { task, paths: task.paths, normalise: None, is_dry: task.is_dry && task.normalise.is_none() };
    let mut audit = Audit::new(&place.partial_audit, task.is_dry)?;
    let Some(normalise) = task.normalise else {
        let mut result = first.go(&place.partial, &mut audit, progress)?;
        place.settle(task.is_dry, audit, &mut result)?;
        return Ok(result);
    };
    // The figures to normalise with are those of the clean data.
    let mut result = first.go(&place.between, &mut audit, progress)?;
    let between = vec![place.between.clone()];
    let second = Round { task, paths: &between, normalise: Some(normalise), is_dry: task.is_dry };
    let normalised = second.go(&place.partial, &mut audit, &|_, _| ())?;
    result.normalization = normalised.normalization;
    for said in normalised.not_cleaned {
        // Its files are those of the first round, which may have said the same.
        let said = said.strip_prefix(&format!("{}/", place.between.display())).unwrap_or(&said).to_owned();
        if !result.not_cleaned.iter().any(|before| before.ends_with(&said)) {
            result.not_cleaned.push(said);
        }
    }
    place.settle(task.is_dry, audit, &mut result)?;
    Ok(result)
}

/// Where the copy goes; what lies beside it until it is done is removed in any case.
struct Place {
    into: PathBuf,
    audit: PathBuf,
    partial_audit: PathBuf,
    partial: PathBuf,
    between: PathBuf,
    scratch: tempfile::TempDir,
}

impl Place {
    fn new(task: &CleanTask<'_>) -> Result<Self, Error> {
        let bad = |why: String| Err(Error::Place(why));
        let into = std::path::absolute(task.into).map_err(|error| Error::Place(error.to_string()))?;
        let (Some(parent), Some(name)) = (into.parent(), into.file_name()) else {
            return bad(format!("{} is no place for a folder", into.display()));
        };
        if into.exists() {
            return bad(format!("{} is there already; name a folder that is not", into.display()));
        }
        let audit = parent.join(format!("{}.audit.jsonl", name.to_string_lossy()));
        if audit.exists() {
            return bad(format!("{} is there already; move it, or name another folder", audit.display()));
        }
        // As far as the path is there, without links; what is not there yet lies in that.
        let above = into.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"));
        let above =
            above.canonicalize().map_err(|error| Error::Place(format!("{}: {error}", above.display())))?;
        for path in task.paths {
            let source = path.canonicalize().map_err(|source| labels_io(path, source))?;
            if source.is_dir() && above.starts_with(&source) {
                return bad(format!(
                    "{} lies in {}, which is to be cleaned and stays as it is; name a folder elsewhere",
                    into.display(),
                    path.display()
                ));
            }
        }
        fs::create_dir_all(parent).map_err(|error| Error::Place(format!("{}: {error}", parent.display())))?;
        let scratch = tempfile::Builder::new()
            .prefix(&format!(".{}.", name.to_string_lossy()))
            .tempdir_in(parent)
            .map_err(|error| Error::Place(format!("{}: {error}", parent.display())))?;
        let [partial_audit, partial, between] =
            ["audit", "copy", "clean"].map(|name| scratch.path().join(name));
        Ok(Self { into, audit, partial_audit, partial, between, scratch })
    }

    /// Moves the copy to its place.
    fn settle(self, is_dry: bool, audit: Audit, result: &mut CleanResult) -> Result<(), Error> {
        let place = |error: std::io::Error| Error::Place(format!("{}: {error}", self.into.display()));
        audit.close()?;
        if is_dry {
            return Ok(());
        }
        if self.into.exists() {
            return Err(Error::Place(format!("{} has come to be there meanwhile", self.into.display())));
        }
        fs::rename(&self.partial, &self.into).map_err(place)?;
        fs::rename(&self.partial_audit, &self.audit).map_err(place)?;
        result.audit = Some(self.audit.display().to_string());
        result.into = Some(self.into.display().to_string());
        Ok(())
    }
}

fn labels_io(path: &Path, source: std::io::Error) -> Error {
    Error::Labels(crate::labels::Error::Io { path: path.to_owned(), source })
}

/// Once through a data set.
struct Round<'a> {
    task: &'a CleanTask<'a>,
    paths: &'a [PathBuf],
    normalise: Option<Normalise>,
    is_dry: bool,
}

impl Round<'_> {
    fn go(
        &self,
        into: &Path,
        audit: &mut Audit,
        progress: &(dyn Fn(u64, u64) + Sync),
    ) -> Result<CleanResult, Error> {
        let options = Options { most_listed: 0, ..self.task.options.clone() };
        let scan = Task { paths: self.paths, options, threads: self.task.threads, shard: Shard::WHOLE };
        let Examined { files, part, labels, .. } = scan::examine(&scan, progress)?;
        let mut repairs = Repairs::new(&part.tables, &self.task.options, &self.task.actions, self.normalise);
        let copies = match self.task.actions.of(DUPLICATE) {
            Action::Drop => copies(&part.samples, &part.tables).into_iter().map(|(copy, _)| copy).collect(),
            _ => Vec::new(),
        };
        repairs.leave_out(&copies, &files, &part.tables);
        let mut result = CleanResult::default();
        let left_out = self.left_out(&files, &part, &copies);
        let mut drops = Drops::new(&files);
        // What cannot be gone through is copied.
        let mut as_is = BTreeSet::new();
        for (number, file) in files.iter().enumerate().filter(|(number, _)| !left_out.contains_key(number)) {
            if let Err(why) = guarded(|| collect(file, &repairs, &mut drops.of_file(number))) {
                result.not_cleaned.push(format!("{}: {why}", file.path.display()));
                drops.forget(number);
                as_is.insert(number);
            }
        }
        drops.join();
        for number in as_is.iter().filter(|number| drops.rows_of(**number).drops_any()) {
            let file = files[*number].path.display();
            result
                .not_cleaned
                .push(format!("{file}: rows that are left out of the arrays beside it are still in it"));
        }
        let boxes = labels.as_ref().map(|(labels, _)| boxes::Repaired::new(labels, &self.task.actions));
        // A label goes with its image, where it has a file of its own.
        let images_out: BTreeSet<&Path> = left_out.keys().map(|number| &*files[*number].path).collect();
        let labels_out: BTreeSet<&Path> = labels
            .iter()
            .flat_map(|(labels, images)| labels.images.iter().map(move |label| (label, images.of(label))))
            .filter(|(label, image)| {
                let is_out = image.is_some_and(|image| images_out.contains(&*image.path));
                is_out && crate::image_file::extension(&label.file) != "json"
            })
            .map(|(label, _)| &*label.file)
            .collect();
        let numbers: HashMap<&Path, usize> = files.iter().map(|file| &*file.path).zip(0..).collect();
        for path in listing::all_files(self.paths) {
            let target = into.join(relative(self.paths, &path));
            match numbers.get(&*path).copied() {
                Some(number) if left_out.contains_key(&number) => audit.leave_out(&path, left_out[&number]),
                Some(number) => {
                    let own = drops.rows_of(number);
                    let file = &files[number];
                    if file.format == Format::Npy && file.is_sample() && own.drops_any() {
                        audit.leave_out(&path, own.first_check());
                        continue;
                    }
                    let target = (!self.is_dry).then_some(&*target);
                    let written = if as_is.contains(&number) {
                        copy(&path, target)
                    } else {
                        let before = audit.mark();
                        guarded(|| write(Job { file, repairs: &repairs, drops: own, to: target }, audit))
                            .or_else(|why| {
                                match file.format {
                                    // It is read through and through only when it is written.
                                    Format::Hdf5 | Format::Torch => {
                                        audit.go_back(before);
                                        result.not_cleaned.push(format!("{}: {why}", path.display()));
                                        as_is.insert(number);
                                        copy(&path, target)
                                    }
                                    _ => Err(why),
                                }
                            })
                    };
                    written.map_err(|why| Error::Place(format!("{}: {why}", path.display())))?;
                    result.files += 1;
                }
                None if labels_out.contains(&*path) => audit.leave_out(&path, "missing-image"),
                None => {
                    let target = (!self.is_dry).then_some(&*target);
                    let is_label = boxes.as_ref().is_some_and(|boxes| boxes.has(&path));
                    let written = match &boxes {
                        Some(boxes) if is_label => boxes.write(&path, target, audit),
                        _ => copy(&path, target),
                    };
                    written.map_err(|why| Error::Place(format!("{}: {why}", path.display())))?;
                    result.files += 1;
                }
            }
        }
        if self.normalise.is_some() {
            let is_written = |file: usize| is_written(files[file].format) && !as_is.contains(&file);
            result.normalization = normalization(&part, self.normalise, &is_written);
        }
        audit.summary(&mut result);
        Ok(result)
    }

    /// Files that are left out wholly, each with the check that says so.
    fn left_out(&self, files: &[DataFile], part: &Part, copies: &[Sample]) -> BTreeMap<usize, &'static str> {
        let copies = copies.iter().filter(|copy| copy.row == WHOLE);
        let mut out: BTreeMap<_, _> = copies.map(|copy| (copy.file as usize, DUPLICATE)).collect();
        if self.task.actions.of("unreadable-image") == Action::Drop {
            let notes = part.notes.iter().filter(|note| note.check == "unreadable-image");
            // Of an archive only the sample goes.
            let images =
                notes.map(|note| note.file as usize).filter(|file| files[*file].format == Format::Image);
            out.extend(images.map(|file| (file, "unreadable-image")));
        }
        out
    }
}

/// Rows of a file that are left out.
fn collect(file: &DataFile, repairs: &Repairs, drops: &mut rows::OfFile<'_>) -> Result<(), String> {
    match file.format {
        Format::Npy | Format::Npz | Format::Safetensors => arrays::collect(file, repairs, drops),
        Format::Csv | Format::Tsv | Format::JsonLines => text::collect(file, repairs, drops),
        Format::Parquet | Format::Arrow => batches::collect(file, repairs, drops),
        Format::Tar => archive::collect(file, repairs, drops),
        Format::Image => Ok(()),
        Format::Torch => torch::collect(file, repairs, drops),
        Format::Hdf5 => hdf5::collect(file, repairs, drops),
    }
}

/// Whether values of this format are written anew, and not only copied or left out.
fn is_written(format: Format) -> bool {
    !matches!(format, Format::Tar | Format::Image)
}

/// A file that is written anew.
#[derive(Clone, Copy)]
struct Job<'a> {
    file: &'a DataFile,
    repairs: &'a Repairs,
    /// Rows of it that are left out.
    drops: &'a RowSet,
    /// Where it goes; in a dry run nowhere.
    to: Option<&'a Path>,
}

/// Writes a file anew, or only says what would change.
fn write(job: Job<'_>, audit: &mut Audit) -> Result<(), String> {
    match job.file.format {
        Format::Npy | Format::Npz | Format::Safetensors => arrays::write(job, audit),
        Format::Csv | Format::Tsv | Format::JsonLines => text::write(job, audit),
        Format::Parquet | Format::Arrow => batches::write(job, audit),
        Format::Tar => archive::write(job, audit),
        Format::Torch => torch::write(job, audit),
        Format::Hdf5 => hdf5::write(job, audit),
        Format::Image => copy(&job.file.path, job.to),
    }
}

fn copy(from: &Path, to: Option<&Path>) -> Result<(), String> {
    let Some(to) = to else { return Ok(()) };
    create_folder(to)?;
    fs::copy(from, to).map(|_| ()).map_err(|error| error.to_string())
}

fn create_folder(of: &Path) -> Result<(), String> {
    of.parent().map_or(Ok(()), fs::create_dir_all).map_err(|error| error.to_string())
}

/// A new file at a place of the copy.
fn create(at: &Path) -> Result<std::io::BufWriter<fs::File>, String> {
    create_folder(at)?;
    fs::File::create_new(at).map(std::io::BufWriter::new).map_err(|error| error.to_string())
}

/// Where in the copy a file goes: below a folder that was named as it lies in it, a file that was named by its own name.
fn relative(paths: &[PathBuf], file: &Path) -> PathBuf {
    let below = paths.iter().filter_map(|path| {
        let inner = file.strip_prefix(path).ok().filter(|inner| !inner.as_os_str().is_empty())?;
        // Of several folders each keeps its name.
        let name = path.file_name().filter(|_| paths.len() > 1);
        Some(name.map_or_else(|| inner.to_owned(), |name| Path::new(name).join(inner)))
    });
    below
        .min_by_key(|inner| inner.components().count())
        .unwrap_or_else(|| file.file_name().unwrap_or_default().into())
}

fn normalization(
    part: &Part,
    normalise: Option<Normalise>,
    is_written: &dyn Fn(usize) -> bool,
) -> Vec<(String, Normalization)> {
    let tables = part.tables.iter().filter(|table| !table.is_parameter() && is_written(table.file as usize));
    let all = tables.map(|table| {
        let mut of = scan::table_figures(table);
        if normalise == Some(Normalise::Whole) {
            let [mean, std] = repair::whole(table);
            of.normalization = Normalization { mean: vec![mean], std: vec![std] };
        }
        (of.name, of.normalization)
    });
    all.filter(|(_, normalization)| !normalization.mean.is_empty()).collect()
}
