//! The values of a dataset, as they lie in an HDF5 file and are put there anew: in its header, in one piece, or
//! in chunks with an index.

use super::filters::Filters;
use super::header::{Header, damaged};
use super::space::{NOWHERE, Space};
use crate::clean::arrays::{push, read};
use crate::readers::Dtype;
use crate::readers::hdf5::MOST_READ;
use hdf5_reader::messages::layout::{ChunkIndexing, DataLayout};
use hdf5_reader::messages::{
    HdfMessage, MSG_DATA_LAYOUT, MSG_DATASPACE, MSG_DATATYPE, MSG_EXTERNAL_FILES, MSG_FILL_VALUE,
    MSG_FILL_VALUE_OLD, MSG_FILTER_PIPELINE,
};
use hdf5_reader::{Hdf5File, btree_v1, chunk_index, extensible_array, fixed_array};
use std::io::{self, Write};

/// Bytes that are written at once where values lie in one piece.
const PIECE: usize = 1 << 20;
/// Values of more bytes do not lie in a header.
const MOST_COMPACT: usize = 32 << 10;
/// The message of float32, least significant byte first.
const FLOAT: [u8; 20] = [0x11, 0x20, 31, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0];

/// What a dataset becomes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Becomes {
    /// Rows along the first axis; of one number, one.
    pub(super) rows: u64,
    /// Whether elements of this type become float32.
    pub(super) float_of: Option<Dtype>,
    /// Whether the most significant byte comes first now.
    pub(super) is_big_endian: bool,
}

/// A dataset that is written anew.
pub(super) struct Stored {
    header: Header,
    layout: DataLayout,
    /// Sides of a chunk.
    chunk: Vec<u64>,
    filters: Filters,
    shape: Vec<u64>,
    /// Bytes of an element, …
    element: usize,
    /// … and whether they come in another order than they are stored in.
    is_swapped: bool,
    /// An element that is not written.
    fill: Vec<u8>,
    /// Places that its values take up now.
    places: Vec<(u64, u64)>,
    /// Half the number of children of a node of an index.
    children: u16,
}

impl Stored {
    /// What a dataset becomes; or why that cannot be written.
    pub(super) fn of(
        file: &Hdf5File,
        dataset: &hdf5_reader::Dataset,
        becomes: Becomes,
        children: u16,
    ) -> Result<Self, String> {
        let say = |error: hdf5_reader::error::Error| error.to_string();
        let mut header = Header::of(file, dataset.address())?;
        header.only(MSG_DATASPACE)?;
        header.only(MSG_DATATYPE)?;
        if header.only(MSG_DATA_LAYOUT)?.is_shared() {
            return Err(damaged());
        }
        if header.messages.iter().any(|message| message.kind == MSG_EXTERNAL_FILES) {
            return Err("its values lie in another file, which denan does not write".to_owned());
        }
        let parsed = file.get_or_parse_header(dataset.address()).map_err(say)?;
        let layout = parsed.messages.iter().find_map(|message| match message {
            HdfMessage::DataLayout(message) => Some(message.layout.clone()),
            _ => None,
        });
        let layout = layout.ok_or_else(damaged)?;
        let before = dataset.raw_element_size().map_err(say)?;
        if before == 0 || before as u64 > MOST_READ {
            return Err(damaged());
        }
        let chunk: Vec<u64> = dataset.chunks().unwrap_or_default().into_iter().map(u64::from).collect();
        let places = places(file, dataset, &layout, before).unwrap_or_default();

        let mut shape = dataset.shape().to_vec();
        if let Some(first) = shape.first_mut().filter(|first| **first != becomes.rows) {
            let most = dataset.max_dims().map(|most| {
                let mut most = most.to_vec();
                // What could not grow cannot grow now.
                if most[0] == *first {
                    most[0] = becomes.rows;
                }
                most
            });
            *first = becomes.rows;
            let message = dataspace(&header, &shape, most.as_deref());
            header.replace(MSG_DATASPACE, message);
        }
        let pipeline = header.messages.iter().position(|message| message.kind == MSG_FILTER_PIPELINE);
        let mut filters = Filters::default();
        if let Some(number) = pipeline.filter(|_| !chunk.is_empty()) {
            let message = &mut header.messages[number];
            if message.is_shared() {
                return Err("its filters are told elsewhere, which denan does not write".to_owned());
            }
            filters = Filters::of(message)?;
            if becomes.float_of.is_some() {
                let bytes = chunk.iter().product::<u64>().saturating_mul(4);
                filters.resize(4, u32::try_from(bytes).unwrap_or(0), &mut message.data);
            }
        }
        let mut fill = dataset.fill_value().and_then(|fill| fill.value.clone()).unwrap_or_default();
        fill.resize(before, 0);
        let mut element = before;
        if let Some(dtype) = becomes.float_of {
            if becomes.is_big_endian {
                fill.reverse();
            }
            let value = read(dtype, &fill);
            fill.clear();
            push(Dtype::F32, value, &mut fill);
            element = fill.len();
            header.replace(MSG_DATATYPE, FLOAT.to_vec());
            // Where it is told elsewhere, it is none that anything was filled with.
            header.messages.retain(|message| !is_fill(message.kind) || !message.is_shared());
            for message in header.messages.iter_mut().filter(|message| is_fill(message.kind)) {
                if let Some(data) = filled(message.kind, &message.data, before, &fill) {
                    message.data = data;
                }
            }
        }
        if matches!(layout, DataLayout::Chunked { .. }) {
            if chunk.is_empty() || chunk.len() != shape.len() || chunk.contains(&0) {
                return Err(damaged());
            }
            let bytes =
                |sides: &[u64]| sides.iter().try_fold(element as u64, |all, side| all.checked_mul(*side));
            let band = [&chunk[..1], &shape[1..]].concat();
            if [bytes(&chunk), bytes(&band)].iter().any(|bytes| bytes.is_none_or(|bytes| bytes > MOST_READ)) {
                return Err("its chunks are larger than what denan holds in memory".to_owned());
            }
        }
        let is_swapped = becomes.is_big_endian && becomes.float_of.is_none() && element > 1;
        Ok(Self { header, layout, chunk, filters, shape, element, is_swapped, fill, places, children })
    }

    /// Begins to write it; its rows follow.
    pub(super) fn begin(self, space: &mut Space) -> Result<Writer<'_>, String> {
        self.places.iter().for_each(|(at, length)| space.free(*at, *length));
        let bytes = self.shape.iter().try_fold(self.element as u64, |all, side| all.checked_mul(*side));
        let bytes = bytes.ok_or_else(damaged)?;
        let is_compact = matches!(self.layout, DataLayout::Compact { .. }) && bytes as usize <= MOST_COMPACT;
        let keeps = match self.chunk.first() {
            Some(chunk) => (chunk * (bytes / self.shape[0].max(1))) as usize,
            None if is_compact => MOST_COMPACT,
            None => PIECE,
        };
        let is_piece = self.chunk.is_empty() && !is_compact && bytes > 0;
        let at = if is_piece { space.place(bytes) } else { NOWHERE };
        Ok(Writer {
            stored: self,
            space,
            keeps,
            kept: Vec::new(),
            is_compact,
            at,
            written: 0,
            bytes,
            chunks: Vec::new(),
        })
    }
}

fn is_fill(kind: u16) -> bool {
    kind == MSG_FILL_VALUE || kind == MSG_FILL_VALUE_OLD
}

/// The message of a fill value, with one of another size; `None` where there is none in it.
fn filled(kind: u16, message: &[u8], before: usize, fill: &[u8]) -> Option<Vec<u8>> {
    let at = match (kind, message.first()?) {
        (MSG_FILL_VALUE_OLD, _) => 0,
        (_, 3) if message.get(1)? & 0x20 == 0 => return None,
        (_, 3) => 2,
        _ => 4,
    };
    let size = u32::from_le_bytes(message.get(at..at + 4)?.try_into().ok()?);
    (size as usize == before).then(|| [&message[..at], &(fill.len() as u32).to_le_bytes(), fill].concat())
}

/// The message of a shape.
fn dataspace(header: &Header, shape: &[u64], most: Option<&[u64]>) -> Vec<u8> {
    let (rank, flags) = (shape.len() as u8, u8::from(most.is_some()));
    let start: &[u8] =
        if header.is_checked() { &[2, rank, flags, 1] } else { &[1, rank, flags, 0, 0, 0, 0, 0] };
    let sides = shape.iter().chain(most.unwrap_or_default());
    start.iter().copied().chain(sides.flat_map(|side| side.to_le_bytes())).collect()
}

/// The places that the values of a dataset take up.
fn places(
    file: &Hdf5File,
    dataset: &hdf5_reader::Dataset,
    layout: &DataLayout,
    element: usize,
) -> hdf5_reader::error::Result<Vec<(u64, u64)>> {
    let DataLayout::Chunked { address, chunk_indexing, .. } = layout else {
        return Ok(match layout {
            DataLayout::Contiguous { address, size } if *address != NOWHERE => vec![(*address, *size)],
            _ => Vec::new(),
        });
    };
    let (at, storage, shape) = (*address, file.storage(), dataset.shape());
    let sides = dataset.chunks().unwrap_or_default();
    if at == NOWHERE {
        return Ok(Vec::new());
    }
    let whole = sides.iter().fold(element as u64, |all, side| all.saturating_mul((*side).into()));
    let entries = match chunk_indexing {
        None => {
            let rank = Some(shape.len() as u32);
            let leaves = btree_v1::collect_btree_v1_leaves_storage(storage, at, 8, 8, rank, &sides, None)?;
            let size = |key: &btree_v1::BTreeV1Key| match key {
                btree_v1::BTreeV1Key::RawData { chunk_size, .. } => u64::from(*chunk_size),
                btree_v1::BTreeV1Key::Group { .. } => 0,
            };
            return Ok(leaves.iter().map(|(key, at)| (*at, size(key))).collect());
        }
        Some(ChunkIndexing::SingleChunk { filtered_size, .. }) => {
            return Ok(vec![(at, if *filtered_size == 0 { whole } else { *filtered_size })]);
        }
        Some(ChunkIndexing::Implicit) => {
            chunk_index::collect_implicit_chunk_entries(at, shape, &sides, element, None, storage.len())?
        }
        Some(ChunkIndexing::FixedArray { .. }) => {
            fixed_array::collect_fixed_array_chunk_entries_storage(storage, at, 8, 8, shape, &sides, None)?
        }
        Some(ChunkIndexing::ExtensibleArray { .. }) => {
            let most = dataset.max_dims();
            extensible_array::collect_extensible_array_chunk_entries_storage(
                storage, at, 8, 8, shape, most, &sides, None,
            )?
        }
        Some(ChunkIndexing::BTreeV2) => {
            let rank = shape.len() as u32;
            chunk_index::collect_v2_chunk_entries_storage(storage, at, 8, 8, rank, &sides, None)?
        }
    };
    let size = |entry: &chunk_index::ChunkEntry| if entry.size == 0 { whole } else { entry.size };
    Ok(entries.iter().map(|entry| (entry.address, size(entry))).collect())
}

/// Takes in the rows of a dataset, one after another and each whole.
///
/// A band of chunks is held in memory at a time.
pub(super) struct Writer<'a> {
    stored: Stored,
    space: &'a mut Space,
    /// Bytes that are held before they are written.
    keeps: usize,
    kept: Vec<u8>,
    /// Whether they are held until they go into the header.
    is_compact: bool,
    /// Where the values go that lie in one piece.
    at: u64,
    written: u64,
    bytes: u64,
    /// Where each chunk is: its address, its length, and the filters it did not go through.
    chunks: Vec<(u64, u32, u32)>,
}

impl Write for Writer<'_> {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<usize> {
        let all = bytes.len();
        while !bytes.is_empty() {
            // Whole elements, as each row is.
            let room = self.keeps.saturating_sub(self.kept.len()).max(1);
            let (now, rest) = bytes.split_at(room.next_multiple_of(self.stored.element).min(bytes.len()));
            let before = self.kept.len();
            self.kept.extend(now);
            if self.stored.is_swapped {
                self.kept[before..].chunks_exact_mut(self.stored.element).for_each(<[u8]>::reverse);
            }
            bytes = rest;
            if self.kept.len() >= self.keeps {
                self.flush()?;
            }
        }
        Ok(all)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.put().map_err(io::Error::other)
    }
}

impl Writer<'_> {
    /// Writes what is held.
    fn put(&mut self) -> Result<(), String> {
        let now = self.written + self.kept.len() as u64;
        if now > self.bytes {
            return Err("it has more values than its shape says".to_owned());
        }
        if self.is_compact || self.kept.is_empty() {
            return Ok(());
        }
        let kept = std::mem::take(&mut self.kept);
        let at = self.at.wrapping_add(self.written);
        self.written = now;
        if self.stored.chunk.is_empty() { self.space.write(at, &kept) } else { self.put_chunks(&kept) }
    }

    /// Writes the chunks of a band of rows.
    fn put_chunks(&mut self, band: &[u8]) -> Result<(), String> {
        let Stored { chunk, shape, element, fill, filters, .. } = &self.stored;
        let row: u64 = shape[1..].iter().product::<u64>() * *element as u64;
        let sides: Vec<u64> =
            std::iter::once(band.len() as u64 / row).chain(shape[1..].iter().copied()).collect();
        let count: u64 = chunk.iter().product();
        let mut origin = vec![0; chunk.len()];
        loop {
            let mut out = fill.repeat(count as usize);
            cut(band, &sides, chunk, &origin, *element, &mut out);
            let (out, left_out) = filters.encode(out, *element)?;
            let length = u32::try_from(out.len()).map_err(|_| "a chunk is too large".to_owned())?;
            self.chunks.push((self.space.put(&out)?, length, left_out));
            // The next chunk of the band.
            let next = (1..chunk.len()).rev().find(|axis| {
                origin[*axis] += chunk[*axis];
                let is_there = origin[*axis] < sides[*axis];
                if !is_there {
                    origin[*axis] = 0;
                }
                is_there
            });
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// Writes what is left, and the header.
    pub(super) fn finish(mut self) -> Result<(), String> {
        self.put()?;
        if self.written + self.kept.len() as u64 != self.bytes {
            return Err("it has fewer values than its shape says".to_owned());
        }
        let sides = |sides: &[u64]| sides.iter().flat_map(|side| (*side as u32).to_le_bytes()).collect();
        let layout = match &self.stored.layout {
            DataLayout::Chunked { .. } => {
                let index = self.index()?;
                let sides: Vec<u8> = sides(&self.stored.chunk);
                let element = (self.stored.element as u32).to_le_bytes();
                let rank = self.stored.chunk.len() as u8 + 1;
                [&[3, 2, rank], &index.to_le_bytes()[..], &sides, &element].concat()
            }
            _ if self.is_compact => {
                [&[3, 0], &(self.kept.len() as u16).to_le_bytes()[..], &self.kept].concat()
            }
            _ => [&[3, 1], &self.at.to_le_bytes()[..], &self.bytes.to_le_bytes()].concat(),
        };
        let mut header = self.stored.header;
        header.replace(MSG_DATA_LAYOUT, layout);
        header.write(self.space)
    }

    /// Writes the index of the chunks, a B-tree of version 1, which every version of HDF5 reads.
    fn index(&mut self) -> Result<u64, String> {
        let Stored { chunk, shape, element, .. } = &self.stored;
        let grid: Vec<u64> = shape.iter().zip(chunk).map(|(side, chunk)| side.div_ceil(*chunk)).collect();
        let most = 2 * usize::from(self.stored.children);
        let key_bytes = 8 * (chunk.len() + 2);
        let node_bytes = 24 + (most + 1) * key_bytes + most * 8;
        let key = |number: u64, length: u32, left_out: u32, is_after: bool| {
            let mut rest = number;
            let mut at = vec![if is_after { *element as u64 } else { 0 }];
            for (sides, chunk) in grid.iter().zip(chunk).rev() {
                at.push((rest % sides + u64::from(is_after)) * chunk);
                rest /= sides;
            }
            let at = at.iter().rev().flat_map(|at| at.to_le_bytes());
            length.to_le_bytes().into_iter().chain(left_out.to_le_bytes()).chain(at).collect::<Vec<u8>>()
        };
        let mut children: Vec<(Vec<u8>, u64)> = self
            .chunks
            .iter()
            .zip(0..)
            .map(|((at, length, left_out), number)| (key(number, *length, *left_out, false), *at))
            .collect();
        let Some(last) = self.chunks.len().checked_sub(1) else { return Ok(NOWHERE) };
        let last = key(last as u64, 0, 0, true);
        for level in 0u8.. {
            let nodes = children.len().div_ceil(most);
            let start = self.space.place((nodes * node_bytes) as u64);
            let at = |number: usize| start + (number * node_bytes) as u64;
            let mut above = Vec::new();
            for (number, own) in children.chunks(most).enumerate() {
                let before = number.checked_sub(1).map_or(NOWHERE, at);
                let after = if number + 1 < nodes { at(number + 1) } else { NOWHERE };
                let mut node = [b"TREE".as_slice(), &[1, level], &(own.len() as u16).to_le_bytes()].concat();
                node.extend(before.to_le_bytes());
                node.extend(after.to_le_bytes());
                for (key, at) in own {
                    node.extend(key);
                    node.extend(at.to_le_bytes());
                }
                node.extend(children.get((number + 1) * most).map_or(&last, |(key, _)| key));
                node.resize(node_bytes, 0);
                self.space.write(at(number), &node)?;
                above.push((own[0].0.clone(), at(number)));
            }
            if nodes == 1 {
                return Ok(start);
            }
            children = above;
        }
        Err(damaged())
    }
}

/// Copies the part of a band of rows that lies in a chunk.
fn cut(band: &[u8], sides: &[u64], chunk: &[u64], origin: &[u64], element: usize, out: &mut [u8]) {
    let count = (sides[0] - origin[0]).min(chunk[0]) as usize;
    if sides.len() == 1 {
        let from = origin[0] as usize * element;
        out[..count * element].copy_from_slice(&band[from..from + count * element]);
        return;
    }
    let step = |sides: &[u64]| sides[1..].iter().product::<u64>() as usize * element;
    let (of_band, of_chunk) = (step(sides), step(chunk));
    for line in 0..count {
        let from = (origin[0] as usize + line) * of_band;
        let (band, out) = (&band[from..from + of_band], &mut out[line * of_chunk..][..of_chunk]);
        cut(band, &sides[1..], &chunk[1..], &origin[1..], element, out);
    }
}
