//! safetensors: tensors behind a header that names them.

use super::array::{Array, Stored, StoredArrays};
use super::{Dtype, Reader};
use crate::listing::DataFile;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The format's own limit of a header.
const MOST_HEADER: u64 = 100_000_000;

/// Reads a safetensors file.
pub(crate) fn open(path: &Path, file: &DataFile, axis: Option<usize>) -> Result<Box<dyn Reader>, String> {
    let mut open = File::open(path).map_err(|error| error.to_string())?;
    let mut start = [0; 8];
    let short = |_| "it ends within its header".to_owned();
    open.read_exact(&mut start).map_err(short)?;
    let length = u64::from_le_bytes(start);
    let bytes = open.metadata().map_err(|error| error.to_string())?.len();
    if length > MOST_HEADER.min(bytes.saturating_sub(8)) {
        return Err(format!("its header claims {length} bytes"));
    }
    let mut header = vec![0; length as usize];
    open.read_exact(&mut header).map_err(short)?;
    let metadata: safetensors::tensor::Metadata =
        serde_json::from_slice(&header).map_err(|error| format!("its header cannot be read: {error}"))?;
    let mut arrays = Vec::new();
    let mut unread = Vec::new();
    for (name, info) in metadata.tensors() {
        match Dtype::from_safetensors(&format!("{:?}", info.dtype)) {
            Some(dtype) => {
                let shape = info.shape.iter().map(|size| *size as u64).collect();
                let array = Array { name, dtype, shape, is_big_endian: false };
                arrays.push(Stored { array, offset: 8 + length + info.data_offsets.0 as u64 });
            }
            None => unread.push((name, format!("elements of type {:?}", info.dtype))),
        }
    }
    arrays.sort_by_key(|stored| stored.offset);
    Ok(Box::new(StoredArrays::new(path, arrays, unread, file, axis)?))
}
