//! PNG, and of an animated one the first image.

use super::{Mode, Pixels, Samples, damaged, io_reason, plausible, room};
use png::{BitDepth, ColorType, Decoder, DecodingError, Transformations};
use std::io::Cursor;

/// Deflate makes 1032 bytes of one at most, and a pixel may be a bit.
const MOST_PIXELS_IN_A_BYTE: u64 = 8 * 1032;

pub(super) fn read(bytes: &[u8]) -> Result<Pixels, String> {
    let reason = |error: DecodingError| match error {
        DecodingError::IoError(error) => io_reason(&error, bytes),
        _ => damaged(error),
    };
    let mut decoder = Decoder::new(Cursor::new(bytes));
    // Palettes and what is less than 8 bits.
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(reason)?;
    let (stored, depth) = reader.output_color_type();
    let is_wide = depth == BitDepth::Sixteen;
    let info = reader.info();
    let size = [info.width, info.height];
    let mode = match (info.color_type, info.bit_depth, is_wide) {
        (ColorType::Indexed, ..) => Mode::Palette8,
        (ColorType::Grayscale, BitDepth::One, _) => Mode::Bilevel,
        (ColorType::Grayscale, _, false) => Mode::Gray8,
        (ColorType::GrayscaleAlpha, _, false) => Mode::GrayAlpha8,
        (ColorType::Rgb, _, false) => Mode::Rgb8,
        (ColorType::Rgba, _, false) => Mode::Rgba8,
        (ColorType::Grayscale, _, true) => Mode::Gray16,
        (ColorType::GrayscaleAlpha, _, true) => Mode::GrayAlpha16,
        (ColorType::Rgb, _, true) => Mode::Rgb16,
        (ColorType::Rgba, _, true) => Mode::Rgba16,
    };
    plausible(size, MOST_PIXELS_IN_A_BYTE / info.bits_per_pixel() as u64, bytes)?;
    let stored = stored.samples();
    let mut samples = vec![0; room(size, if is_wide { 2 } else { 1 } * stored as u64)?];
    reader.next_frame(&mut samples).map_err(reason)?;
    reader.finish().map_err(reason)?;
    let samples = if is_wide {
        Samples::Sixteen(samples.as_chunks().0.iter().map(|sample| u16::from_be_bytes(*sample)).collect())
    } else {
        Samples::Eight(samples)
    };
    Ok(Pixels { mode, samples, stored })
}
