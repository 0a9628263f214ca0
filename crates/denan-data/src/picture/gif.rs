//! GIF: the first frame on its canvas.

use super::{Mode, Pixels, ends_early, limits, reason, samples_of};
use image::ImageDecoder;
use image::codecs::gif::GifDecoder;
use std::io::Cursor;

pub(super) fn read(bytes: &[u8]) -> Result<Pixels, String> {
    walk(bytes).ok_or_else(|| ends_early(bytes))?;
    let mut decoder = GifDecoder::new(Cursor::new(bytes)).map_err(|error| reason(&error, bytes))?;
    decoder.set_limits(limits()).map_err(|error| reason(&error, bytes))?;
    let stored = usize::from(decoder.color_type().channel_count());
    Ok(Pixels { mode: Mode::Palette8, samples: samples_of(decoder, bytes)?, stored })
}

/// Goes through the blocks; nothing if the file ends within one, be it of a later frame. Some programs leave the trailer out.
fn walk(bytes: &[u8]) -> Option<()> {
    let mut rest = after_palette(*bytes.get(10)?, bytes.get(13..)?)?;
    while let Some(first) = rest.first() {
        rest = match first {
            // An extension.
            0x21 => after_blocks(rest.get(2..)?)?,
            // A frame.
            0x2C => after_blocks(after_palette(*rest.get(9)?, rest.get(10..)?)?.get(1..)?)?,
            // The trailer; of anything else the decoder is to say what is wrong.
            _ => break,
        };
    }
    Some(())
}

fn after_palette(flags: u8, rest: &[u8]) -> Option<&[u8]> {
    if flags & 0x80 == 0 { Some(rest) } else { rest.get(3 << ((flags & 7) + 1)..) }
}

fn after_blocks(mut rest: &[u8]) -> Option<&[u8]> {
    while let (length @ 1.., blocks) = rest.split_first()? {
        rest = blocks.get(usize::from(*length)..)?;
    }
    rest.get(1..)
}
