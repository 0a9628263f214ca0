//! Arrow's own files and streams, and Feather version 2, which is the same.

use super::batch;
use super::{Piece, Reader};
use crate::columns::Schema;
use crate::listing::DataFile;
use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader, read_footer_length};
use arrow_schema::SchemaRef;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a file begins with; a stream does not.
const FILE: &[u8] = b"ARROW1";
const FEATHER_1: &[u8] = b"FEA1";

/// Opens a file or a stream.
pub(crate) fn open(path: &Path, file: &DataFile) -> Result<Box<dyn Reader>, String> {
    let mut start = [0; 6];
    let mut open = File::open(path).map_err(|error| error.to_string())?;
    open.read_exact(&mut start).map_err(|_| "it is no Arrow file: it is too short".to_owned())?;
    if start.starts_with(FEATHER_1) {
        return Err("it is of Feather version 1; pyarrow.feather.write_feather(table, path, version=2) writes what denan reads".to_owned());
    }
    if start == FILE {
        check_file(&open)?;
        let reader = reader(path)?;
        let (schema, layout) = batch::schema(reader.schema().fields(), file);
        let count = reader.num_batches();
        return Ok(Box::new(Batches { path: path.to_owned(), schema, layout, next: 0, count }));
    }
    check_stream(&open)?;
    let open = BufReader::new(File::open(path).map_err(|error| error.to_string())?);
    let stream =
        StreamReader::try_new(open, None).map_err(|error| format!("it is no Arrow file: {error}"))?;
    let (schema, layout) = batch::schema(stream.schema().fields(), file);
    Ok(Box::new(Stream { stream, schema, layout, is_empty: true }))
}

/// Bytes of a compressed batch once it is not; it is held in memory.
const MOST_BATCH: u64 = 1 << 30;

/// Refuses a file that says that a batch lies where there is none, or is larger than it can be: it would be given the
/// memory for it.
fn check_file(file: &File) -> Result<(), String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let at_end = length.checked_sub(10).ok_or_else(damaged)?;
    let end: Vec<u8> = bytes_at(file, at_end, 10).ok_or_else(damaged)?;
    let size =
        read_footer_length(end.try_into().map_err(|_| damaged())?).map_err(|error| error.to_string())?;
    let begin = at_end.checked_sub(size as u64).ok_or_else(damaged)?;
    let footer = bytes_at(file, begin, size as u64).ok_or_else(damaged)?;
    let footer = arrow_ipc::root_as_footer(&footer).map_err(|_| damaged())?;
    for block in [footer.dictionaries(), footer.recordBatches()].into_iter().flatten().flatten() {
        let at = u64::try_from(block.offset()).map_err(|_| damaged())?;
        let (message, body) = message_at(file, at, length)?.ok_or_else(damaged)?;
        let ends = [(block.metaDataLength().into(), at), (block.bodyLength(), body)];
        let is_within = |(size, at): (i64, u64)| {
            u64::try_from(size).is_ok_and(|size| at.checked_add(size).is_some_and(|end| end <= length))
        };
        if !ends.into_iter().all(is_within) {
            return Err(damaged());
        }
        check_batch(file, &message, body)?;
    }
    Ok(())
}

/// The same of a stream, up to where it cannot be read.
fn check_stream(file: &File) -> Result<(), String> {
    let length = file.metadata().map_err(|error| error.to_string())?.len();
    let mut at = 0;
    while let Ok(Some((message, body))) = message_at(file, at, length) {
        check_batch(file, &message, body)?;
        let size = arrow_ipc::root_as_message(&message).map_or(0, |message| message.bodyLength());
        match u64::try_from(size).ok().and_then(|size| body.checked_add(size)) {
            Some(next) if next <= length => at = next,
            _ => break,
        }
    }
    Ok(())
}

fn damaged() -> String {
    "what it says of its batches is damaged".to_owned()
}

fn bytes_at(file: &File, at: u64, size: u64) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    file.read_exact_at(&mut bytes, at).ok()?;
    Some(bytes)
}

/// The message at a place of a file, and where its body begins; nothing at the end.
fn message_at(file: &File, at: u64, length: u64) -> Result<Option<(Vec<u8>, u64)>, String> {
    /// What a message begins with since version 0.15 of Arrow.
    const MARK: [u8; 4] = [0xff; 4];
    let number = |at: u64| -> Option<[u8; 4]> { bytes_at(file, at, 4)?.try_into().ok() };
    let Some(first) = number(at) else { return Ok(None) };
    let (size, begin) = match first == MARK {
        true => (number(at + 4).ok_or_else(damaged)?, at + 8),
        false => (first, at + 4),
    };
    let size = u64::from(u32::from_le_bytes(size));
    if size == 0 {
        return Ok(None);
    }
    let body = begin + size;
    let message = (body <= length).then(|| bytes_at(file, begin, size)).flatten();
    Ok(Some((message.ok_or_else(damaged)?, body)))
}

/// Refuses a compressed batch that is very large, or says that it is: its buffers say so themselves.
fn check_batch(file: &File, message: &[u8], body: u64) -> Result<(), String> {
    let message = arrow_ipc::root_as_message(message).map_err(|_| damaged())?;
    let of_dictionary = || message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data());
    let batch = message.header_as_record_batch().or_else(of_dictionary);
    let Some(batch) = batch.filter(|batch| batch.compression().is_some()) else { return Ok(()) };
    let mut all = 0u64;
    for buffer in batch.buffers().into_iter().flatten().filter(|buffer| buffer.length() >= 8) {
        let at =
            u64::try_from(buffer.offset()).ok().and_then(|at| body.checked_add(at)).ok_or_else(damaged)?;
        let size: Option<[u8; 8]> = bytes_at(file, at, 8).and_then(|bytes| bytes.try_into().ok());
        // Less than 0 of one that is not compressed.
        all = all.saturating_add(u64::try_from(i64::from_le_bytes(size.ok_or_else(damaged)?)).unwrap_or(0));
    }
    if all > MOST_BATCH {
        return Err(format!(
            "a batch of it has {all} bytes when decompressed, more than the 1 GiB that denan reads"
        ));
    }
    Ok(())
}

fn reader(path: &Path) -> Result<FileReader<BufReader<File>>, String> {
    let open = File::open(path).map_err(|error| error.to_string())?;
    FileReader::try_new(BufReader::new(open), None).map_err(|error| error.to_string())
}

/// The schema and the batches of a file or stream, and whether it is a stream.
#[allow(clippy::type_complexity)]
pub(crate) fn batches(
    path: &Path,
) -> Result<(SchemaRef, Box<dyn Iterator<Item = Result<RecordBatch, String>>>, bool), String> {
    let mut start = [0; 6];
    let mut open = File::open(path).map_err(|error| error.to_string())?;
    open.read_exact(&mut start).map_err(|_| "it is no Arrow file: it is too short".to_owned())?;
    let say = |error: arrow_schema::ArrowError| error.to_string();
    if start == FILE {
        check_file(&open)?;
        let reader = reader(path)?;
        return Ok((reader.schema(), Box::new(reader.map(move |batch| batch.map_err(say))), false));
    }
    check_stream(&open)?;
    let open = BufReader::new(File::open(path).map_err(|error| error.to_string())?);
    let stream = StreamReader::try_new(open, None).map_err(say)?;
    Ok((stream.schema(), Box::new(stream.map(move |batch| batch.map_err(say))), true))
}

/// The batches of a file.
struct Batches {
    path: PathBuf,
    schema: Arc<Schema>,
    layout: String,
    next: usize,
    count: usize,
}

impl Reader for Batches {
    fn pieces(&self) -> Option<u64> {
        Some((self.count.max(1) - self.next) as u64)
    }

    fn skip(&mut self, pieces: u64) {
        self.next += pieces as usize;
    }

    fn next(&mut self) -> Result<Option<Piece>, String> {
        let (number, count) = (self.next, self.count);
        if number >= count.max(1) {
            return Ok(None);
        }
        self.next += 1;
        let (path, schema, layout) = (self.path.clone(), self.schema.clone(), self.layout.clone());
        Ok(Some(Box::new(move |to| {
            let id = to.table(&schema, Some(layout));
            if count == 0 {
                to.note("empty-array", "it has no rows");
                return Ok(());
            }
            let mut reader = reader(&path)?;
            reader.set_index(number).map_err(|error| error.to_string())?;
            let batch = reader
                .next()
                .ok_or("it has fewer batches than it says")?
                .map_err(|error| error.to_string())?;
            if count == 1 && batch.num_rows() == 0 {
                to.note("empty-array", "it has no rows");
            }
            batch::hand_over(&mut batch::Table(to, id), &batch, 0);
            to.rows(id, batch.num_rows() as u64);
            Ok(())
        })))
    }
}

/// The batches of a stream, whose number only its end says.
struct Stream {
    stream: StreamReader<BufReader<File>>,
    schema: Arc<Schema>,
    layout: String,
    is_empty: bool,
}

impl Reader for Stream {
    fn next(&mut self) -> Result<Option<Piece>, String> {
        let (schema, layout) = (self.schema.clone(), self.layout.clone());
        let Some(batch) = self.stream.next() else {
            let is_empty = std::mem::take(&mut self.is_empty);
            return Ok(is_empty.then(|| -> Piece {
                Box::new(move |to| {
                    to.table(&schema, Some(layout));
                    to.note("empty-array", "it has no rows");
                    Ok(())
                })
            }));
        };
        let batch: RecordBatch = batch.map_err(|error| error.to_string())?;
        self.is_empty &= batch.num_rows() == 0;
        Ok(Some(Box::new(move |to| {
            let id = to.table(&schema, Some(layout));
            batch::hand_over(&mut batch::Table(to, id), &batch, 0);
            to.rows(id, batch.num_rows() as u64);
            Ok(())
        })))
    }
}
