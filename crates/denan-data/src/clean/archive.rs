//! tar files of samples: those with a part that cannot be read, or a value that is to go, are left out.

use super::Job;
use super::audit::{Audit, Change};
use super::out::Out;
use super::repair::{Action, Cell, Fate, Repairs};
use super::rows::{ALL, OfFile};
use crate::image_file::is_image;
use crate::listing::DataFile;
use crate::picture;
use crate::readers::{
    lines, npy,
    tar::{MOST_NAME, key_of, pax_path},
};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

/// Finds the samples that are left out, by their number in the archive.
pub(super) fn collect(file: &DataFile, repairs: &Repairs, drops: &mut OfFile<'_>) -> Result<(), String> {
    let mut dropped = BTreeMap::new();
    each(file, &mut |sample, name, _, member| {
        if let Some(sample) = sample
            && let Some(check) = wrong(file, repairs, name, member)?
        {
            dropped.entry(sample).or_insert(check);
        }
        Ok(())
    })?;
    for (sample, check) in repairs.copies_in(&file.path, None) {
        dropped.entry(sample).or_insert(check);
    }
    drops.add_all(ALL, dropped);
    Ok(())
}

/// Writes an archive without some samples, all other members as they are.
pub(super) fn write(job: Job<'_>, audit: &mut Audit) -> Result<(), String> {
    let Job { file, drops, to, .. } = job;
    let say = |error: std::io::Error| error.to_string();
    let mut out = ::tar::Builder::new(Out::create(&file.path, to)?);
    let mut told = None;
    each(file, &mut |sample, name, before, member| {
        if let Some(check) = sample.and_then(|sample| drops.of(ALL, sample)) {
            if told != sample {
                audit.tell(&Change {
                    before: Some(name.to_owned()),
                    ..Change::of_row(&file.path, sample.unwrap_or_default(), check, "drop-row")
                });
                told = sample;
            }
            return Ok(());
        }
        for (header, bytes) in before {
            out.append(header, &bytes[..]).map_err(say)?;
        }
        let header = member.header().clone();
        out.append(&header, member).map_err(say)
    })?;
    out.into_inner().and_then(Out::end).map_err(say)
}

/// Takes a member in: the number of its sample, its name, what stands before it, and itself.
type TakeMember<'a> = dyn FnMut(Option<u64>, &str, &Before, &mut Member<'_>) -> Result<(), String> + 'a;

/// A member of an archive.
type Member<'a> = ::tar::Entry<'a, Box<dyn Read + Send>>;

/// What stands before a member: its long name, and what else its header has no room for.
type Before = Vec<(::tar::Header, Vec<u8>)>;

/// Each member, with the number of its sample if it is part of one, its name, and what stands before it.
fn each(file: &DataFile, take: &mut TakeMember<'_>) -> Result<(), String> {
    let say = |error: std::io::Error| error.to_string();
    let mut archive = ::tar::Archive::new(lines::open(&file.path)?);
    let mut latest: Option<(String, u64)> = None;
    let mut before = Before::new();
    let mut long: Option<Vec<u8>> = None;
    for entry in archive.entries().map_err(say)?.raw(true) {
        let mut entry = entry.map_err(say)?;
        let kind = entry.header().entry_type();
        let is_before = kind.is_gnu_longname() || kind.is_gnu_longlink() || kind.is_pax_local_extensions();
        if is_before || kind.is_pax_global_extensions() {
            if entry.size() > MOST_NAME {
                return Err(format!("the name of a member claims {} bytes", entry.size()));
            }
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).map_err(say)?;
            let name = match kind {
                kind if kind.is_gnu_longname() => Some(&bytes[..]),
                kind if kind.is_pax_local_extensions() => pax_path(&bytes),
                _ => None,
            };
            long = name.map(|name| name.strip_suffix(b"\0").unwrap_or(name).to_vec()).or(long);
            before.push((entry.header().clone(), bytes));
            continue;
        }
        let name = long.take().unwrap_or_else(|| entry.path_bytes().into_owned());
        let name = String::from_utf8_lossy(&name).into_owned();
        let key = key_of(&name).filter(|_| kind.is_file()).map(|(key, _)| key.to_owned());
        let sample = key.map(|key| match &latest {
            Some((own, number)) if *own == key => *number,
            _ => {
                let number = latest.as_ref().map_or(0, |(_, number)| number + 1);
                latest = Some((key, number));
                number
            }
        });
        take(sample, &name, &std::mem::take(&mut before), &mut entry)?;
    }
    Ok(())
}

/// The check that a member fails.
fn wrong(
    file: &DataFile,
    repairs: &Repairs,
    name: &str,
    member: &mut Member<'_>,
) -> Result<Option<&'static str>, String> {
    if is_image(Path::new(name)) {
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let is_dropped = repairs.action("unreadable-image") == Action::Drop;
        return Ok((is_dropped && picture::decode(&bytes).is_err()).then_some("unreadable-image"));
    }
    if !name.to_ascii_lowercase().ends_with(".npy") {
        return Ok(None);
    }
    // Values within a sample are not written anew: one that is to go takes its sample with it.
    let Ok(header) = npy::header("npy", member) else { return Ok(None) };
    let Some(repair) = repairs.table(&file.group, "npy") else { return Ok(None) };
    let going = super::arrays::columns_of(&header.array, file, repairs)?;
    let mut found = None;
    super::arrays::values(&header.array, member, &mut |position, value| {
        if let (None, Some(column)) = (found, going(position)) {
            found = match repair.fate(column, Cell::Number(value)) {
                Fate::DropRow(check) | Fate::Set(_, check) => Some(check),
                Fate::Keep => None,
            };
        }
    })?;
    Ok(found)
}
