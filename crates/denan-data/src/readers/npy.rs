//! numpy's `.npy`, one array, and `.npz`, a ZIP archive of several.

use super::array::{Array, Stored, stored, stream};
use super::values::{Values, aligned, swap};
use super::{Dtype, Piece, Reader};
use crate::columns::{Gather, Rows, Schema, Shape};
use crate::guarded::caught;
use crate::listing::DataFile;
use npyz::{DType, NpyHeader, Order, TypeChar};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// More columns than these are no columns.
const MOST_COLUMNS: u64 = 1 << 16;
/// An array in an archive that is stored column by column is written anew only if it has no more bytes.
const MOST_TURNED: u64 = 1 << 30;
/// A header is a line of text.
const MOST_HEADER: u32 = 1 << 20;

/// An array's header, read from its beginning.
pub(crate) struct Header {
    pub(crate) array: Array,
    pub(crate) is_column_major: bool,
    /// Bytes of it.
    bytes: u64,
}

pub(crate) fn header(name: &str, from: &mut dyn Read) -> Result<Header, String> {
    let mut start = [0; 12];
    let not_npy = || "it is no numpy array: it does not begin with \\x93NUMPY".to_owned();
    from.read_exact(&mut start[..10]).map_err(|_| not_npy())?;
    if !start.starts_with(b"\x93NUMPY") {
        return Err(not_npy());
    }
    let (length, begin) = if start[6] == 1 {
        (u32::from(u16::from_le_bytes([start[8], start[9]])), 10)
    } else {
        from.read_exact(&mut start[10..]).map_err(|_| "it ends within its header".to_owned())?;
        (u32::from_le_bytes([start[8], start[9], start[10], start[11]]), 12)
    };
    if length > MOST_HEADER {
        return Err(format!("its header claims {length} bytes"));
    }
    let mut bytes = start[..begin].to_vec();
    bytes.resize(begin + length as usize, 0);
    from.read_exact(&mut bytes[begin..]).map_err(|_| "it ends within its header".to_owned())?;
    // It multiplies the sizes, which may be any.
    let header = caught(|| NpyHeader::from_reader(&bytes[..]))
        .map_err(|_| "its shape has more values than can be counted".to_owned())?
        .map_err(|error| format!("its header cannot be read: {error}"))?;
    let unknown = |what: String| format!("it holds {what}, which denan does not read");
    let (dtype, is_big_endian) = match header.dtype() {
        DType::Plain(of) if of.type_char() == TypeChar::Object => {
            return Err(unknown("Python objects (a pickle)".to_owned()));
        }
        DType::Plain(of) => {
            Dtype::from_numpy(&of.to_string()).ok_or_else(|| unknown(format!("elements of type {of}")))?
        }
        _ => return Err(unknown("records of several fields".to_owned())),
    };
    let array = Array { name: name.to_owned(), dtype, shape: header.shape().to_vec(), is_big_endian };
    let is_column_major =
        header.order() == Order::Fortran && array.shape.iter().filter(|size| **size > 1).count() > 1;
    Ok(Header { array, is_column_major, bytes: bytes.len() as u64 })
}

/// Reads a `.npy` file.
pub(crate) fn open(path: &Path, file: &DataFile, axis: Option<usize>) -> Result<Box<dyn Reader>, String> {
    let mut open = BufReader::new(File::open(path).map_err(|error| error.to_string())?);
    let Header { array, is_column_major, bytes } = header("", &mut open)?;
    if is_column_major {
        let file = file.clone();
        let piece: Piece = Box::new(move |to| column_major(to, &array, &file, &mut open));
        return Ok(Box::new(Only(Some(piece))));
    }
    Ok(Box::new(stored(path, vec![Stored { array, offset: bytes }], Vec::new(), file, axis)?))
}

/// Each array of a `.npy` or `.npz` file with its bytes, row by row.
pub(crate) fn each(
    path: &Path,
    take: &mut dyn FnMut(&Array, &mut dyn Read) -> Result<(), String>,
) -> Result<(), String> {
    if crate::image_file::extension(path) == "npy" {
        let mut from = BufReader::new(File::open(path).map_err(|error| error.to_string())?);
        let Header { array, is_column_major, bytes } = header("", &mut from)?;
        if is_column_major {
            return take(&array, &mut Turned::new(&array, from, bytes)?);
        }
        return take(&array, &mut from);
    }
    let mut archive = archive(path)?;
    for number in 0..archive.len() {
        let mut entry = archive.by_index(number).map_err(|error| error.to_string())?;
        let name = entry.name().map_err(|error| error.to_string())?.into_owned();
        let name = name.strip_suffix(".npy").unwrap_or(&name).to_owned();
        let one = || {
            let Header { array, is_column_major, .. } = header(&name, &mut entry)?;
            if is_column_major {
                let whole = array.bytes().filter(|bytes| *bytes <= MOST_TURNED);
                let whole = whole.ok_or("it is stored column by column (Fortran order), and too large")?;
                let mut bytes = Vec::new();
                entry.take(whole).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
                return take(&array, &mut Turned::new(&array, Cursor::new(bytes), 0)?);
            }
            take(&array, &mut entry)
        };
        one().map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

/// An array of two dimensions that is stored column by column, given row by row.
struct Turned<R> {
    from: R,
    /// The first byte of the values.
    begin: u64,
    /// Rows, columns and bytes of a value.
    sizes: [u64; 3],
    /// The first row that has not been read.
    row: u64,
    /// Some rows, and how many bytes of them have been given.
    block: Vec<u8>,
    given: usize,
}

impl<R: Read + Seek> Turned<R> {
    fn new(array: &Array, from: R, begin: u64) -> Result<Self, String> {
        let [rows, columns] = array.shape[..] else {
            return Err("it is stored column by column (Fortran order)".to_owned());
        };
        let sizes = [rows, columns, array.dtype.size()];
        Ok(Self { from, begin, sizes, row: 0, block: Vec::new(), given: 0 })
    }

    /// Reads the next rows.
    fn fill(&mut self) -> std::io::Result<()> {
        /// Bytes of the rows that are read at once.
        const BLOCK: u64 = 16 << 20;
        let [rows, columns, size] = self.sizes;
        let count = (BLOCK / (columns * size).max(1)).clamp(1, rows - self.row);
        let row_bytes = (columns * size) as usize;
        let size = size as usize;
        self.block.resize(count as usize * row_bytes, 0);
        let mut part = vec![0; count as usize * size];
        for column in 0..columns {
            self.from.seek(SeekFrom::Start(self.begin + (column * rows + self.row) * size as u64))?;
            self.from.read_exact(&mut part)?;
            let at = column as usize * size;
            for (row, value) in self.block.chunks_exact_mut(row_bytes).zip(part.chunks_exact(size)) {
                row[at..at + size].copy_from_slice(value);
            }
        }
        self.row += count;
        self.given = 0;
        Ok(())
    }
}

impl<R: Read + Seek> Read for Turned<R> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        if self.given == self.block.len() && self.row < self.sizes[0] && self.sizes[1] > 0 {
            self.fill()?;
        }
        let count = to.len().min(self.block.len() - self.given);
        to[..count].copy_from_slice(&self.block[self.given..][..count]);
        self.given += count;
        Ok(count)
    }
}

/// How the arrays of a `.npz` are compressed.
pub(crate) fn compression(path: &Path) -> Result<zip::CompressionMethod, String> {
    let mut archive = archive(path)?;
    if archive.is_empty() {
        return Ok(zip::CompressionMethod::Stored);
    }
    archive.by_index_raw(0).map(|entry| entry.compression()).map_err(|error| error.to_string())
}

/// The header of an array of this type and shape, row by row, least significant bytes first.
pub(crate) fn header_of(dtype: Dtype, shape: &[u64]) -> Vec<u8> {
    /// Values begin at a multiple of this (NEP 1).
    const ALIGNMENT: usize = 64;
    let kind = match dtype {
        Dtype::F16 | Dtype::F32 | Dtype::F64 => 'f',
        Dtype::I8 | Dtype::I16 | Dtype::I32 | Dtype::I64 => 'i',
        Dtype::Bool => 'b',
        // numpy has no bfloat16; what is read is never one.
        Dtype::BF16 | Dtype::U8 | Dtype::U16 | Dtype::U32 | Dtype::U64 => 'u',
    };
    let order = if dtype.size() == 1 { '|' } else { '<' };
    let sizes: String = shape.iter().map(|size| format!("{size}, ")).collect();
    let sizes =
        if shape.len() == 1 { sizes.trim_end().to_owned() } else { sizes.trim_end_matches(", ").to_owned() };
    let mut text =
        format!("{{'descr': '{order}{kind}{}', 'fortran_order': False, 'shape': ({sizes}), }}", dtype.size());
    let before = 10;
    let end = (before + text.len() + 1).next_multiple_of(ALIGNMENT);
    text.push_str(&" ".repeat(end - before - text.len() - 1));
    text.push('\n');
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend(u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    header.extend(text.into_bytes());
    header
}

/// A file that is one piece.
pub(crate) struct Only(pub(crate) Option<Piece>);

impl Reader for Only {
    fn next(&mut self) -> Result<Option<Piece>, String> {
        Ok(self.0.take())
    }
}

/// An array of two dimensions that is stored column by column.
fn column_major(
    to: &mut Gather<'_>,
    array: &Array,
    file: &DataFile,
    from: &mut dyn Read,
) -> Result<(), String> {
    /// Values that are read at once.
    const CHUNK: u64 = 1 << 16;
    let [rows, columns] = array.shape[..] else {
        return Err(
            "it is stored column by column (Fortran order), which denan reads of two dimensions only; \
             np.save(file, np.ascontiguousarray(x)) stores it row by row"
                .to_owned(),
        );
    };
    if columns > MOST_COLUMNS {
        return Err(format!("it is stored column by column (Fortran order) and has {columns} columns"));
    }
    let names = (0..columns).map(|number| number.to_string()).collect();
    let schema = Arc::new(Schema {
        group: file.group.clone(),
        name: array.name.clone(),
        columns: names,
        shape: Shape::Table,
    });
    let id = to.table(&schema, Some(format!("{} (n, {columns})", array.dtype)));
    let size = array.dtype.size() as usize;
    let mut buffer = Vec::new();
    for column in 0..columns as usize {
        let mut row = 0;
        while row < rows {
            let count = CHUNK.min(rows - row);
            let bytes = aligned(&mut buffer, count as usize * size);
            from.read_exact(bytes).map_err(|_| "it ends before all of its values".to_owned())?;
            if array.is_big_endian {
                swap(bytes, size);
            }
            to.cells(id, column, Values::of_bytes(array.dtype, bytes), Rows::From(row));
            row += count;
        }
    }
    to.rows(id, rows);
    Ok(())
}

/// Reads a `.npz` archive, array by array.
pub(crate) struct Npz {
    path: PathBuf,
    file: DataFile,
    axis: Option<usize>,
    left: VecDeque<usize>,
}

impl Npz {
    pub(crate) fn open(path: &Path, file: &DataFile, axis: Option<usize>) -> Result<Self, String> {
        let archive = archive(path)?;
        let left = (0..archive.len()).collect();
        Ok(Self { path: path.to_owned(), file: file.clone(), axis, left })
    }
}

fn archive(path: &Path) -> Result<zip::ZipArchive<BufReader<File>>, String> {
    /// Entries of an archive; each takes memory.
    const MOST: usize = 1 << 20;
    let open = File::open(path).map_err(|error| error.to_string())?;
    let archive = zip::ZipArchive::new(BufReader::new(open))
        .map_err(|error| format!("it is no ZIP archive that can be read: {error}"))?;
    if archive.len() > MOST { Err(format!("it has {} entries", archive.len())) } else { Ok(archive) }
}

impl Reader for Npz {
    fn pieces(&self) -> Option<u64> {
        Some(self.left.len() as u64)
    }

    fn skip(&mut self, pieces: u64) {
        self.left.drain(..self.left.len().min(pieces as usize));
    }

    fn next(&mut self) -> Result<Option<Piece>, String> {
        let Some(number) = self.left.pop_front() else { return Ok(None) };
        let (path, file, axis) = (self.path.clone(), self.file.clone(), self.axis);
        Ok(Some(Box::new(move |to| {
            let mut archive = archive(&path)?;
            let mut entry = archive.by_index(number).map_err(|error| error.to_string())?;
            let name = entry.name().map_err(|error| error.to_string())?.into_owned();
            let name = name.strip_suffix(".npy").unwrap_or(&name).to_owned();
            let Header { array, is_column_major, .. } =
                header(&name, &mut entry).map_err(|error| format!("{name}: {error}"))?;
            if is_column_major {
                return column_major(to, &array, &file, &mut entry)
                    .map_err(|error| format!("{name}: {error}"));
            }
            stream(to, &array, &file, axis, &mut entry)
        })))
    }
}
