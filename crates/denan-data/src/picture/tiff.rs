//! TIFF: its first image.

use super::{MOST_BYTES, Mode, Pixels, Samples, damaged, io_reason, room, unread};
use std::io::Cursor;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

pub(super) fn read(bytes: &[u8]) -> Result<Pixels, String> {
    let reason = |error: TiffError| match error {
        TiffError::IoError(error) => io_reason(&error, bytes),
        TiffError::UnsupportedError(error) => unread(error),
        TiffError::LimitsExceeded => damaged("it says that it holds more than 1 GiB"),
        _ => damaged(error),
    };
    let as_numbers = numbers_as_grey(bytes);
    let mut decoder = Decoder::new(Cursor::new(as_numbers.as_deref().unwrap_or(bytes))).map_err(reason)?;
    let (width, height) = decoder.dimensions().map_err(reason)?;
    let size = [width, height];
    let color = decoder.colortype().map_err(reason)?;
    room(size, u64::from(color.num_samples()) * u64::from(color.bit_depth()).div_ceil(8))?;
    let mut limits = Limits::default();
    limits.decoding_buffer_size = MOST_BYTES as usize;
    limits.intermediate_buffer_size = MOST_BYTES as usize;
    let mut decoder = decoder.with_limits(limits);
    let mut decoded = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut decoded).map_err(reason)?;

    use ColorType::{CMYK, Gray, GrayA, Multiband, RGB, RGBA};
    let of_other_pixels = || unread(format_args!("{color:?} of this kind of number"));
    let (mode, samples) = match (color, decoded) {
        (Gray(bits @ (1 | 2 | 4 | 8)), DecodingResult::U8(packed)) if as_numbers.is_some() => {
            room(size, 3)?;
            let map = decoder.get_tag_u16_vec(Tag::ColorMap).map_err(reason)?;
            (Mode::Palette8, Samples::Eight(colours(unpacked(&packed, size, bits), &map)?))
        }
        (Gray(bits @ (1 | 2 | 4)), DecodingResult::U8(packed)) => {
            let levels = unpacked(&packed, size, bits).map(|value| value * (255 / (u8::MAX >> (8 - bits))));
            (if bits == 1 { Mode::Bilevel } else { Mode::Gray8 }, Samples::Eight(levels.collect()))
        }
        (color, DecodingResult::U8(samples)) => {
            let mode = match color {
                Gray(8) => Mode::Gray8,
                GrayA(8) | Multiband { bit_depth: 8, num_samples: 2 } => Mode::GrayAlpha8,
                RGB(8) => Mode::Rgb8,
                RGBA(8) => Mode::Rgba8,
                CMYK(8) => Mode::Cmyk8,
                _ => return Err(of_other_pixels()),
            };
            (mode, Samples::Eight(interleaved(samples, layout.planes)))
        }
        (color, DecodingResult::U16(samples)) => {
            let mode = match color {
                Gray(16) => Mode::Gray16,
                GrayA(16) | Multiband { bit_depth: 16, num_samples: 2 } => Mode::GrayAlpha16,
                RGB(16) => Mode::Rgb16,
                RGBA(16) => Mode::Rgba16,
                _ => return Err(of_other_pixels()),
            };
            (mode, Samples::Sixteen(interleaved(samples, layout.planes)))
        }
        (color, DecodingResult::F32(samples)) => {
            let mode = match color {
                Gray(32) => Mode::Gray32F,
                RGB(32) => Mode::Rgb32F,
                RGBA(32) => Mode::Rgba32F,
                _ => return Err(of_other_pixels()),
            };
            (mode, Samples::Float(interleaved(samples, layout.planes)))
        }
        _ => return Err(of_other_pixels()),
    };
    Ok(Pixels { mode, samples, stored: mode.channels().len() })
}

/// The file of an image with a palette, changed to say that the numbers of the colours are grey levels: the decoder knows no
/// palettes. Nothing for any other image.
fn numbers_as_grey(bytes: &[u8]) -> Option<Vec<u8>> {
    const PHOTOMETRIC: u16 = 262;
    const BLACK_IS_ZERO: u16 = 1;
    const PALETTE: u16 = 3;
    let is_little = bytes.starts_with(b"II");
    let short = |at: usize| -> Option<u16> {
        let two = bytes.get(at..at + 2)?.try_into().ok()?;
        Some(if is_little { u16::from_le_bytes(two) } else { u16::from_be_bytes(two) })
    };
    let offset = bytes.get(4..8)?.try_into().ok()?;
    let directory = if is_little { u32::from_le_bytes(offset) } else { u32::from_be_bytes(offset) } as usize;
    let mut entries = (0..short(directory)?).map(|entry| directory + 2 + 12 * usize::from(entry));
    let value = entries.find(|entry| short(*entry) == Some(PHOTOMETRIC))? + 8;
    if short(2) != Some(42) || short(value) != Some(PALETTE) {
        return None;
    }
    let mut changed = bytes.to_vec();
    let grey = if is_little { BLACK_IS_ZERO.to_le_bytes() } else { BLACK_IS_ZERO.to_be_bytes() };
    changed[value..value + 2].copy_from_slice(&grey);
    Some(changed)
}

/// Samples of less than 8 bits, one by one; each row begins with a byte.
fn unpacked(packed: &[u8], [width, _]: [u32; 2], bits: u8) -> impl Iterator<Item = u8> {
    let (width, bits) = (width as usize, usize::from(bits));
    packed.chunks_exact((width * bits).div_ceil(8)).flat_map(move |row| {
        (0..width).map(move |x| (row[x * bits / 8] >> (8 - bits - x * bits % 8)) & (u8::MAX >> (8 - bits)))
    })
}

/// The colours of a palette with all reds first, then all greens, then all blues, in 16 bits.
fn colours(numbers: impl Iterator<Item = u8>, map: &[u16]) -> Result<Vec<u8>, String> {
    let count = map.len() / 3;
    let mut samples = Vec::new();
    for number in numbers.map(usize::from) {
        if number >= count {
            return Err(damaged(format_args!("colour {number} is not among the {count} of its palette")));
        }
        samples.extend([0, 1, 2].map(|channel| (map[channel * count + number] >> 8) as u8));
    }
    Ok(samples)
}

/// Pixel by pixel what is stored channel by channel.
fn interleaved<T: Copy>(samples: Vec<T>, planes: usize) -> Vec<T> {
    if planes < 2 {
        return samples;
    }
    let pixels = samples.len() / planes;
    (0..pixels)
        .flat_map(|pixel| (0..planes).map(move |plane| plane * pixels + pixel))
        .map(|at| samples[at])
        .collect()
}
