//! Readers of arrays and tables, one file per format.
//!
//! A [`Reader`] cuts a file into pieces that can be gone through apart, as [`Piece`]s, at places that depend on nothing but the file.

pub(crate) mod array;
pub(crate) mod arrow;
pub(crate) mod batch;
pub(crate) mod csv;
mod dtype;
pub(crate) mod hdf5;
mod hdf5_arrays;
mod image;
pub(crate) mod json_lines;
pub(crate) mod lines;
pub(crate) mod npy;
mod parquet;
mod pickle;
pub(crate) mod safetensors;
pub(crate) mod tar;
mod torch;
pub(crate) mod torch_anew;
mod torch_file;
mod values;

pub(crate) use dtype::Dtype;
pub(crate) use values::Values;

use crate::columns::Gather;
use crate::listing::{DataFile, Format};
use std::collections::VecDeque;

/// A piece of a file, which hands what it holds to a [`Gather`]; or says why it cannot be read.
pub(crate) type Piece = Box<dyn FnOnce(&mut Gather<'_>) -> Result<(), String> + Send>;

/// Cuts a file into pieces.
pub(crate) trait Reader: Send {
    /// How many pieces there are, where that is known without reading them.
    fn pieces(&self) -> Option<u64> {
        None
    }

    /// Leaves out as many pieces, which costs nothing where their number is known.
    fn skip(&mut self, _pieces: u64) {}

    /// The next piece; nothing after the last.
    fn next(&mut self) -> Result<Option<Piece>, String>;
}

/// Pieces whose number is known.
#[derive(Default)]
pub(crate) struct Pieces(pub(crate) VecDeque<Piece>);

impl Reader for Pieces {
    fn pieces(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }

    fn skip(&mut self, pieces: u64) {
        self.0.drain(..self.0.len().min(pieces as usize));
    }

    fn next(&mut self) -> Result<Option<Piece>, String> {
        Ok(self.0.pop_front())
    }
}

/// The reader of a file, or why it cannot be read. `axis`: of arrays, the axis along which columns lie, where that was given.
pub(crate) fn open(file: &DataFile, axis: Option<usize>) -> Result<Box<dyn Reader>, String> {
    let path = &*file.path;
    if file.bytes == 0 && file.format != Format::Image {
        return Err("it is empty".to_owned());
    }
    Ok(match file.format {
        Format::Npy => npy::open(path, file, axis)?,
        Format::Npz => Box::new(npy::Npz::open(path, file, axis)?),
        Format::Safetensors => safetensors::open(path, file, axis)?,
        Format::Torch => torch::open(path, file, axis)?,
        Format::Hdf5 => Box::new(hdf5_arrays::open(path, file, axis)?),
        Format::Csv => Box::new(csv::Csv::open(path, file, b',')?),
        Format::Tsv => Box::new(csv::Csv::open(path, file, b'\t')?),
        Format::JsonLines => Box::new(json_lines::JsonLines::open(path, file)?),
        Format::Image => Box::new(image::open(path, file)),
        Format::Parquet => Box::new(parquet::Parquet::open(path, file)?),
        Format::Arrow => arrow::open(path, file)?,
        Format::Tar => Box::new(tar::open(path, file, axis)?),
    })
}
