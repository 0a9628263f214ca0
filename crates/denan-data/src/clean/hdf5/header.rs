//! The header of an object in an HDF5 file: the messages that describe it, in a block at its address and in
//! others that follow on.
//!
//! Messages that are not understood are kept byte by byte. The header stays at its address, so whatever refers
//! to the object still does.

use super::space::Space;
use hdf5_reader::Hdf5File;
use hdf5_reader::checksum::jenkins_lookup3;
use hdf5_reader::messages::{MSG_CONTINUATION, MSG_NIL};
use std::collections::VecDeque;

/// More blocks than this make up no header.
const MOST_BLOCKS: usize = 1024;
/// Nor does a block of more bytes.
const MOST_BYTES: u64 = 16 << 20;
/// The flag of a message that says where it is instead.
const SHARED: u8 = 2;
/// Bytes of the message that says where the next block is: an address and a length.
const CONTINUATION: usize = 16;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: u16,
    flags: u8,
    /// When it was added, in headers that say so.
    order: [u8; 2],
    pub(super) data: Vec<u8>,
}

impl Message {
    /// Whether it only says where it is.
    pub(super) fn is_shared(&self) -> bool {
        self.flags & SHARED != 0
    }
}

/// A header.
#[derive(Clone, Debug)]
pub(super) struct Header {
    address: u64,
    /// Up to its first message.
    prefix: Vec<u8>,
    /// Bytes for messages in the first block.
    room: usize,
    pub(super) messages: Vec<Message>,
}

impl Header {
    /// The header of the object at an address.
    pub(super) fn of(file: &Hdf5File, address: u64) -> Result<Self, String> {
        let bytes = |at: u64, length: u64| match length {
            0..=MOST_BYTES => file
                .storage()
                .read_range(at, length as usize)
                .map(|bytes| bytes.to_vec())
                .map_err(|error| error.to_string()),
            _ => Err(damaged()),
        };
        let start = bytes(address, 16)?;
        let (prefix, room) = if start.starts_with(b"OHDR") {
            let flags = start[5];
            let size_at = 6 + if flags & 0x20 == 0 { 0 } else { 16 } + if flags & 0x10 == 0 { 0 } else { 4 };
            let size = 1 << (flags & 3);
            let prefix = bytes(address, size_at + size)?;
            let mut room = [0; 8];
            room[..size as usize].copy_from_slice(&prefix[size_at as usize..]);
            (prefix, u64::from_le_bytes(room))
        } else if start[0] == 1 {
            let room = u32_at(&start, 8)?;
            (start, u64::from(room))
        } else {
            return Err(damaged());
        };
        let mut header = Self { address, prefix, room: 0, messages: Vec::new() };
        let mut left = VecDeque::from([(address + header.prefix.len() as u64, room)]);
        let mut blocks = 0;
        while let Some((at, length)) = left.pop_front() {
            blocks += 1;
            if blocks > MOST_BLOCKS {
                return Err(damaged());
            }
            let block = bytes(at, length)?;
            let within = match blocks {
                1 => &block[..],
                // Between its signature and its checksum.
                _ if header.is_checked() => block.get(4..block.len().wrapping_sub(4)).ok_or_else(damaged)?,
                _ => &block,
            };
            header.take(within, &mut left)?;
        }
        header.room = usize::try_from(room).map_err(|_| damaged())?;
        Ok(header)
    }

    /// Takes in the messages of a block, and where others follow on.
    fn take(&mut self, mut block: &[u8], left: &mut VecDeque<(u64, u64)>) -> Result<(), String> {
        while block.len() >= self.envelope() {
            let (kind, size, flags) = if self.is_checked() {
                (u16::from(block[0]), u16::from_le_bytes([block[1], block[2]]), block[3])
            } else {
                let both = [0, 2].map(|at| u16::from_le_bytes([block[at], block[at + 1]]));
                (both[0], both[1], block[4])
            };
            let order = if self.envelope() == 6 { [block[4], block[5]] } else { [0; 2] };
            let (data, rest) = block[self.envelope()..].split_at_checked(size.into()).ok_or_else(damaged)?;
            match kind {
                MSG_NIL => {}
                MSG_CONTINUATION => {
                    let of = |at: usize| data.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
                    let (at, length) = of(0).zip(of(8)).ok_or_else(damaged)?;
                    left.push_back((u64::from_le_bytes(at), u64::from_le_bytes(length)));
                }
                _ => self.messages.push(Message { kind, flags, order, data: data.to_vec() }),
            }
            block = rest;
        }
        Ok(())
    }

    /// Whether blocks end with a checksum, as of version 2.
    pub(super) fn is_checked(&self) -> bool {
        self.prefix[0] == b'O'
    }

    /// Bytes of a message before its data.
    fn envelope(&self) -> usize {
        match self.is_checked() {
            true if self.prefix[5] & 4 != 0 => 6,
            true => 4,
            false => 8,
        }
    }

    /// The only message of a kind.
    pub(super) fn only(&self, kind: u16) -> Result<&Message, String> {
        let mut all = self.messages.iter().filter(|message| message.kind == kind);
        all.next().filter(|_| all.next().is_none()).ok_or_else(damaged)
    }

    /// Another message in place of the one of its kind.
    pub(super) fn replace(&mut self, kind: u16, data: Vec<u8>) {
        for message in self.messages.iter_mut().filter(|message| message.kind == kind) {
            message.flags &= !SHARED;
            message.data.clone_from(&data);
        }
    }

    /// Writes it to where it was; what no longer fits there, to another place.
    pub(super) fn write(&self, space: &mut Space) -> Result<(), String> {
        let mut all = Vec::new();
        for message in &self.messages {
            all.push(self.encode(message.kind, message.flags, message.order, &message.data)?);
        }
        let total: usize = all.iter().map(Vec::len).sum();
        let (mut first, mut rest) = (Vec::new(), Vec::new());
        let mut count = all.len();
        if total <= self.room {
            first = all.concat();
        } else {
            let follows = self.envelope() + CONTINUATION;
            let room = self.room.checked_sub(follows).ok_or_else(damaged)?;
            for message in all {
                let is_first = rest.is_empty() && first.len() + message.len() <= room;
                (if is_first { &mut first } else { &mut rest }).extend(message);
            }
            if self.is_checked() {
                rest.splice(..0, *b"OCHK");
                rest.extend(jenkins_lookup3(&rest).to_le_bytes());
            }
            let at = space.put(&rest)?;
            let place = [at.to_le_bytes(), (rest.len() as u64).to_le_bytes()].concat();
            first.extend(self.encode(MSG_CONTINUATION, 0, [0; 2], &place)?);
            count += 1;
        }
        // What is left is a message of nothing, or too little for one.
        while self.room - first.len() >= self.envelope() {
            let empty = (self.room - first.len() - self.envelope()).min(usize::from(u16::MAX) & !7);
            first.extend(self.encode(MSG_NIL, 0, [0; 2], &vec![0; empty])?);
            count += 1;
        }
        first.resize(self.room, 0);
        let mut prefix = self.prefix.clone();
        if !self.is_checked() {
            let count = u16::try_from(count).map_err(|_| damaged())?;
            prefix[2..4].copy_from_slice(&count.to_le_bytes());
        }
        let mut block = [prefix, first].concat();
        if self.is_checked() {
            block.extend(jenkins_lookup3(&block).to_le_bytes());
        }
        space.write(self.address, &block)
    }

    fn encode(&self, kind: u16, flags: u8, order: [u8; 2], data: &[u8]) -> Result<Vec<u8>, String> {
        // Of version 1 all are multiples of eight bytes.
        let length = if self.is_checked() { data.len() } else { data.len().next_multiple_of(8) };
        let size = u16::try_from(length).map_err(|_| "its header would be too large".to_owned())?;
        let size = size.to_le_bytes();
        let mut bytes = if self.is_checked() {
            vec![kind as u8, size[0], size[1], flags]
        } else {
            [kind.to_le_bytes(), size, [flags, 0], [0; 2]].concat()
        };
        if self.envelope() == 6 {
            bytes.extend(order);
        }
        bytes.extend(data);
        bytes.resize(self.envelope() + length, 0);
        Ok(bytes)
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Result<u32, String> {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    four.map(u32::from_le_bytes).ok_or_else(damaged)
}

pub(super) fn damaged() -> String {
    "its header is damaged".to_owned()
}
