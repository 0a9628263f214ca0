//! Readers of the files in which numbers are kept.

#![allow(dead_code)]

mod dtype;
mod hdf5;
mod pickle;
mod torch_file;
