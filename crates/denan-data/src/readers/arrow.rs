//! Arrow's own files and streams, and Feather version 2, which is the same.

use super::batch;
use super::{Piece, Reader};
use crate::columns::Schema;
use crate::listing::DataFile;
use arrow_array::RecordBatch;
use arrow_ipc::reader::{FileReader, StreamReader};
use arrow_schema::SchemaRef;
use std::fs::File;
use std::io::{BufReader, Read};
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
        let reader = reader(path)?;
        let (schema, layout) = batch::schema(reader.schema().fields(), file);
        let count = reader.num_batches();
        return Ok(Box::new(Batches { path: path.to_owned(), schema, layout, next: 0, count }));
    }
    let open = BufReader::new(File::open(path).map_err(|error| error.to_string())?);
    let stream =
        StreamReader::try_new(open, None).map_err(|error| format!("it is no Arrow file: {error}"))?;
    let (schema, layout) = batch::schema(stream.schema().fields(), file);
    Ok(Box::new(Stream { stream, schema, layout, is_empty: true }))
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
        let reader = reader(path)?;
        return Ok((reader.schema(), Box::new(reader.map(move |batch| batch.map_err(say))), false));
    }
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
            batch::gather(to, id, &batch, 0);
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
            batch::gather(to, id, &batch, 0);
            to.rows(id, batch.num_rows() as u64);
            Ok(())
        })))
    }
}
