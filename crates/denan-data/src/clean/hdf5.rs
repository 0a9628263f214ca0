//! HDF5 files: in a copy of the file the datasets that change are written anew; all else in it stays as it
//! is, where it is.

mod filters;
mod header;
mod space;
mod storage;

use super::arrays::{Anew, Going};
use super::audit::{Audit, Change};
use super::repair::{Fate, Repairs, TableRepair};
use super::rows::{OfFile, RowSet};
use super::{Job, create_folder};
use crate::listing::DataFile;
use crate::readers::Dtype;
use crate::readers::array::{Array, rows_of_piece};
use crate::readers::hdf5::{self, Dataset, Datasets, MOST_READ, guarded};
use hdf5_reader::Hdf5File;
use space::Space;
use std::collections::{HashMap, HashSet};
use std::io::{self, Read, Write};
use std::path::Path;
use storage::{Becomes, Stored};

/// Finds the rows that are left out; fails where a dataset that would change cannot be written.
pub(super) fn collect(file: &DataFile, repairs: &Repairs, drops: &mut OfFile<'_>) -> Result<(), String> {
    crate::guarded::guarded(|| {
        let source = Source::open(file, repairs)?;
        let (mut rows, mut replaced) = (RowSet::default(), HashSet::new());
        for dataset in &source.found.datasets {
            source.each_row(dataset, &mut |row, fate| {
                match fate {
                    Fate::Keep => {}
                    Fate::Set(..) => _ = replaced.insert(&dataset.path),
                    // A single number is no row that could be left out.
                    Fate::DropRow(_) if dataset.shape.is_empty() => {}
                    Fate::DropRow(check) => rows.add(dataset.shape[0], row, check),
                }
                true
            })?;
            let name = dataset.path.trim_start_matches('/');
            for (row, check) in repairs.copies_in(&file.path, Some(name)) {
                rows.add(dataset.shape.first().copied().unwrap_or(1), row, check);
            }
        }
        for changing in source.changing(&rows, &mut |dataset| Ok(replaced.contains(&dataset.path)))? {
            source.stored(&changing)?;
        }
        drops.extend(rows);
        Ok(())
    })
}

/// Writes a file anew.
///
/// Of numbers a piece or a band of chunks is held in memory at a time; what else loses rows, strings for one,
/// is held whole.
pub(super) fn write(job: Job<'_>, audit: &mut Audit) -> Result<(), String> {
    let Job { file, repairs, drops, to } = job;
    crate::guarded::guarded(|| {
        let source = Source::open(file, repairs)?;
        let mut replaces = |dataset: &Dataset| {
            let mut is_replaced = false;
            source.each_row(dataset, &mut |_, fate| {
                is_replaced = matches!(fate, Fate::Set(..));
                !is_replaced
            })?;
            Ok(is_replaced)
        };
        let changing = source.changing(drops, &mut replaces)?;
        if changing.is_empty() {
            return super::copy(&file.path, to);
        }
        let mut copy = match to {
            Some(to) => {
                create_folder(to)?;
                Some(Space::copy(&file.path, &source.open, to)?)
            }
            None => None,
        };
        for changing in &changing {
            let mut out = match &mut copy {
                Some(space) => Some(source.stored(changing)?.begin(space)?),
                None => None,
            };
            source.rows(changing, drops, audit, out.as_mut().map(|out| out as &mut dyn Write))?;
            out.map_or(Ok(()), storage::Writer::finish).map_err(|why| changing.told(&why))?;
        }
        copy.map_or(Ok(()), Space::finish)?;
        to.map_or(Ok(()), |to| source.check(&changing, to))
    })
}

/// A file that is read.
struct Source<'a> {
    file: &'a DataFile,
    repairs: &'a Repairs,
    open: Hdf5File,
    found: Datasets,
    /// Half the number of children of a node of an index; or why the file cannot be written.
    children: Result<u16, String>,
}

/// A dataset that is written anew.
struct Changing<'a> {
    path: &'a str,
    stored: &'a hdf5_reader::Dataset,
    /// It, where its values are numbers; otherwise rows are only left out.
    values: Option<&'a Dataset>,
    dtype: Option<Dtype>,
    becomes: Becomes,
}

impl Changing<'_> {
    fn told(&self, why: &str) -> String {
        format!("{}: {why}", self.path)
    }
}

impl<'a> Source<'a> {
    fn open(file: &'a DataFile, repairs: &'a Repairs) -> Result<Self, String> {
        let (open, length) = hdf5::open(&file.path)?;
        let children = space::children(&open, length);
        Ok(Self { file, repairs, open, found: hdf5::datasets(&file.path)?, children })
    }

    /// What becomes of each row of a dataset, as long as it is asked for.
    fn each_row(&self, dataset: &Dataset, take: &mut dyn FnMut(u64, Fate) -> bool) -> Result<(), String> {
        let array = array(dataset);
        let Some(going) = Going::new(&array, self.file, self.repairs)? else { return Ok(()) };
        let mut is_asked = true;
        let read = going.rows(&mut InOrder::new(dataset)?, &mut |row, values, _| {
            is_asked = take(row, going.fate_of_row(values));
            if is_asked { Ok(()) } else { Err(String::new()) }
        });
        if is_asked { read.map_err(|why| format!("{}: {why}", dataset.path)) } else { Ok(()) }
    }

    /// The datasets that change. One of several names goes by that of targets, or by the first by which it
    /// changes.
    fn changing(
        &self,
        drops: &RowSet,
        is_replaced: &mut dyn FnMut(&Dataset) -> Result<bool, String>,
    ) -> Result<Vec<Changing<'_>>, String> {
        let Datasets { datasets, skipped, unread } = &self.found;
        let left = |shape: &[u64]| shape.first().map_or(1, |rows| drops.left(*rows));
        let drops_of = |shape: &[u64]| shape.first().is_some_and(|rows| drops.left(*rows) != *rows);
        let repairs = datasets.iter().map(|dataset| {
            let going = Going::new(&array(dataset), self.file, self.repairs)?;
            Ok((dataset, going.map(|going| going.repair)))
        });
        let repairs: Vec<(&Dataset, Option<&TableRepair>)> = repairs.collect::<Result<_, String>>()?;
        let is_target = |repair: &Option<&TableRepair>| repair.is_some_and(TableRepair::is_of_targets);
        let targets = repairs.iter().filter(|(_, repair)| is_target(repair));
        let targets: HashSet<u64> = targets.map(|(dataset, _)| dataset.stored.address()).collect();
        let mut changing: Vec<Changing<'_>> = Vec::new();
        let mut seen = HashSet::new();
        for (dataset, repair) in repairs {
            let address = dataset.stored.address();
            if seen.contains(&address) || targets.contains(&address) && !is_target(&repair) {
                continue;
            }
            let is_normalised =
                repair.is_some_and(|repair| (0..repair.columns()).any(|column| repair.is_normalised(column)));
            if !(drops_of(&dataset.shape) || is_normalised || is_replaced(dataset)?) {
                continue;
            }
            seen.insert(address);
            let dtype = repair.map_or(dataset.dtype, |repair| repair.dtype(dataset.dtype));
            let becomes = Becomes {
                rows: left(&dataset.shape),
                float_of: Some(dataset.dtype).filter(|before| *before != dtype),
                is_big_endian: dataset.is_big_endian && repair.is_some(),
            };
            let values = repair.map(|_| dataset);
            let (path, stored) = (&*dataset.path, &dataset.stored);
            changing.push(Changing { path, stored, values, dtype: Some(dtype), becomes });
        }
        // Their rows go with the others.
        for (path, stored) in unread.iter().filter(|(_, stored)| drops_of(stored.shape())) {
            if seen.insert(stored.address()) {
                let becomes = Becomes { rows: left(stored.shape()), float_of: None, is_big_endian: false };
                changing.push(Changing { path, stored, values: None, dtype: None, becomes });
            }
        }
        let is_hidden = |path: &str| unread.iter().all(|(unread, _)| unread != path);
        match skipped.iter().find(|(path, _)| drops.drops_any() && is_hidden(path)) {
            Some((path, why)) => {
                Err(format!("{path}: {why}; rows of it may belong to those that are left out"))
            }
            None => Ok(changing),
        }
    }

    /// A dataset as it lies in the file.
    fn stored(&self, changing: &Changing<'_>) -> Result<Stored, String> {
        let children = self.children.clone()?;
        Stored::of(&self.open, changing.stored, changing.becomes, children).map_err(|why| changing.told(&why))
    }

    /// Writes the rows of a dataset that are left.
    fn rows(
        &self,
        changing: &Changing<'_>,
        drops: &RowSet,
        audit: &mut Audit,
        to: Option<&mut dyn Write>,
    ) -> Result<(), String> {
        if let Some(dataset) = changing.values {
            let none = RowSet::default();
            let drops = if dataset.shape.is_empty() { &none } else { drops };
            let mut anew = Anew { file: self.file, repairs: self.repairs, drops, audit };
            return anew
                .values(&array(dataset), &mut InOrder::new(dataset)?, to)
                .map_err(|why| changing.told(&why));
        }
        let rows = changing.stored.shape()[0];
        let name = changing.path.trim_start_matches('/');
        for (row, check) in (0..rows).filter_map(|row| Some((row, drops.of(rows, row)?))) {
            let change = Change::of_row(&self.file.path, row, check, "drop-row");
            audit.tell(&Change { table: Some(name.to_owned()), ..change });
        }
        let Some(to) = to else { return Ok(()) };
        let bytes = guarded(|| changing.stored.read_raw_bytes()).map_err(|why| changing.told(&why))?;
        let each = bytes.len() / rows as usize;
        for row in (0..rows).filter(|row| each > 0 && drops.of(rows, *row).is_none()) {
            let row = &bytes[row as usize * each..][..each];
            to.write_all(row).map_err(|error| changing.told(&error.to_string()))?;
        }
        Ok(())
    }

    /// Whether everything is in the copy, as it should be.
    fn check(&self, changing: &[Changing<'_>], copy: &Path) -> Result<(), String> {
        let changed: HashMap<u64, &Changing<'_>> =
            changing.iter().map(|changing| (changing.stored.address(), changing)).collect();
        let becomes = |stored: &hdf5_reader::Dataset, dtype: Option<Dtype>| {
            let changing = changed.get(&stored.address());
            let mut shape = stored.shape().to_vec();
            if let (Some(first), Some(changing)) = (shape.first_mut(), changing) {
                *first = changing.becomes.rows;
            }
            (changing.map_or(dtype, |changing| changing.dtype), shape)
        };
        let now = hdf5::datasets(copy)?;
        let before = self.found.datasets.iter().map(|one| (&one.path, becomes(&one.stored, Some(one.dtype))));
        let before = before.chain(self.found.unread.iter().map(|(path, one)| (path, becomes(one, None))));
        let after = now.datasets.iter().map(|one| (&one.path, (Some(one.dtype), one.shape.clone())));
        let after = after.chain(now.unread.iter().map(|(path, one)| (path, (None, one.shape().to_vec()))));
        match before.eq(after) && self.found.skipped == now.skipped {
            true => Ok(()),
            false => Err("what was written of it is not read again as it should be".to_owned()),
        }
    }
}

/// A dataset as an array, as scans see it.
fn array(dataset: &Dataset) -> Array {
    let name = dataset.path.trim_start_matches('/').to_owned();
    Array { name, dtype: dataset.dtype, shape: dataset.shape.clone(), is_big_endian: false }
}

/// The bytes of a dataset, row by row.
struct InOrder<'a> {
    dataset: &'a Dataset,
    rows: u64,
    /// Rows that are read at once.
    each: u64,
    next: u64,
    piece: Vec<u8>,
    at: usize,
}

impl<'a> InOrder<'a> {
    fn new(dataset: &'a Dataset) -> Result<Self, String> {
        let (rows, sides) = dataset.shape.split_first().map_or((1, &[][..]), |(rows, sides)| (*rows, sides));
        let values = sides.iter().try_fold(1u64, |all, side| all.checked_mul(*side));
        // They become float64.
        let values = values.filter(|values| *values <= MOST_READ / 8).ok_or_else(|| {
            format!("{}: a row of it is larger than what denan holds in memory", dataset.path)
        })?;
        let each = rows_of_piece((values * dataset.dtype.size()).max(1));
        Ok(Self { dataset, rows, each, next: 0, piece: Vec::new(), at: 0 })
    }
}

impl Read for InOrder<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() && self.next < self.rows {
            let count = self.each.min(self.rows - self.next);
            self.piece.clear();
            self.dataset.read_rows(self.next, count, &mut self.piece).map_err(io::Error::other)?;
            self.next += count;
            self.at = 0;
        }
        let count = to.len().min(self.piece.len() - self.at);
        to[..count].copy_from_slice(&self.piece[self.at..][..count]);
        self.at += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
