//! safetensors: tensors behind a header that names them.

use super::array::{Array, Stored, stored};
use super::{Dtype, Reader};
use crate::listing::DataFile;
use safetensors::tensor::Metadata;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The format's own limit of a header.
const MOST_HEADER: u64 = 100_000_000;

/// What a safetensors file holds.
pub(crate) struct Tensors {
    /// In the order of the file.
    pub(crate) arrays: Vec<Stored>,
    /// Names of those of other types, and why they are not read.
    pub(crate) unread: Vec<(String, String)>,
    /// What else the header says.
    pub(crate) metadata: Option<HashMap<String, String>>,
}

/// The tensors in a file by its header.
pub(crate) fn tensors(path: &Path) -> Result<Tensors, String> {
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
    let header: Metadata =
        serde_json::from_slice(&header).map_err(|error| format!("its header cannot be read: {error}"))?;
    let mut found = Tensors { arrays: Vec::new(), unread: Vec::new(), metadata: header.metadata().clone() };
    for (name, info) in header.tensors() {
        match Dtype::from_safetensors(&format!("{:?}", info.dtype)) {
            Some(dtype) => {
                let shape = info.shape.iter().map(|size| *size as u64).collect();
                let array = Array { name, dtype, shape, is_big_endian: false };
                found.arrays.push(Stored { array, offset: 8 + length + info.data_offsets.0 as u64 });
            }
            None => found.unread.push((name, format!("elements of type {:?}", info.dtype))),
        }
    }
    found.arrays.sort_by_key(|stored| stored.offset);
    Ok(found)
}

/// The header of tensors that follow each other in this order.
pub(crate) fn header_of(
    tensors: &[(String, Dtype, Vec<u64>)],
    metadata: &Option<HashMap<String, String>>,
) -> Result<Vec<u8>, String> {
    let mut header = serde_json::Map::new();
    if let Some(metadata) = metadata {
        header.insert("__metadata__".to_owned(), serde_json::json!(metadata));
    }
    let mut begin = 0;
    for (name, dtype, shape) in tensors {
        let end = begin + shape.iter().product::<u64>() * dtype.size();
        let dtype = dtype.safetensors();
        header.insert(
            name.clone(),
            serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}),
        );
        begin = end;
    }
    let mut text = serde_json::to_vec(&header).map_err(|error| error.to_string())?;
    // Values begin at a multiple of 8.
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut all = (text.len() as u64).to_le_bytes().to_vec();
    all.extend(text);
    Ok(all)
}

/// Reads a safetensors file.
pub(crate) fn open(path: &Path, file: &DataFile, axis: Option<usize>) -> Result<Box<dyn Reader>, String> {
    let found = tensors(path)?;
    Ok(Box::new(stored(path, found.arrays, found.unread, file, axis)?))
}
