//! The space of a copy of an HDF5 file: what is written anew takes the place of what it replaces, or is
//! appended.

use super::header::{Header, damaged};
use hdf5_reader::Hdf5File;
use hdf5_reader::checksum::jenkins_lookup3;
use hdf5_reader::messages::{MSG_BTREE_K, MSG_SHARED_TABLE};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The address of nothing.
pub(super) const NOWHERE: u64 = u64::MAX;
/// Children of a node of an index are twice as many, where a file does not say otherwise (H5B's default).
const CHILDREN: u16 = 32;
/// The message on how free space is kept.
const FILE_SPACE: u16 = 0x17;
/// Free places that are looked at for one to write to: more are seldom better.
const MOST_TRIED: usize = 64;

/// Half the number of children of a node of an index; or why a file cannot be written to.
pub(super) fn children(file: &Hdf5File, length: u64) -> Result<u16, String> {
    let superblock = file.superblock();
    let unusual = |what: &str| Err(format!("{what}, which denan does not write"));
    if (superblock.offset_size, superblock.length_size) != (8, 8) {
        return unusual("its addresses have another length than 8 bytes");
    }
    if superblock.eof_address > length {
        return Err(format!("it should have {} bytes and has {length}", superblock.eof_address));
    }
    if superblock.driver_info_address != NOWHERE {
        return unusual("it is one of several files");
    }
    let mut children = if superblock.version == 1 { superblock.indexed_storage_k } else { CHILDREN };
    if let Some(extension) = superblock.extension_address {
        for message in Header::of(file, extension)?.messages {
            match (message.kind, &message.data[..]) {
                (MSG_BTREE_K, [_, low, high, ..]) => children = u16::from_le_bytes([*low, *high]),
                (MSG_SHARED_TABLE, _) => {}
                // Neither pages nor free space that is kept: what is appended would be taken for free.
                (FILE_SPACE, [1, 0 | 2 | 3, 0, ..]) => {}
                _ => return unusual("it keeps free space or metadata in a way of its own"),
            }
        }
    }
    if children == 0 { Err(damaged()) } else { Ok(children) }
}

/// A copy of a file.
pub(super) struct Space {
    to: File,
    version: u8,
    /// Where addresses count from.
    base: u64,
    /// Where the file ends, as an address.
    end: u64,
    /// Where nothing is any more: its length by its address.
    free: BTreeMap<u64, u64>,
    /// Where the next place is looked for.
    next: u64,
}

impl Space {
    /// Copies a file to a place where there is none.
    pub(super) fn copy(from: &Path, file: &Hdf5File, to: &Path) -> Result<Self, String> {
        let copy = || {
            // `fs::copy` would keep it from being written to where the source is.
            let mut open = File::options().read(true).write(true).create_new(true).open(to)?;
            io::copy(&mut File::open(from)?, &mut open).map(|length| (open, length))
        };
        let (to, length) = copy().map_err(|error| error.to_string())?;
        let superblock = file.superblock();
        let end = length.checked_sub(superblock.base_address).ok_or_else(damaged)?;
        let (version, base) = (superblock.version, superblock.base_address);
        Ok(Self { to, version, base, end, free: BTreeMap::new(), next: 0 })
    }

    /// What is there is no longer needed.
    pub(super) fn free(&mut self, mut at: u64, mut length: u64) {
        let Some(mut end) = at.checked_add(length).filter(|end| *end <= self.end && length > 0) else {
            return;
        };
        if let Some((before, its)) = self.free.range(..end).next_back().map(|(at, length)| (*at, *length)) {
            if before + its > at {
                // Nothing is freed twice in a file that is whole.
                return;
            }
            if before + its == at {
                self.free.remove(&before);
                at = before;
            }
        }
        if let Some(its) = self.free.remove(&end) {
            end += its;
        }
        length = end - at;
        self.free.insert(at, length);
    }

    /// A place for as many bytes.
    pub(super) fn place(&mut self, length: u64) -> u64 {
        let round = self.free.range(self.next..).chain(self.free.range(..self.next));
        let found = round.take(MOST_TRIED).find(|(_, its)| **its >= length).map(|(at, its)| (*at, *its));
        let Some((at, its)) = found else {
            let at = self.end.next_multiple_of(8);
            self.end = at + length;
            return at;
        };
        self.free.remove(&at);
        if its > length {
            self.free.insert(at + length, its - length);
        }
        self.next = at;
        at
    }

    /// Writes to an address.
    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), String> {
        let at = self.base.checked_add(at).ok_or_else(damaged)?;
        self.to.write_all_at(bytes, at).map_err(|error| error.to_string())
    }

    /// Writes somewhere, and says where.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<u64, String> {
        let at = self.place(bytes.len() as u64);
        self.write(at, bytes)?;
        Ok(at)
    }

    /// Ends the file after what is needed of it, and writes down where.
    pub(super) fn finish(mut self) -> Result<(), String> {
        let say = |error: io::Error| error.to_string();
        if let Some((at, _)) = self.free.last_key_value().filter(|(at, length)| *at + *length == self.end) {
            self.end = *at;
        }
        let end = self.base + self.end;
        self.to.set_len(end).map_err(say)?;
        let at = match self.version {
            0 => 40,
            1 => 44,
            _ => 28,
        };
        self.write(at, &end.to_le_bytes())?;
        if self.version >= 2 {
            let mut superblock = [0; 44];
            self.to.read_exact_at(&mut superblock, self.base).map_err(say)?;
            self.write(44, &jenkins_lookup3(&superblock).to_le_bytes())?;
        }
        Ok(())
    }
}
