//! A file of the copy, compressed as its source is.

use super::create;
use crate::image_file::extension;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Where the bytes of a file go; nowhere in a dry run.
pub(super) enum Out {
    None,
    Plain(BufWriter<File>),
    Gzip(flate2::write::GzEncoder<BufWriter<File>>),
    Zstd(zstd::Encoder<'static, BufWriter<File>>),
}

impl Out {
    pub(super) fn create(source: &Path, to: Option<&Path>) -> Result<Self, String> {
        let Some(to) = to else { return Ok(Self::None) };
        let plain = create(to)?;
        Ok(match &*extension(source) {
            "gz" | "tgz" => Self::Gzip(flate2::write::GzEncoder::new(plain, flate2::Compression::default())),
            "zst" => Self::Zstd(zstd::Encoder::new(plain, 0).map_err(|error| error.to_string())?),
            _ => Self::Plain(plain),
        })
    }

    /// Writes what is still to be written: dropping it would hide that this failed.
    pub(super) fn end(self) -> io::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Plain(mut to) => to.flush(),
            Self::Gzip(to) => to.finish()?.flush(),
            Self::Zstd(to) => to.finish()?.flush(),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::None => Ok(bytes.len()),
            Self::Plain(to) => to.write(bytes),
            Self::Gzip(to) => to.write(bytes),
            Self::Zstd(to) => to.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Plain(to) => to.flush(),
            Self::Gzip(to) => to.flush(),
            Self::Zstd(to) => to.flush(),
        }
    }
}
