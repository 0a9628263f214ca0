//! Readers of the files in which numbers are kept.

#![allow(dead_code)]

mod dtype;
mod pickle;
mod torch_file;
