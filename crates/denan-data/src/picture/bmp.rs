//! BMP.

use super::{Mode, Pixels, limits, reason, samples_of};
use image::codecs::bmp::BmpDecoder;
use image::{ColorType, ImageDecoder};
use std::io::Cursor;

pub(super) fn read(bytes: &[u8]) -> Result<Pixels, String> {
    let mut decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(|error| reason(&error, bytes))?;
    decoder.set_limits(limits()).map_err(|error| reason(&error, bytes))?;
    let stored = usize::from(decoder.color_type().channel_count());
    let mode = match decoder.get_palette() {
        // Grey is stored with a palette, too. That of the decoder always has 256 colours, those that are not there black.
        Some(palette) if (0..=255).zip(palette).all(|(level, colour)| *colour == [level; 3]) => Mode::Gray8,
        Some([[0, 0, 0], [255, 255, 255], rest @ ..]) if rest.iter().all(|colour| *colour == [0; 3]) => {
            Mode::Bilevel
        }
        Some(_) => Mode::Palette8,
        None if decoder.color_type() == ColorType::Rgba8 => Mode::Rgba8,
        None => Mode::Rgb8,
    };
    Ok(Pixels { mode, samples: samples_of(decoder, bytes)?, stored })
}
