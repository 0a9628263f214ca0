//! PyTorch's `.pt` files: their tensors, read like other arrays.

use super::Reader;
use super::array::{Array, Stored, stored};
use super::torch_file::{StoredTensor, tensors};
use super::values::{Values, aligned, swap};
use crate::columns::Gather;
use crate::listing::DataFile;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// A view that is not laid out row by row is read whole, up to this many bytes of storage and values.
const MOST_SCATTERED: u64 = 1 << 28;

/// Reads a file of `torch.save` without executing its pickle.
pub(crate) fn open(path: &Path, file: &DataFile, axis: Option<usize>) -> Result<Box<dyn Reader>, String> {
    let found = tensors(path)?;
    let (rows, scattered): (Vec<_>, Vec<_>) = found.tensors.into_iter().partition(is_row_major);
    let is_big_endian = found.is_big_endian;
    let array = move |tensor: StoredTensor| {
        let StoredTensor { path: name, dtype, shape, at, .. } = tensor;
        Stored { array: Array { name, dtype, shape, is_big_endian }, offset: at }
    };
    let mut reader = stored(path, rows.into_iter().map(array).collect(), found.skipped, file, axis)?;
    for tensor in scattered {
        let (path, file) = (path.to_owned(), file.clone());
        reader.0.push_back(Box::new(move |to| gather(to, &path, tensor, is_big_endian, &file, axis)));
    }
    Ok(Box::new(reader))
}

pub(super) fn is_row_major(tensor: &StoredTensor) -> bool {
    let mut expected = 1u64;
    for (size, stride) in tensor.shape.iter().zip(&tensor.strides).rev() {
        if *size == 0 {
            return true;
        }
        if *size > 1 && *stride != expected {
            return false;
        }
        expected = expected.saturating_mul(*size);
    }
    true
}

/// A view whose values do not follow each other.
fn gather(
    to: &mut Gather<'_>,
    path: &Path,
    tensor: StoredTensor,
    is_big_endian: bool,
    file: &DataFile,
    axis: Option<usize>,
) -> Result<(), String> {
    let Some(bytes) = scattered(path, &tensor, is_big_endian)? else {
        to.unread(format!("{}: a view that is not laid out row by row, and too large", tensor.path));
        return Ok(());
    };
    let mut buffer = Vec::new();
    let values = aligned(&mut buffer, bytes.len());
    values.copy_from_slice(&bytes);
    let array = Array { name: tensor.path, dtype: tensor.dtype, shape: tensor.shape, is_big_endian: false };
    array.hand_over(to, file, axis, Values::of_bytes(array.dtype, values))
}

/// The bytes of such a view, row by row with the least significant byte first; nothing if they are too many.
pub(super) fn scattered(
    path: &Path,
    tensor: &StoredTensor,
    is_big_endian: bool,
) -> Result<Option<Vec<u8>>, String> {
    let size = tensor.dtype.size();
    let count = tensor.shape.iter().try_fold(1u64, |count, size| count.checked_mul(*size));
    let reach = tensor
        .shape
        .iter()
        .zip(&tensor.strides)
        .try_fold(0u64, |reach, (size, stride)| reach.checked_add((size - 1).checked_mul(*stride)?));
    let bytes = |values: Option<u64>| {
        values.and_then(|values| values.checked_mul(size)).filter(|bytes| *bytes <= MOST_SCATTERED)
    };
    let (Some(count), Some(span)) = (bytes(count), bytes(reach.map(|reach| reach + 1))) else {
        return Ok(None);
    };
    let mut storage = vec![0; span as usize];
    let open = File::open(path).map_err(|error| error.to_string())?;
    open.read_exact_at(&mut storage, tensor.at).map_err(|error| error.to_string())?;
    let mut own = vec![0; count as usize];
    let mut index = vec![0u64; tensor.shape.len()];
    for value in own.chunks_exact_mut(size as usize) {
        let at: u64 = index.iter().zip(&tensor.strides).map(|(index, stride)| index * stride).sum();
        value.copy_from_slice(&storage[(at * size) as usize..][..size as usize]);
        for (index, size) in index.iter_mut().zip(&tensor.shape).rev() {
            *index += 1;
            if *index < *size {
                break;
            }
            *index = 0;
        }
    }
    if is_big_endian {
        swap(&mut own, size as usize);
    }
    Ok(Some(own))
}
