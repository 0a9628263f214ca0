//! JPEG: baseline and progressive; grey, colour and CMYK.

use super::{Mode, Pixels, Samples, damaged, ends_early, plausible, room, unread};
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// A block of 8 x 8 pixels takes a bit at least.
const MOST_PIXELS_IN_A_BYTE: u64 = 8 * 64;

pub(super) fn read(bytes: &[u8]) -> Result<Pixels, String> {
    let is_of_adobe = walk(bytes).ok_or_else(|| ends_early(bytes))?;
    let options = DecoderOptions::default().set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(reason)?;
    let (Some(info), Some(space)) = (decoder.info(), decoder.input_colorspace()) else {
        return Err(damaged("it has no header"));
    };
    let size = [info.width.into(), info.height.into()];
    let (mode, decoded) = match space {
        ColorSpace::Luma => (Mode::Gray8, ColorSpace::Luma),
        ColorSpace::YCbCr | ColorSpace::RGB => (Mode::Rgb8, ColorSpace::RGB),
        ColorSpace::CMYK | ColorSpace::YCCK => (Mode::Cmyk8, space),
        _ => return Err(format!("it has {} channels, which JPEG gives no meaning", info.components)),
    };
    let stored = mode.channels().len();
    plausible(size, MOST_PIXELS_IN_A_BYTE, bytes)?;
    let mut samples = vec![0; room(size, stored as u64)?];
    // Only what is odd in a header does no harm to the pixels.
    decoder.set_options(options.set_strict_mode(true).jpeg_set_out_colorspace(decoded));
    decoder.decode_into(&mut samples).map_err(reason)?;
    if space == ColorSpace::YCCK {
        samples.as_chunks_mut().0.iter_mut().for_each(cmyk_of_ycck);
    } else if space == ColorSpace::CMYK && is_of_adobe {
        samples.iter_mut().for_each(|sample| *sample = !*sample);
    }
    Ok(Pixels { mode, samples: Samples::Eight(samples), stored })
}

fn reason(error: DecodeErrors) -> String {
    match error {
        DecodeErrors::Unsupported(error) => unread(format_args!("{error:?}")),
        DecodeErrors::Format(error) => damaged(error),
        DecodeErrors::FormatStatic(error) => damaged(error),
        _ => damaged(error),
    }
}

/// Goes through the segments to the marker of the image's end; nothing if the file ends before. Whether there is a segment
/// of Adobe's, whose programs store the complement of CMYK.
///
/// The decoder takes what is missing for zeros.
fn walk(bytes: &[u8]) -> Option<bool> {
    let mut is_of_adobe = false;
    let mut rest = bytes.get(2..)?;
    loop {
        rest = &rest[memchr::memchr(0xFF, rest)? + 1..];
        match *rest.first()? {
            0xD9 => return Some(is_of_adobe),
            // A byte of 255 within the data, a restart, and what has no length either.
            0x00 | 0x01 | 0xD0..=0xD8 => rest = &rest[1..],
            // Filling before a marker.
            0xFF => {}
            marker => {
                let length: [u8; 2] = rest.get(1..3)?.try_into().ok()?;
                let segment = rest.get(1..1 + usize::from(u16::from_be_bytes(length)).max(2))?;
                is_of_adobe |= marker == 0xEE && segment[2..].starts_with(b"Adobe");
                rest = &rest[1 + segment.len()..];
            }
        }
    }
}

/// YCbCr of the complement of CMY, which is RGB, and the complement of K: as Adobe's programs store it.
fn cmyk_of_ycck([y, cb, cr, k]: &mut [u8; 4]) {
    let [luma, blue, red] = [f32::from(*y), f32::from(*cb) - 128.0, f32::from(*cr) - 128.0];
    *y = (luma + 1.402 * red).round() as u8;
    *cb = (luma - 0.344_136 * blue - 0.714_136 * red).round() as u8;
    *cr = (luma + 1.772 * blue).round() as u8;
    *k = !*k;
}
