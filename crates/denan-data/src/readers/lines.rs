//! Cuts a text file, compressed or not, into chunks of whole records.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

/// Bytes of a chunk.
const CHUNK: usize = 4 << 20;
/// A record longer than this is none.
pub(crate) const MOST_RECORD: usize = 64 << 20;

/// A file, decompressed as its name says: `.gz` or `.zst`.
pub(crate) fn open(path: &Path) -> Result<Box<dyn Read + Send>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    Ok(match &*crate::image_file::extension(path) {
        "gz" | "tgz" => Box::new(flate2::read::MultiGzDecoder::new(BufReader::with_capacity(1 << 16, file))),
        "zst" => Box::new(zstd::Decoder::new(file).map_err(|error| error.to_string())?),
        _ => Box::new(file),
    })
}

/// Chunks of whole records.
pub(crate) struct Chunks {
    from: Box<dyn Read + Send>,
    /// Read, and not yet handed out.
    rest: Vec<u8>,
    is_at_end: bool,
    /// Where records may go over several lines: what separates fields.
    quoted_after: Option<u8>,
}

impl Chunks {
    /// `quoted_after`: the separator of fields, of which those in quotes may hold line breaks.
    pub(crate) fn new(path: &Path, quoted_after: Option<u8>) -> Result<Self, String> {
        Ok(Self { from: open(path)?, rest: Vec::new(), is_at_end: false, quoted_after })
    }

    /// The same with another separator of fields.
    pub(crate) fn of_fields(self, separator: u8) -> Self {
        Self { quoted_after: Some(separator), ..self }
    }

    /// The next chunk, which ends after a record; nothing at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut chunk = std::mem::take(&mut self.rest);
        loop {
            if !self.is_at_end {
                let begin = chunk.len();
                chunk.reserve_exact(CHUNK);
                let mut limited = (&mut self.from).take(CHUNK as u64);
                let read = limited.read_to_end(&mut chunk).map_err(|error| error.to_string())?;
                self.is_at_end = chunk.len() == begin || read < CHUNK;
            }
            if self.is_at_end {
                return Ok((!chunk.is_empty()).then_some(chunk));
            }
            if let Some(end) = self.last_end(&chunk) {
                self.rest = chunk.split_off(end);
                return Ok(Some(chunk));
            }
            if chunk.len() > MOST_RECORD {
                return Err(format!(
                    "a record has more than {} MiB; a quote may not be closed",
                    MOST_RECORD >> 20
                ));
            }
        }
    }

    /// Where the last whole record ends.
    fn last_end(&self, chunk: &[u8]) -> Option<usize> {
        let Some(separator) = self.quoted_after.filter(|_| memchr::memchr(b'"', chunk).is_some()) else {
            return memchr::memrchr(b'\n', chunk).map(|at| at + 1);
        };
        let mut is_quoted = false;
        let mut end = None;
        for at in memchr::memchr2_iter(b'"', b'\n', chunk) {
            match chunk[at] {
                b'\n' if !is_quoted => end = Some(at + 1),
                // A quote within a plain field is no quote.
                b'"' if is_quoted || at == 0 || chunk[at - 1] == separator || chunk[at - 1] == b'\n' => {
                    is_quoted = !is_quoted;
                }
                // The second of two: the field goes on.
                b'"' if chunk[at - 1] == b'"' => is_quoted = true,
                _ => {}
            }
        }
        end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_end_where_no_quote_is_open() {
        let chunks = |separator| Chunks {
            from: Box::new(std::io::empty()),
            rest: Vec::new(),
            is_at_end: false,
            quoted_after: separator,
        };
        for (text, separator, end) in [
            ("a,b\nc", Some(b','), Some(4)),
            ("a,\"b\n", Some(b','), None),
            ("a,\"b\n", None, Some(5)),
            ("a,\"b\"\"\n\"\nc", Some(b','), Some(9)),
            ("5\" disk,1\nb", Some(b','), Some(10)),
            ("x", None, None),
        ] {
            assert_eq!(chunks(separator).last_end(text.as_bytes()), end, "{text:?}");
        }
    }
}
