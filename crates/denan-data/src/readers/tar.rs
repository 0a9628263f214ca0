//! tar files of samples, as WebDataset has them: `0001.jpg` and `0001.cls` are parts of sample `0001`.
//!
//! Nothing is ever unpacked: a member is read where it lies, and its name is but told.

use super::array::stream;
use super::npy::{Only, header};
use super::{Values, image, lines};
use crate::columns::{Gather, Rows, Schema, Shape, TableId};
use crate::image_file::is_image;
use crate::listing::DataFile;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// A member larger than this is none that a training loads as part of a sample.
const MOST_MEMBER: u64 = 1 << 30;
/// An image larger than this is none either; it is held in memory.
const MOST_IMAGE: u64 = 128 << 20;
/// A name longer than this is none.
pub(crate) const MOST_NAME: u64 = 1 << 16;
/// Incomplete samples that are named.
const MOST_NAMED: usize = 1000;
/// More parts than these a sample does not have, …
const MOST_PARTS: usize = 1000;
/// … and samples with more sets of parts than these have none in common.
const MOST_KINDS: usize = 1000;

/// Reads a tar file, one member after the other.
pub(crate) fn open(path: &Path, file: &DataFile, axis: Option<usize>) -> Result<Only, String> {
    let from = lines::open(path)?;
    let file = DataFile { alike: u64::MAX, ..file.clone() };
    Ok(Only(Some(Box::new(move |to| {
        let mut members = Members {
            to,
            file,
            axis,
            samples: 0,
            parts: Vec::new(),
            key: String::new(),
            kinds: BTreeMap::new(),
            labels: None,
        };
        members.go(tar::Archive::new(from))
    }))))
}

/// The key of a member's sample, which ends at the first dot of the file's own name, and its kind; nothing of a hidden file and one without a dot.
pub(crate) fn key_of(name: &str) -> Option<(&str, &str)> {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = base + name[base..].find('.')?;
    (dot > base).then(|| (&name[..dot], &name[dot + 1..]))
}

/// The name in the records of a pax header: `LENGTH path=NAME\n`.
pub(crate) fn pax_path(records: &[u8]) -> Option<&[u8]> {
    let records = tar::PaxExtensions::new(records).flatten();
    records.filter(|record| record.key_bytes() == b"path").last().map(|record| record.value_bytes())
}

/// What the members of an archive are handed to.
struct Members<'a, 'b> {
    to: &'a mut Gather<'b>,
    file: DataFile,
    axis: Option<usize>,
    samples: u64,
    /// Kinds of parts of the latest sample, and its key.
    parts: Vec<String>,
    key: String,
    /// How many samples have which parts, and the first of them.
    kinds: BTreeMap<Vec<String>, (u64, Vec<String>)>,
    labels: Option<TableId>,
}

impl Members<'_, '_> {
    fn go(&mut self, mut archive: tar::Archive<Box<dyn Read + Send>>) -> Result<(), String> {
        let mut long = None;
        // Raw, as long names are read whole otherwise, however long they claim to be.
        for entry in archive.entries().map_err(|error| error.to_string())?.raw(true) {
            let mut entry = entry.map_err(|error| format!("it cannot be read on: {error}"))?;
            let kind = entry.header().entry_type();
            if kind.is_gnu_longname() || kind.is_pax_local_extensions() {
                if entry.size() > MOST_NAME {
                    return Err(format!("the name of a member claims {} bytes", entry.size()));
                }
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).map_err(|error| format!("it cannot be read on: {error}"))?;
                let name = if kind.is_gnu_longname() { Some(&bytes[..]) } else { pax_path(&bytes) };
                long = name.map(|name| name.strip_suffix(b"\0").unwrap_or(name).to_vec()).or(long);
                continue;
            }
            let name = long.take().unwrap_or_else(|| entry.path_bytes().into_owned());
            if !kind.is_file() {
                continue;
            }
            let name = String::from_utf8_lossy(&name).into_owned();
            let Some((key, kind)) = key_of(&name) else { continue };
            let kind = kind.to_ascii_lowercase();
            if self.samples == 0 || key != self.key {
                self.end_sample();
                self.samples += 1;
                key.clone_into(&mut self.key);
            }
            if self.parts.len() < MOST_PARTS {
                self.parts.push(kind.clone());
            }
            if entry.size() > MOST_MEMBER {
                self.to.note("unreadable-file", format!("{name}: it claims {} bytes", entry.size()));
                continue;
            }
            if let Err(why) = self.member(&name, &kind, &mut entry) {
                self.to.note("unreadable-file", format!("{name}: {why}"));
            }
        }
        self.end_sample();
        self.incomplete();
        Ok(())
    }

    fn member(&mut self, name: &str, kind: &str, from: &mut dyn Read) -> Result<(), String> {
        let kind = kind.rsplit('.').next().unwrap_or(kind);
        let row = self.samples - 1;
        if is_image(Path::new(name)) {
            let mut bytes = Vec::new();
            from.take(MOST_IMAGE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
            if bytes.len() as u64 > MOST_IMAGE {
                return Err(format!("it has more than {} MiB", MOST_IMAGE >> 20));
            }
            image::gather(self.to, &self.file.group, &bytes, Some((name, row)));
        } else if kind == "npy" {
            let header = header("npy", from)?;
            if header.is_column_major {
                return Err("it is stored column by column (Fortran order)".to_owned());
            }
            stream(self.to, &header.array, &self.file, self.axis, from)?;
        } else if kind == "cls" {
            let mut text = String::new();
            from.take(64).read_to_string(&mut text).map_err(|error| error.to_string())?;
            let id = *self.labels.get_or_insert_with(|| {
                let columns = vec!["cls".to_owned()];
                let schema = Schema {
                    group: self.file.group.clone(),
                    name: "cls".to_owned(),
                    columns,
                    shape: Shape::Table,
                };
                self.to.table(&Arc::new(schema), None)
            });
            match text.trim().parse::<f64>() {
                Ok(label) => self.to.cells(id, 0, Values::F64(&[label]), Rows::From(row)),
                Err(_) => self.to.text(id, 0, row, text.trim()),
            }
            self.to.rows(id, self.samples);
        }
        Ok(())
    }

    fn end_sample(&mut self) {
        if self.parts.is_empty() {
            return;
        }
        let mut parts = std::mem::take(&mut self.parts);
        parts.sort();
        if self.kinds.len() == MOST_KINDS && !self.kinds.contains_key(&parts) {
            return;
        }
        let (count, first) = self.kinds.entry(parts).or_default();
        *count += 1;
        if first.len() < MOST_NAMED {
            first.push(self.key.clone());
        }
    }

    /// Samples that lack a part that most have.
    fn incomplete(&mut self) {
        let Some(usual) =
            self.kinds.iter().max_by_key(|(_, (count, _))| *count).map(|(parts, _)| parts.clone())
        else {
            return;
        };
        for (parts, (_, keys)) in std::mem::take(&mut self.kinds) {
            let missing: Vec<&str> =
                usual.iter().filter(|part| !parts.contains(part)).map(String::as_str).collect();
            if !missing.is_empty() {
                for key in keys {
                    self.to
                        .note("incomplete-sample", format!("{key} has no {}, most have", missing.join(", ")));
                }
            }
        }
    }
}
