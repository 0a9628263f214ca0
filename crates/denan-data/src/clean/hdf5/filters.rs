//! The filters that a chunk goes through when it is written: shuffle, deflate, LZF, and a checksum.

use super::header::{Message, damaged};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use hdf5_reader::checksum::fletcher32;
use hdf5_reader::filters::{FILTER_DEFLATE, FILTER_FLETCHER32, FILTER_SHUFFLE};
use std::io::Write;

/// h5py's filter.
const LZF: u16 = 32000;
/// As far back as a stretch of LZF may lie, …
const LZF_BACK: usize = 1 << 13;
/// … as long as it may be, …
const LZF_LONGEST: usize = 264;
/// … and as many bytes as may stand for themselves at once.
const LZF_LITERALS: usize = 32;

/// Filters in the order in which they are gone through.
#[derive(Clone, Debug, Default)]
pub(super) struct Filters(Vec<Filter>);

#[derive(Clone, Debug)]
struct Filter {
    id: u16,
    values: Vec<u32>,
    /// Where in its message the values are.
    at: usize,
}

impl Filters {
    /// Those that a message describes.
    pub(super) fn of(message: &Message) -> Result<Self, String> {
        let data = &message.data[..];
        let two = |at: usize| {
            let bytes = data.get(at..at + 2).ok_or_else(damaged)?;
            Ok::<_, String>(usize::from(u16::from_le_bytes([bytes[0], bytes[1]])))
        };
        let (&[version, count], mut at) = (data.first_chunk().ok_or_else(damaged)?, 2);
        if version == 1 {
            at += 6;
        }
        let mut filters = Vec::new();
        // A bit each says which of them a chunk did not go through.
        if u32::from(count) > u32::BITS {
            return Err(damaged());
        }
        for _ in 0..count {
            let id = two(at)? as u16;
            at += 2;
            let mut name = 0;
            if version == 1 || id >= 256 {
                name = two(at)?;
                at += 2;
            }
            if version == 1 {
                name = name.next_multiple_of(8);
            }
            let count = two(at + 2)?;
            at += 4 + name;
            let values = data.get(at..at + 4 * count).ok_or_else(damaged)?;
            let values = values.as_chunks().0.iter().map(|four| u32::from_le_bytes(*four)).collect();
            filters.push(Filter { id, values, at });
            at += 4 * (if version == 1 { count.next_multiple_of(2) } else { count });
        }
        match filters
            .iter()
            .find(|filter| ![FILTER_DEFLATE, FILTER_SHUFFLE, FILTER_FLETCHER32, LZF].contains(&filter.id))
        {
            Some(filter) => Err(format!("filter {} of HDF5, which denan does not write, is used", filter.id)),
            None => Ok(Self(filters)),
        }
    }

    /// Makes them, and the message that describes them, those of elements and chunks of other sizes.
    pub(super) fn resize(&mut self, element: u32, chunk: u32, message: &mut [u8]) {
        for filter in &mut self.0 {
            let (number, value) = match filter.id {
                FILTER_SHUFFLE => (0, element),
                LZF => (2, chunk),
                _ => continue,
            };
            if let Some(own) = filter.values.get_mut(number) {
                *own = value;
                message[filter.at + 4 * number..][..4].copy_from_slice(&value.to_le_bytes());
            }
        }
    }

    /// A chunk as it is stored, and which filters it did not go through, a bit each.
    pub(super) fn encode(&self, mut chunk: Vec<u8>, element: usize) -> Result<(Vec<u8>, u32), String> {
        let mut left_out = 0;
        for (number, filter) in self.0.iter().enumerate() {
            let value = filter.values.first().copied();
            chunk = match filter.id {
                FILTER_SHUFFLE => shuffle(&chunk, value.map_or(element, |size| size as usize)),
                FILTER_DEFLATE => {
                    let level = Compression::new(value.map_or(6, |level| level.min(9)));
                    let mut encoder = ZlibEncoder::new(Vec::new(), level);
                    encoder.write_all(&chunk).map_err(|error| error.to_string())?;
                    encoder.finish().map_err(|error| error.to_string())?
                }
                FILTER_FLETCHER32 => {
                    let sum = fletcher32(&chunk);
                    chunk.extend(sum.to_le_bytes());
                    chunk
                }
                _ => {
                    let short = lzf(&chunk);
                    if short.len() < chunk.len() {
                        short
                    } else {
                        left_out |= 1 << number;
                        chunk
                    }
                }
            };
        }
        Ok((chunk, left_out))
    }
}

/// The first bytes of all elements, then the second ones, and so on.
fn shuffle(chunk: &[u8], size: usize) -> Vec<u8> {
    if size < 2 {
        return chunk.to_vec();
    }
    let (whole, rest) = chunk.split_at(chunk.len() - chunk.len() % size);
    let mut out = Vec::with_capacity(chunk.len());
    for byte in 0..size {
        out.extend(whole.iter().skip(byte).step_by(size));
    }
    out.extend(rest);
    out
}

/// Compresses bytes: what came before is named by how far back it lies and how long it is.
fn lzf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    // Where three bytes were seen last, by their hash.
    let mut seen = vec![usize::MAX; 1 << 14];
    let (mut at, mut literals) = (0, 0);
    let flush = |out: &mut Vec<u8>, from: usize, to: usize| {
        for part in bytes[from..to].chunks(LZF_LITERALS) {
            out.push((part.len() - 1) as u8);
            out.extend(part);
        }
    };
    while at + 2 < bytes.len() {
        let three = u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], 0]);
        let hash = (three.wrapping_mul(0x9E37_79B1) >> 18) as usize;
        let before = std::mem::replace(&mut seen[hash], at);
        let is_near = before < at && at - before <= LZF_BACK;
        let most = (bytes.len() - at).min(LZF_LONGEST);
        let length = match is_near {
            true => (0..most).take_while(|next| bytes[before + next] == bytes[at + next]).count(),
            false => 0,
        };
        if length < 3 {
            at += 1;
            continue;
        }
        flush(&mut out, literals, at);
        let back = at - before - 1;
        let more = length - 2;
        match more {
            ..7 => out.push((more << 5 | back >> 8) as u8),
            _ => out.extend([(7 << 5 | back >> 8) as u8, (more - 7) as u8]),
        }
        out.push(back as u8);
        at += length;
        literals = at;
    }
    flush(&mut out, literals, bytes.len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readers::hdf5;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_lzf_compresses_is_read_again(
            parts in vec((vec(any::<u8>(), 0..40), 0..300_usize), 0..20)
        ) {
            let bytes: Vec<u8> = parts.iter().flat_map(|(part, times)| part.repeat(*times)).collect();
            prop_assert_eq!(hdf5::lzf(&lzf(&bytes)), Some(bytes));
        }
    }

    #[test]
    fn what_repeats_becomes_shorter() {
        assert!(lzf(&[7; 1000]).len() < 20);
    }

    #[test]
    fn bytes_of_the_same_place_come_together() {
        assert_eq!(shuffle(b"aAbBcCx", 2), b"abcABCx");
        assert_eq!(shuffle(b"abc", 1), b"abc");
    }
}
