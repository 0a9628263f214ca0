//! WebP, and of an animated one the first frame.

use super::{Mode, Pixels, limits, reason, samples_of};
use image::codecs::webp::WebPDecoder;
use image::{ColorType, ImageDecoder};
use std::io::Cursor;

pub(super) fn read(bytes: &[u8]) -> Result<Pixels, String> {
    // The decoder takes what is missing for zeros.
    let length = bytes.get(4..8).and_then(|length| Some(u32::from_le_bytes(length.try_into().ok()?)));
    let whole = u64::from(length.unwrap_or_default()) + 8;
    if (bytes.len() as u64) < whole {
        return Err(format!("it ends after {} of its {whole} bytes", bytes.len()));
    }
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|error| reason(&error, bytes))?;
    decoder.set_limits(limits()).map_err(|error| reason(&error, bytes))?;
    let mode = if decoder.color_type() == ColorType::Rgba8 { Mode::Rgba8 } else { Mode::Rgb8 };
    let samples = samples_of(decoder, bytes)?;
    Ok(Pixels { mode, samples, stored: mode.channels().len() })
}
