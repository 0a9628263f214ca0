//! Arrays that lie in a file as they lie in memory, read piece by piece.

use super::values::{Values, aligned, swap};
use super::{Dtype, Piece, Pieces};
use crate::columns::{Gather, Schema, Shape};
use crate::listing::DataFile;
use std::collections::VecDeque;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// Bytes of a piece, at least one row.
const PIECE: u64 = 16 << 20;
/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;
/// A second axis longer than this is not one of columns, …
const MOST_COLUMNS: u64 = 1 << 14;
/// … and one of channels is no longer than this.
const MOST_CHANNELS: u64 = 4;

/// An array.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    /// Name within the file; empty where the file is the array.
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<u64>,
    pub(crate) is_big_endian: bool,
}

/// What of an array is a row, and what a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) rows: u64,
    /// Values in a row.
    pub(crate) row: u64,
    columns: u64,
    inner: u64,
    has_channels: bool,
}

impl Geometry {
    /// Rows are samples, along the first axis; of files that are samples themselves, of which there are many, all is one
    /// row. Columns lie along the second axis of two, channels along the axis of at most four next to the samples or last, or along the axis that was asked for.
    pub(crate) fn of(shape: &[u64], file: &DataFile, axis: Option<usize>) -> Result<Self, String> {
        if shape.contains(&0) {
            return Ok(Self { rows: 0, row: 0, columns: 0, inner: 0, has_channels: false });
        }
        let too_large = || "its shape has more values than can be counted".to_owned();
        let product = |sizes: &[u64]| {
            sizes.iter().try_fold(1u64, |all, size| all.checked_mul(*size)).ok_or_else(too_large)
        };
        if product(shape)? > 1 << 60 {
            return Err(too_large());
        }
        let is_sample =
            file.is_sample() && (shape.len() == 3 || (shape.len() == 1 && shape[0] <= MOST_COLUMNS));
        let first = usize::from(!is_sample && !shape.is_empty());
        let (rows, sample) = (product(&shape[..first])?, &shape[first..]);
        let is_axis = |axis: &usize| (first..shape.len()).contains(axis) && shape[*axis] <= MOST_COLUMNS;
        let axis = axis.filter(is_axis).map(|axis| axis - first);
        let is_channel = |size: Option<&u64>| size.is_some_and(|size| *size <= MOST_CHANNELS);
        let axis = axis.or(match sample.len() {
            1 if sample[0] <= MOST_COLUMNS => Some(0),
            0 | 1 => None,
            _ if is_channel(sample.first()) => Some(0),
            _ if is_channel(sample.last()) => Some(sample.len() - 1),
            _ => None,
        });
        let row = product(sample)?;
        let (columns, inner) = match axis {
            Some(axis) => (sample[axis], product(&sample[axis + 1..])?),
            None => (1, 1),
        };
        Ok(Self { rows, row, columns, inner, has_channels: sample.len() > 1 })
    }

    /// The column of a value by its position in its row.
    pub(crate) fn column(&self, position: usize) -> usize {
        position / self.inner as usize % self.columns as usize
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0 || self.row == 0
    }
}

impl Array {
    /// Bytes of all its values, if they can be counted.
    pub(crate) fn bytes(&self) -> Option<u64> {
        self.shape.iter().try_fold(self.dtype.size(), |all, size| all.checked_mul(*size))
    }

    /// Its table, with the layout in words.
    pub(crate) fn schema(&self, geometry: &Geometry, file: &DataFile) -> (Arc<Schema>, String) {
        let shape = Shape::Array {
            inner: geometry.inner as usize,
            row: geometry.row as usize,
            has_channels: geometry.has_channels,
        };
        let columns = (0..geometry.columns).map(|number| number.to_string()).collect();
        let schema = Schema { group: file.group.clone(), name: self.name.clone(), columns, shape };
        // Arrays of samples may differ in their number.
        let sizes = self.shape.iter().map(u64::to_string);
        let is_of_samples = geometry.rows != 1 || self.shape.first() == Some(&1);
        let mut sizes: Vec<String> = sizes.collect();
        if let (true, Some(first)) = (is_of_samples, sizes.first_mut()) {
            "n".clone_into(first);
        }
        (Arc::new(schema), format!("{} ({})", self.dtype, sizes.join(", ")))
    }
}

impl Array {
    /// Hands all of its values on.
    pub(crate) fn hand_over(
        &self,
        to: &mut Gather<'_>,
        file: &DataFile,
        axis: Option<usize>,
        values: Values<'_>,
    ) -> Result<(), String> {
        let geometry = Geometry::of(&self.shape, file, axis)?;
        let (schema, layout) = self.schema(&geometry, file);
        if geometry.is_empty() {
            empty(to, self, &schema, layout);
        } else {
            let id = to.table(&schema, Some(layout));
            to.array(id, values);
        }
        Ok(())
    }
}

/// Rows of so many bytes that are a piece.
pub(crate) fn rows_of_piece(row_bytes: u64) -> u64 {
    (PIECE / row_bytes).max(1)
}

/// An array and where its bytes begin in its file.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) array: Array,
    pub(crate) offset: u64,
}

/// The pieces of arrays that are stored row by row and not compressed; `unread` are what else is in the file: name, and why it is not
/// read.
pub(crate) fn stored(
    path: &Path,
    arrays: Vec<Stored>,
    unread: Vec<(String, String)>,
    file: &DataFile,
    axis: Option<usize>,
) -> Result<Pieces, String> {
    let open = Arc::new(File::open(path).map_err(|error| error.to_string())?);
    let bytes = open.metadata().map_err(|error| error.to_string())?.len();
    let mut left: VecDeque<Piece> = VecDeque::new();
    if !unread.is_empty() {
        left.push_back(Box::new(move |to| {
            unread.into_iter().for_each(|(name, why)| to.unread(format!("{name}: {why}")));
            Ok(())
        }));
    }
    for Stored { array, offset } in arrays {
        let geometry = Geometry::of(&array.shape, file, axis)?;
        let (schema, layout) = array.schema(&geometry, file);
        if geometry.is_empty() {
            left.push_back(Box::new(move |to| {
                empty(to, &array, &schema, layout);
                Ok(())
            }));
            continue;
        }
        let row_bytes = geometry.row * array.dtype.size();
        let there = bytes.saturating_sub(offset) / row_bytes;
        if there < geometry.rows {
            let whole = geometry.rows * row_bytes;
            let message = format!(
                "{}it ends after {} of {whole} bytes of values",
                in_file(&array.name),
                bytes.saturating_sub(offset)
            );
            left.push_back(Box::new(move |_| Err(message)));
        }
        let rows = geometry.rows.min(there);
        let each = rows_of_piece(row_bytes);
        for first in (0..rows).step_by(usize::try_from(each).unwrap_or(usize::MAX)) {
            let (open, array, schema, layout) = (open.clone(), array.clone(), schema.clone(), layout.clone());
            let from = offset + first * row_bytes;
            let count = each.min(rows - first) * row_bytes;
            left.push_back(Box::new(move |to| {
                let id = to.table(&schema, Some(layout));
                let mut at = from;
                pour(to, id, &array, count, &mut |bytes| {
                    open.read_exact_at(bytes, at).map_err(|error| error.to_string())?;
                    at += bytes.len() as u64;
                    Ok(())
                })
            }));
        }
    }
    Ok(Pieces(left))
}

/// Reads an array from a stream to its end, in one go.
pub(crate) fn stream(
    to: &mut Gather<'_>,
    array: &Array,
    file: &DataFile,
    axis: Option<usize>,
    from: &mut dyn Read,
) -> Result<(), String> {
    let geometry = Geometry::of(&array.shape, file, axis)?;
    let (schema, layout) = array.schema(&geometry, file);
    if geometry.is_empty() {
        empty(to, array, &schema, layout);
        return Ok(());
    }
    let id = to.table(&schema, Some(layout));
    let count = geometry.rows * geometry.row * array.dtype.size();
    pour(to, id, array, count, &mut |bytes| {
        from.read_exact(bytes).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                format!("{}it ends before all of its values", in_file(&array.name))
            }
            _ => format!("{}{error}", in_file(&array.name)),
        })
    })
}

fn empty(to: &mut Gather<'_>, array: &Array, schema: &Arc<Schema>, layout: String) {
    let id = to.table(schema, Some(layout));
    to.rows(id, 0);
    let sizes: Vec<String> = array.shape.iter().map(u64::to_string).collect();
    to.note("empty-array", format!("{}its shape is ({})", in_file(&array.name), sizes.join(", ")));
}

/// `x: ` for an array of a file with several.
fn in_file(name: &str) -> String {
    if name.is_empty() { String::new() } else { format!("{name}: ") }
}

/// Hands on `count` bytes of an array, which `read` fills a buffer with.
fn pour(
    to: &mut Gather<'_>,
    id: crate::columns::TableId,
    array: &Array,
    count: u64,
    read: &mut dyn FnMut(&mut [u8]) -> Result<(), String>,
) -> Result<(), String> {
    let mut buffer = Vec::new();
    let mut left = count;
    while left > 0 {
        let size = left.min(CHUNK as u64) as usize;
        let bytes = aligned(&mut buffer, size);
        read(bytes)?;
        if array.is_big_endian {
            swap(bytes, array.dtype.size() as usize);
        }
        to.array(id, Values::of_bytes(array.dtype, bytes));
        left -= size as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry(shape: &[u64], alike: u64, axis: Option<usize>) -> [u64; 4] {
        let file = DataFile { alike, ..DataFile::default() };
        let of = Geometry::of(shape, &file, axis).unwrap();
        [of.rows, of.row, of.columns, of.inner]
    }

    #[test]
    fn rows_are_samples_and_columns_are_what_they_hold() {
        for (shape, alike, axis, expected) in [
            (&[5][..], 1, None, [5, 1, 1, 1]),
            (&[5], 9, None, [1, 5, 5, 1]),
            (&[5, 8], 1, None, [5, 8, 8, 1]),
            (&[5, 8], 9, None, [5, 8, 8, 1]),
            (&[5, 3, 32, 32], 1, None, [5, 3072, 3, 1024]),
            (&[5, 32, 32, 3], 1, None, [5, 3072, 3, 1]),
            (&[3, 32, 32], 9, None, [1, 3072, 3, 1024]),
            (&[60, 28, 28], 1, None, [60, 784, 1, 1]),
            (&[60, 28, 20], 1, Some(2), [60, 560, 20, 1]),
            (&[], 1, None, [1, 1, 1, 1]),
        ] {
            assert_eq!(geometry(shape, alike, axis), expected, "{shape:?} {alike} {axis:?}");
        }
        let file = DataFile::default();
        assert!(Geometry::of(&[u64::MAX, 3], &file, None).is_err());
        assert!(Geometry::of(&[0, u64::MAX, 3], &file, None).unwrap().is_empty());
    }
}
