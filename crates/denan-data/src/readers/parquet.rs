//! Apache Parquet, a piece for each row group.

use super::batch;
use super::{Piece, Reader};
use crate::columns::Schema;
use crate::listing::DataFile;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows that are decoded at once.
const ROWS: usize = 1 << 16;

/// Reads a Parquet file.
pub(crate) struct Parquet {
    path: PathBuf,
    metadata: ArrowReaderMetadata,
    schema: Arc<Schema>,
    layout: String,
    next: usize,
}

impl Parquet {
    pub(crate) fn open(path: &Path, file: &DataFile) -> Result<Self, String> {
        let open = File::open(path).map_err(|error| error.to_string())?;
        let metadata =
            ArrowReaderMetadata::load(&open, Default::default()).map_err(|error| error.to_string())?;
        let (schema, layout) = batch::schema(metadata.schema().fields(), file);
        Ok(Self { path: path.to_owned(), metadata, schema, layout, next: 0 })
    }
}

impl Reader for Parquet {
    fn pieces(&self) -> Option<u64> {
        // A file without rows has a piece that says so.
        Some((self.metadata.metadata().num_row_groups().max(1) - self.next.min(1)) as u64)
    }

    fn skip(&mut self, pieces: u64) {
        self.next += pieces as usize;
    }

    fn next(&mut self) -> Result<Option<Piece>, String> {
        let groups = self.metadata.metadata().num_row_groups();
        let group = self.next;
        if group >= groups.max(1) {
            return Ok(None);
        }
        self.next += 1;
        let (path, metadata, schema, layout) =
            (self.path.clone(), self.metadata.clone(), self.schema.clone(), self.layout.clone());
        Ok(Some(Box::new(move |to| {
            let id = to.table(&schema, Some(layout));
            if groups == 0 {
                to.note("empty-array", "it has no rows");
                return Ok(());
            }
            let open = File::open(&path).map_err(|error| error.to_string())?;
            let roots = metadata.schema().fields().iter().enumerate();
            let roots = roots.filter(|(_, field)| batch::has_numbers(field.name(), field.data_type()));
            let mask = ProjectionMask::roots(metadata.parquet_schema(), roots.map(|(root, _)| root));
            let batches = ParquetRecordBatchReaderBuilder::new_with_metadata(open, metadata)
                .with_row_groups(vec![group])
                .with_projection(mask)
                .with_batch_size(ROWS)
                .build()
                .map_err(|error| error.to_string())?;
            let mut row = 0;
            for batch in batches {
                let batch = batch.map_err(|error| format!("row group {group}: {error}"))?;
                batch::hand_over(&mut batch::Table(to, id), &batch, row);
                row += batch.num_rows() as u64;
                to.rows(id, row);
            }
            Ok(())
        })))
    }
}
