//! HDF5: its datasets, read like other arrays.

use super::array::{Array, Geometry, rows_of_piece};
use super::hdf5::datasets;
use super::values::{Values, aligned};
use super::{Piece, Pieces};
use crate::listing::DataFile;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

/// The pieces of the datasets in a file.
pub(crate) fn open(path: &Path, file: &DataFile, axis: Option<usize>) -> Result<Pieces, String> {
    let found = datasets(path)?;
    let mut left: VecDeque<Piece> = VecDeque::new();
    if !found.skipped.is_empty() {
        left.push_back(Box::new(move |to| {
            found.skipped.into_iter().for_each(|(path, why)| to.unread(format!("{path}: {why}")));
            Ok(())
        }));
    }
    for dataset in found.datasets {
        let name = dataset.path.trim_start_matches('/').to_owned();
        let array = Array { name, dtype: dataset.dtype, shape: dataset.shape.clone(), is_big_endian: false };
        let geometry = Geometry::of(&array.shape, file, axis)?;
        if geometry.is_empty() {
            let file = file.clone();
            left.push_back(Box::new(move |to| array.hand_over(to, &file, axis, Values::U8(&[]))));
            continue;
        }
        let (schema, layout) = array.schema(&geometry, file);
        let dataset = Arc::new(dataset);
        // The rows that are read are along the first axis, whatever a sample is.
        let rows = array.shape.first().copied().unwrap_or(1);
        let row_bytes = (geometry.rows * geometry.row / rows) * array.dtype.size();
        let each = if geometry.rows == rows { rows_of_piece(row_bytes) } else { rows };
        for first in (0..rows).step_by(usize::try_from(each).unwrap_or(usize::MAX)) {
            let count = each.min(rows - first);
            let (dataset, schema, layout) = (dataset.clone(), schema.clone(), layout.clone());
            left.push_back(Box::new(move |to| {
                let mut bytes = Vec::new();
                let dtype = dataset.dtype;
                dataset
                    .read_rows(first, count, &mut bytes)
                    .map_err(|why| format!("{}: {why}", dataset.path))?;
                let id = to.table(&schema, Some(layout));
                let mut buffer = Vec::new();
                for part in bytes.chunks(1 << 20) {
                    let own = aligned(&mut buffer, part.len());
                    own.copy_from_slice(part);
                    to.array(id, Values::of_bytes(dtype, own));
                }
                Ok(())
            }));
        }
    }
    Ok(Pieces(left))
}
