//! Goes through a data set with every check.

use crate::checks::{
    FILE_CHECKS, Found, Identity, LABEL_CHECKS, Looked, NEAR_ONE, NEAR_ZERO, TABLE_CHECKS, Tables,
    VALUE_CHECKS,
};
use crate::columns::{Classes, Column, Hit, Operation, Options, Part, Shape, Table};
use crate::gone_through::{GoneThrough, Shard};
use crate::images::Images;
use crate::labels::{self, LabelSet};
use crate::listing::{self, DataFile};
use denan_finding::scan::{
    ClassCount, ColumnFigures, Normalization, RuleCount, ScanFinding, ScanResult, TableFigures, Value,
};
use serde::{Deserialize, Serialize};
use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Why a data set could not be gone through. The texts stand alone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Labels could not be read at all.
    #[error(transparent)]
    Labels(#[from] labels::Error),
    /// There is nothing that denan reads.
    #[error(
        "{0} holds no data that denan reads: labels (Pascal VOC, COCO, YOLO), images (JPEG, PNG, WebP, BMP, TIFF, GIF), arrays \
         (npy, npz, safetensors, HDF5, pt) or tables (CSV, TSV, JSON lines, Parquet, Arrow, tar)"
    )]
    NothingThere(String),
    /// A place that cannot be written to, or must not be.
    #[error("{0}")]
    Place(String),
    /// States that do not make one scan.
    #[error("{0}")]
    States(String),
}

/// What of a data set is gone through, and how.
#[derive(Clone, Debug)]
pub struct Task<'a> {
    /// Files and folders.
    pub paths: &'a [PathBuf],
    /// What the data are for.
    pub options: Options,
    /// Threads.
    pub threads: usize,
    /// The share that is gone through.
    pub shard: Shard,
}

impl<'a> Task<'a> {
    /// All of these files and folders, on all cores, for a training in float32.
    pub fn new(paths: &'a [PathBuf]) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, Into::into);
        Self { paths, options: Options::default(), threads, shard: Shard::WHOLE }
    }
}

/// What is known of a share of a data set: shares that together are all of it make a [`ScanResult`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// What wrote it.
    version: String,
    options: Options,
    shards: u64,
    done: BTreeSet<u64>,
    /// The files, of all shares.
    files: Vec<Listed>,
    gone: GoneThrough,
    /// What the labels say; the first share has it.
    labels: Option<OfLabels>,
}

/// A file as it is told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Listed {
    name: String,
    format: String,
    bytes: u64,
}

/// What the labels and the headers of their images say.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct OfLabels {
    format: String,
    samples: u64,
    boxes: u64,
    images: u64,
    classes: Vec<(String, u64)>,
    unchecked: Vec<u8>,
    /// What each check has found.
    found: Vec<(u8, Found)>,
}

/// What is wrong with the data in these files and folders.
///
/// Images of labels are looked for in the folders of the labels and, where there are none, in those beside them that are called as
/// folders of images are (`JPEGImages`, `images`, `train2017`, …). Where there are none, the checks that need them are left out, which the result
/// says. `progress` is told how many bytes of how many are done.
///
/// # Errors
///
/// Where a path cannot be reached, or nothing in them is read.
pub fn scan(task: &Task<'_>, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<ScanResult, Error> {
    scan_shard(task, progress)?.result()
}

/// What is known of the share of a shard, for [`merge`].
///
/// # Errors
///
/// As of [`scan`].
pub fn scan_shard(task: &Task<'_>, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<State, Error> {
    let Gone { files, gone, labels } = go_through(task, progress)?;
    let labels = labels.filter(|_| task.shard.number == 0);
    Ok(State {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        options: task.options.clone(),
        shards: task.shard.count,
        done: [task.shard.number].into(),
        files: files.iter().map(listed).collect(),
        gone,
        labels: labels.map(|(labels, images)| of_labels(&labels, &images)),
    })
}

/// What has been gone through of a data set.
struct Gone {
    files: Vec<DataFile>,
    gone: GoneThrough,
    labels: Option<(LabelSet, Images)>,
}

fn go_through(task: &Task<'_>, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Gone, Error> {
    let mut files = listing::list(task.paths);
    let labels = labels_in(task.paths, files.is_empty())?;
    let labels = labels.map(|labels| (labels, Images::of_labels(task.paths)));
    if let Some((_, images)) = &labels {
        let beside: Vec<PathBuf> = images.all().iter().map(|image| image.path.clone()).collect();
        let all: Vec<PathBuf> = task.paths.iter().cloned().chain(beside).collect();
        files = listing::list(&all);
    }
    let total = files.iter().map(|file| file.bytes).sum();
    let done = std::sync::atomic::AtomicU64::new(0);
    let tell = |bytes: u64| {
        progress(done.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed) + bytes, total);
    };
    let gone = GoneThrough::of(&files, &task.options, task.shard, task.threads, &tell);
    Ok(Gone { files, gone, labels })
}

/// What is known of a data set, for who goes on with it.
pub(crate) struct Examined {
    pub(crate) files: Vec<DataFile>,
    pub(crate) part: Part,
    pub(crate) labels: Option<(LabelSet, Images)>,
}

/// Goes through all of a data set.
pub(crate) fn examine(task: &Task<'_>, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Examined, Error> {
    let Gone { files, gone, labels } = go_through(task, progress)?;
    let mut part = gone.whole(files.len(), task.options.most_listed).map_err(|missing| {
        Error::States(format!("{} was not gone through", files[missing].path.display()))
    })?;
    part.close();
    Ok(Examined { files, part, labels })
}

fn listed(file: &DataFile) -> Listed {
    Listed {
        name: file.path.display().to_string(),
        format: file.format.as_str().to_owned(),
        bytes: file.bytes,
    }
}

/// The labels in these paths; nothing where there are none and something else is read.
fn labels_in(paths: &[PathBuf], must_be: bool) -> Result<Option<LabelSet>, Error> {
    let may_hold = |path: &&PathBuf| path.is_dir() || !path.exists() || listing::format(path).is_none();
    let of_labels: Vec<PathBuf> = paths.iter().filter(may_hold).cloned().collect();
    if of_labels.is_empty() {
        return Ok(None);
    }
    match labels::read(&of_labels) {
        Ok(labels) => Ok(Some(labels)),
        // A file that goes by another name is no label that could not be read.
        Err(labels::Error::NoLabels { problems, .. })
            if must_be && problems.iter().all(|problem| !labels::may_be_label(&problem.file)) =>
        {
            Err(Error::NothingThere(labels::Sources(paths.to_vec()).to_string()))
        }
        Err(labels::Error::NoLabels { .. }) if !must_be => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Joins the states of all shares of one scan.
///
/// # Errors
///
/// Where they are not of one scan, or not all of it.
pub fn merge(states: Vec<State>) -> Result<ScanResult, Error> {
    let mut states = states.into_iter();
    let mut all = states.next().ok_or_else(|| Error::States("no state was given".to_owned()))?;
    for state in states {
        let same = (&all.version, &all.options, &all.files, all.shards)
            == (&state.version, &state.options, &state.files, state.shards);
        if !same {
            let why = "the states are of different scans: their files, options or versions of denan differ"
                .to_owned();
            return Err(Error::States(why));
        }
        if let Some(twice) = all.done.intersection(&state.done).next() {
            return Err(Error::States(format!("shard {} of {} is there twice", twice + 1, all.shards)));
        }
        all.done.extend(state.done);
        all.gone.take(state.gone, all.options.most_listed);
        all.labels = all.labels.take().or(state.labels);
    }
    all.result()
}

impl State {
    /// As bytes, for a file or another process.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = STATE.to_vec();
        bytes.extend(postcard::to_allocvec(self).expect("its parts can be written"));
        bytes
    }

    /// From bytes that [`to_bytes`](Self::to_bytes) made.
    ///
    /// # Errors
    ///
    /// If they are not of this version.
    pub fn of_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let inner =
            bytes.strip_prefix(STATE).ok_or_else(|| Error::States("it is no state of a scan".to_owned()))?;
        postcard::from_bytes(inner)
            .map_err(|_| Error::States("the state is damaged, or of another version of denan".to_owned()))
    }

    /// All that is known, of a state that is whole.
    fn result(self) -> Result<ScanResult, Error> {
        if let Some(missing) = (0..self.shards).find(|shard| !self.done.contains(shard)) {
            return Err(Error::States(format!("shard {} of {} is missing", missing + 1, self.shards)));
        }
        let name =
            |file: u32| self.files.get(file as usize).map(|file| file.name.clone()).unwrap_or_default();
        let mut part = self.gone.whole(self.files.len(), self.options.most_listed).map_err(|missing| {
            Error::States(format!("{} was not gone through by any shard", name(missing as u32)))
        })?;
        part.close();
        Ok(result(&part, &self.options, self.labels.unwrap_or_default(), &self.files, &name))
    }
}

/// What a state begins with.
const STATE: &[u8] = b"denan scan 2\n";

fn of_labels(labels: &LabelSet, images: &Images) -> OfLabels {
    let looked = Looked { labels, images };
    let mut of = OfLabels {
        format: labels.format.to_string(),
        samples: labels.images.len() as u64,
        boxes: labels.images.iter().map(|image| image.boxes.len() as u64).sum(),
        images: images.all().len() as u64,
        classes: classes(labels),
        ..OfLabels::default()
    };
    for (number, check) in LABEL_CHECKS.iter().enumerate() {
        if check.needs_images() && images.is_empty() {
            of.unchecked.push(number as u8);
        } else {
            check.look(&looked, &mut |found| of.found.push((number as u8, found)));
        }
    }
    of
}

/// How often each class occurs, the most frequent first; those that are listed and never occur come last.
fn classes(labels: &LabelSet) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<&str, u64> = labels.classes.iter().map(|class| (class.as_str(), 0)).collect();
    for found in labels.images.iter().flat_map(|image| &image.boxes) {
        *counts.entry(found.class.as_deref().unwrap_or_default()).or_default() += 1;
    }
    let mut counts: Vec<(String, u64)> =
        counts.into_iter().map(|(class, count)| (class.to_owned(), count)).collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

fn result(
    part: &Part,
    options: &Options,
    labels: OfLabels,
    files: &[Listed],
    name: &dyn Fn(u32) -> String,
) -> ScanResult {
    let has_labels = !labels.format.is_empty();
    let formats: BTreeSet<&str> = files
        .iter()
        .map(|file| file.format.as_str())
        .filter(|format| !has_labels || *format != "image")
        .collect();
    let formats = Some(labels.format.as_str()).filter(|_| has_labels).into_iter().chain(formats);
    let images = files.iter().filter(|file| file.format == "image").count() as u64;
    let rows =
        part.tables.iter().filter(|table| table.schema.shape != Shape::Image).map(|table| table.rows).max();
    let mut result = ScanResult {
        format: formats.collect::<Vec<_>>().join(", "),
        samples: if has_labels { labels.samples } else { images } + rows.unwrap_or_default(),
        boxes: labels.boxes,
        images: labels.images.max(images),
        classes: labels.classes.into_iter().map(|(class, count)| ClassCount { class, count }).collect(),
        unchecked: labels.unchecked.iter().map(|check| id(LABEL_CHECKS[usize::from(*check)])).collect(),
        dtype: options.precision.as_str().to_owned(),
        complete: true,
        ..ScanResult::default()
    };
    for table in &part.tables {
        result.tables.push(table_figures(table));
        result.columns.extend(table.numeric().map(|(number, column)| column_figures(table, number, column)));
    }
    if let [only] = &result.tables[..] {
        result.normalization = Some(only.normalization.clone());
    }
    if has_labels {
        for (number, check) in LABEL_CHECKS.iter().enumerate() {
            if labels.unchecked.contains(&(number as u8)) {
                continue;
            }
            let found: Vec<&Found> = labels
                .found
                .iter()
                .filter(|(own, _)| usize::from(*own) == number)
                .map(|(_, found)| found)
                .collect();
            let count = found.len() as u64;
            let listed = found.into_iter().cloned().map(|found| found.by(*check)).collect();
            tell(&mut result, *check, count, listed);
        }
    }
    result.unread = part.unread.iter().map(|(file, what)| format!("{}: {what}", name(*file))).collect();
    for check in FILE_CHECKS {
        let [id, ..] = check.names();
        let notes = || part.notes.iter().filter(|note| note.check == id);
        let found = notes().map(|note| Found::of_file(name(note.file), note.message.clone()).by(check));
        tell(&mut result, check, notes().map(|note| note.times).sum(), found.collect());
    }
    if !part.tables.is_empty() {
        of_values(&mut result, part, options, files.len(), name);
        let tables = Tables { options, tables: &part.tables, samples: &part.samples, files: name };
        for check in TABLE_CHECKS {
            let mut listed = Vec::new();
            let count = check.look(&tables, &mut |found| listed.push(found.by(check)));
            listed.truncate(usize::try_from(options.most_listed).unwrap_or(usize::MAX));
            tell(&mut result, check, count, listed);
        }
    }
    result
}

fn id(check: &(impl Identity + ?Sized)) -> String {
    let [id, ..] = check.names();
    id.to_owned()
}

fn tell(result: &mut ScanResult, check: &(impl Identity + ?Sized), count: u64, findings: Vec<ScanFinding>) {
    let [id, one, many] = check.names();
    let title = if count == 1 { one } else { many }.to_owned();
    result.rules.push(RuleCount { rule: id.to_owned(), severity: check.severity(), count, title });
    // Without a copy of the first, which can be most.
    if result.findings.is_empty() {
        result.findings = findings;
    } else {
        result.findings.extend(findings);
    }
}

/// What the checks of values have found, in columns of numbers.
fn of_values(
    result: &mut ScanResult,
    part: &Part,
    options: &Options,
    files: usize,
    name: &dyn Fn(u32) -> String,
) {
    let counts = |check: u8, column: &Column| {
        let is_of_shares = check != NEAR_ZERO && check != NEAR_ONE || column.is_of_shares();
        column.is_numeric() && is_of_shares
    };
    let mut texts = Texts::default();
    let files: Vec<OnceCell<Arc<str>>> = vec![OnceCell::new(); files];
    let names: Vec<TableNames> = part.tables.iter().map(TableNames::of).collect();
    for (number, check) in VALUE_CHECKS.iter().enumerate() {
        let number = number as u8;
        let columns =
            part.tables.iter().flat_map(|table| &table.columns).filter(|column| counts(number, column));
        let count = columns.filter_map(|column| column.failed.get(&number)).sum();
        let hits = part.hits.iter().filter(|(.., hit)| hit.check == number);
        let listed = hits.filter_map(|(file, table, row, hit)| {
            let (table, names) = (&part.tables[table as usize], &names[table as usize]);
            let position = hit.column as usize;
            if !counts(number, &table.columns[position]) {
                return None;
            }
            let value = match &hit.text {
                Some(text) => Some(Value::Text(text.to_string())),
                None if crate::checks::MISSING_VALUE == number => None,
                None => Some(Value::Number(hit.value)),
            };
            // A sample without a target is one in all of its columns.
            let is_of_column = crate::checks::NO_VALID_TARGET != number;
            let (column, channel) = match names.columns[position].clone().filter(|_| is_of_column) {
                Some((name, true)) => (None, Some(name)),
                Some((name, false)) => (Some(name), None),
                None => (None, None),
            };
            Some(ScanFinding {
                rule: check.names()[0],
                severity: check.severity(),
                file: files.get(file as usize)?.get_or_init(|| name(file).into()).clone(),
                table: names.name.clone(),
                index: Some(row),
                rows: Some(hit.rows).filter(|rows| *rows > 1),
                column,
                channel,
                labelled_box: None,
                class: None,
                value,
                message: texts.shared(said(hit, table, &check.message(hit.value, options))),
            })
        });
        let listed = listed.collect();
        tell(result, *check, count, listed);
    }
}

/// What findings say of a table and its columns.
struct TableNames {
    name: Option<Arc<str>>,
    /// Of each column its name, and whether it is a channel.
    columns: Vec<Option<(Arc<str>, bool)>>,
}

impl TableNames {
    fn of(table: &Table) -> Self {
        let schema = &table.schema;
        let name = Some(&*schema.name).filter(|name| !name.is_empty()).map(Into::into);
        let column = |column| schema.column_name(column).map(|(name, is_channel)| (name.into(), is_channel));
        Self { name, columns: (0..schema.columns.len()).map(column).collect() }
    }
}

/// Texts that occur again and again.
#[derive(Default)]
struct Texts(HashSet<Arc<str>>);

impl Texts {
    fn shared(&mut self, text: String) -> Arc<str> {
        /// Texts that are kept; those with a value in them are many.
        const MOST: usize = 1 << 12;
        if let Some(known) = self.0.get(&*text) {
            return known.clone();
        }
        let text: Arc<str> = text.into();
        if self.0.len() < MOST {
            self.0.insert(text.clone());
        }
        text
    }
}

/// `is NaN (14 values)`: several in a row of an array.
fn said(hit: &Hit, table: &Table, message: &str) -> String {
    let message = match &hit.text {
        Some(text) => format!("is {text:?}, which {message}"),
        None => message.to_owned(),
    };
    match table.schema.shape {
        Shape::Array { .. } if hit.values > hit.rows => format!("{message}, in {} values", hit.values),
        _ => message,
    }
}

fn table_name(table: &Table) -> String {
    let schema = &table.schema;
    match (schema.shape, &*schema.name) {
        (_, "") => schema.group.clone(),
        (Shape::Image, mode) => format!("{} ({mode})", schema.group),
        (_, name) => format!("{}:{name}", schema.group),
    }
}

pub(crate) fn table_figures(table: &Table) -> TableFigures {
    let full_scale = table.full_scale();
    let scale = full_scale.unwrap_or(1.0);
    let features = table.features().map(|(_, column)| {
        let [mean, std] = column.mean_and_std();
        // A constant column stays one.
        (mean / scale, if column.is_constant() { std } else { std / scale })
    });
    let (mean, std) = features.unzip();
    TableFigures {
        name: table_name(table),
        files: table.files,
        rows: table.rows,
        has_channels: matches!(table.schema.shape, Shape::Image | Shape::Array { has_channels: true, .. }),
        full_scale,
        normalization: Normalization { mean, std },
    }
}

fn column_figures(table: &Table, number: usize, column: &Column) -> ColumnFigures {
    /// The shares of which quantiles are told.
    const SHARES: [&str; 9] = ["0.001", "0.01", "0.05", "0.25", "0.5", "0.75", "0.95", "0.99", "0.999"];
    let summary = &column.figures.summary;
    let quantile = |share: &&str| {
        let value = column.quantile(share.parse().ok()?)?;
        // The middle of a bin may lie beyond the values in it.
        Some(((*share).to_owned(), value.clamp(summary.min, summary.max)))
    };
    let labels = match &column.classes {
        Some(Classes::Counts(counts)) => counts.clone(),
        _ => BTreeMap::new(),
    };
    ColumnFigures {
        table: table_name(table),
        name: table.schema.columns[number].clone(),
        count: summary.count,
        missing: column.missing,
        nan: summary.nan,
        posinf: summary.pos_inf,
        neginf: summary.neg_inf,
        zeros: summary.zeros,
        subnormal: summary.subnormals,
        min: summary.min,
        max: summary.max,
        mean: summary.mean,
        std: summary.std(),
        quantiles: SHARES.iter().filter_map(quantile).collect(),
        near_zero: column.near_zero,
        near_one: column.near_one,
        operations: Operation::ALL
            .iter()
            .map(|operation| (operation.as_str(), column.fails(*operation)))
            .collect(),
        labels,
    }
}
