//! An image file, decoded whole: whether it can be, how its pixels are stored, and which values they have.
//!
//! Decoders are lenient where training is not: what a browser shows with a grey lower half stops a loader. So a file that
//! ends early is told as such, whatever could be made of its beginning. Bytes behind an image's end do no harm.

mod bmp;
mod gif;
mod jpeg;
mod levels;
mod png;
mod tiff;
mod webp;

pub(crate) use levels::Levels;

use crate::guarded::caught;
use image::{ImageDecoder, ImageError};
use levels::Samples;
use std::fmt;
use std::io;
use twox_hash::XxHash3_128;

/// Decoded images that are larger are refused.
const MOST_BYTES: u64 = 1 << 30;

/// What an image file holds.
#[derive(Debug)]
pub(crate) struct Picture {
    pub(crate) mode: Mode,
    /// One per channel, in the order of [`Mode::channels`].
    pub(crate) channels: Vec<Levels>,
    /// Of the file's bytes (XXH3, 128 bits).
    pub(crate) hash: u128,
}

/// How pixels are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Mode {
    /// Black and white, as the levels 0 and 255.
    Bilevel,
    Gray8,
    GrayAlpha8,
    Rgb8,
    Rgba8,
    Cmyk8,
    /// Numbers of colours in a palette. The levels are those of the colours.
    Palette8,
    Gray16,
    GrayAlpha16,
    Rgb16,
    Rgba16,
    Gray32F,
    Rgb32F,
    Rgba32F,
}

impl Mode {
    /// What the channels are called.
    pub(crate) fn channels(self) -> &'static [&'static str] {
        match self {
            Self::Bilevel | Self::Gray8 | Self::Gray16 | Self::Gray32F => &["L"],
            Self::GrayAlpha8 | Self::GrayAlpha16 => &["L", "A"],
            Self::Rgb8 | Self::Palette8 | Self::Rgb16 | Self::Rgb32F => &["R", "G", "B"],
            Self::Rgba8 | Self::Rgba16 | Self::Rgba32F => &["R", "G", "B", "A"],
            Self::Cmyk8 => &["C", "M", "Y", "K"],
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bilevel => "black and white",
            Self::Gray8 => "8-bit grey",
            Self::GrayAlpha8 => "8-bit grey with alpha",
            Self::Rgb8 => "8-bit RGB",
            Self::Rgba8 => "8-bit RGB with alpha",
            Self::Cmyk8 => "8-bit CMYK",
            Self::Palette8 => "colours of a palette",
            Self::Gray16 => "16-bit grey",
            Self::GrayAlpha16 => "16-bit grey with alpha",
            Self::Rgb16 => "16-bit RGB",
            Self::Rgba16 => "16-bit RGB with alpha",
            Self::Gray32F => "32-bit float grey",
            Self::Rgb32F => "32-bit float RGB",
            Self::Rgba32F => "32-bit float RGB with alpha",
        })
    }
}

/// A format by its name, how a file of it begins, and how it is read.
type Format = (&'static str, fn(&[u8]) -> bool, fn(&[u8]) -> Result<Pixels, String>);

static FORMATS: [Format; 6] = [
    ("JPEG", |bytes| bytes.starts_with(&[0xFF, 0xD8, 0xFF]), jpeg::read),
    ("PNG", |bytes| bytes.starts_with(b"\x89PNG\r\n\x1A\n"), png::read),
    ("WebP", |bytes| bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP"), webp::read),
    ("BMP", |bytes| bytes.starts_with(b"BM"), bmp::read),
    // The fourth byte of each is that of BigTIFF.
    (
        "TIFF",
        |bytes| matches!(bytes, [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..]),
        tiff::read,
    ),
    ("GIF", |bytes| bytes.starts_with(b"GIF87a") || bytes.starts_with(b"GIF89a"), gif::read),
];

fn format(bytes: &[u8]) -> Option<&'static Format> {
    FORMATS.iter().find(|(_, begins, _)| begins(bytes))
}

/// Decodes an image, of an animated one the first frame; or why it cannot be decoded.
pub(crate) fn decode(bytes: &[u8]) -> Result<Picture, String> {
    if bytes.is_empty() {
        return Err("it is empty".to_owned());
    }
    let (_, _, read) = format(bytes).ok_or_else(|| no_image(bytes))?;
    // A decoder that trips over foreign bytes is not to take the scan with it.
    let Pixels { mode, samples, stored } = caught(|| read(bytes))
        .unwrap_or_else(|_| Err("it is damaged: its decoder did not expect what it found".to_owned()))?;
    let mut channels = Levels::of(&samples, stored);
    channels.truncate(mode.channels().len());
    Ok(Picture { mode, channels, hash: XxHash3_128::oneshot(bytes) })
}

/// The pixels of an image.
struct Pixels {
    mode: Mode,
    samples: Samples,
    /// How many samples each pixel has; those beyond the channels of the mode are not counted.
    stored: usize,
}

/// The bytes that an image of this size takes when decoded, or why it is not decoded.
fn room(size: [u32; 2], bytes_each: u64) -> Result<usize, String> {
    let [width, height] = size;
    let needed = u64::from(width).saturating_mul(height.into()).saturating_mul(bytes_each);
    match usize::try_from(needed) {
        Ok(needed @ 1..) if needed as u64 <= MOST_BYTES => Ok(needed),
        Ok(0) => Err(format!("its header says {width} x {height} pixels")),
        _ => {
            Err(format!("its header says {width} x {height} pixels, more than the 1 GiB that denan decodes"))
        }
    }
}

/// Refuses a header that promises more pixels than the file can hold; a byte holds `most` of them in that format.
fn plausible(size: [u32; 2], most: u64, bytes: &[u8]) -> Result<(), String> {
    let [width, height] = size;
    if u64::from(width).saturating_mul(height.into()) <= most.saturating_mul(bytes.len() as u64) {
        return Ok(());
    }
    Err(format!("its header says {width} x {height} pixels, which {} bytes cannot hold", bytes.len()))
}

/// All samples that a decoder of 8-bit images gives.
fn samples_of(decoder: impl ImageDecoder, bytes: &[u8]) -> Result<Samples, String> {
    let (width, height) = decoder.dimensions();
    let room = room([width, height], decoder.color_type().bytes_per_pixel().into())?;
    let mut samples = vec![0; room];
    decoder.read_image(&mut samples).map_err(|error| reason(&error, bytes))?;
    Ok(Samples::Eight(samples))
}

/// The limits of decoders that keep to some.
fn limits() -> image::Limits {
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(MOST_BYTES);
    limits
}

fn reason(error: &ImageError, bytes: &[u8]) -> String {
    match error {
        ImageError::IoError(error) => io_reason(error, bytes),
        ImageError::Unsupported(error) => unread(error),
        _ => damaged(error),
    }
}

fn io_reason(error: &io::Error, bytes: &[u8]) -> String {
    if error.kind() == io::ErrorKind::UnexpectedEof { ends_early(bytes) } else { damaged(error) }
}

fn ends_early(bytes: &[u8]) -> String {
    format!("it ends after {} bytes, before its image does", bytes.len())
}

fn damaged(error: impl fmt::Display) -> String {
    format!("it is damaged: {error}")
}

fn unread(error: impl fmt::Display) -> String {
    format!("it is stored in a way that denan does not read: {error}")
}

/// What a file is that is no image, as far as its first bytes tell.
fn no_image(bytes: &[u8]) -> String {
    if bytes.iter().all(|byte| *byte == 0) {
        return "it is no image: all its bytes are zero".to_owned();
    }
    let start = &bytes[..bytes.len().min(24)];
    if start.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n')) {
        return format!("it is no image: it begins with {:?}", String::from_utf8_lossy(start));
    }
    let start: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("it is no JPEG, PNG, WebP, BMP, TIFF or GIF: it begins with the bytes {}", start.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::png::{BitDepth, ColorType, Encoder};
    use image::{DynamicImage, ImageFormat};
    use proptest::prelude::*;
    use std::io::Cursor;

    /// The format of an image by its first bytes, whatever the file's name says.
    fn format_of(bytes: &[u8]) -> Option<&'static str> {
        let (name, ..) = format(bytes)?;
        Some(name)
    }

    const WIDTH: u32 = 13;
    const HEIGHT: u32 = 7;

    /// Every pixel's channels rise along the image, each from a value of its own.
    fn rising() -> DynamicImage {
        let pixel = |x, y| image::Rgba([10, 60, 110, 160].map(|first| first + (y * WIDTH + x) as u8));
        image::RgbaImage::from_fn(WIDTH, HEIGHT, pixel).into()
    }

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn png(color: ColorType, depth: BitDepth, width: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, width, 1);
        encoder.set_color(color);
        encoder.set_depth(depth);
        if color == ColorType::Indexed {
            encoder.set_palette(&[0, 0, 0, 200, 100, 50][..]);
            encoder.set_trns(&[0, 255][..]);
        }
        encoder.write_header().unwrap().write_image_data(data).unwrap();
        bytes
    }

    /// A TIFF of one strip, its directory first, with these tags beside those that every one has.
    fn tiff(width: u16, height: u16, tags: &[(u16, u16)], palette: &[u16], strip: &[u8]) -> Vec<u8> {
        let count = (5 + tags.len() + usize::from(!palette.is_empty())) as u16;
        let behind = 8 + 2 + 12 * u32::from(count) + 4;
        let data = behind + 2 * palette.len() as u32;
        let mut entries: Vec<(u16, u16, u32, u32)> =
            tags.iter().map(|(tag, value)| (*tag, 3, 1, (*value).into())).collect();
        entries.extend([(256, 3, 1, width.into()), (257, 3, 1, height.into()), (273, 4, 1, data)]);
        entries.extend([(278, 3, 1, height.into()), (279, 4, 1, strip.len() as u32)]);
        if !palette.is_empty() {
            entries.push((320, 3, palette.len() as u32, behind));
        }
        entries.sort();
        let mut bytes = b"II*\0\x08\0\0\0".to_vec();
        bytes.extend(count.to_le_bytes());
        for (tag, kind, count, value) in entries {
            bytes.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
            bytes.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
        }
        bytes.extend([0; 4]);
        palette.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        bytes.extend(strip);
        bytes
    }

    fn from_hex(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    /// 16 x 16 pixels, 8 rows of about 40 above 8 of about 199.
    fn progressive_jpeg() -> Vec<u8> {
        from_hex(concat!(
            "ffd8ffdb0043001b12141714111b1716171e1c1b2028422b28252528513a3d3042605565645f555d5b6a7899816a7190735b5d85",
            "b586909ea3abadab6780bcc9baa6c799a8aba4ffc2000b080010001001011100ffc4001600010101000000000000000000000000",
            "00000405ffda000801010000000189aeffc40014100100000000000000000000000000000020ffda00080101000105021fffc400",
            "14100100000000000000000000000000000020ffda0008010100063f021fffc40014100100000000000000000000000000000020",
            "ffda0008010100013f211fffda00080101000000103fffc40014100100000000000000000000000000000020ffda000801010001",
            "3f101fffd9",
        ))
    }

    /// 8 x 8 pixels of C 9, M 19, Y 29, K 39, as Adobe's programs store them.
    fn cmyk_jpeg() -> Vec<u8> {
        from_hex(concat!(
            "ffd8ffee000e41646f626500640000000000ffdb0043001b12141714111b1716171e1c1b2028422b28252528513a3d3042605565",
            "645f555d5b6a7899816a7190735b5d85b586909ea3abadab6780bcc9baa6c799a8aba4ffc000140800080008044311004d110059",
            "11004b1100ffc4001500010100000000000000000000000000000506ffc40014100100000000000000000000000000000000ffda",
            "000e0443004d0059004b00003f00a3501d34ffd9",
        ))
    }

    /// One file at least of each format.
    fn files() -> Vec<Vec<u8>> {
        let rgb = DynamicImage::from(rising().to_rgb8());
        let formats = [
            (&rgb, ImageFormat::Jpeg),
            (&rgb, ImageFormat::Png),
            (&rgb, ImageFormat::WebP),
            (&rgb, ImageFormat::Bmp),
            (&rgb, ImageFormat::Tiff),
            (&rgb, ImageFormat::Gif),
        ];
        let mut files: Vec<Vec<u8>> = formats.map(|(image, format)| encoded(image, format)).into();
        files.extend([
            progressive_jpeg(),
            cmyk_jpeg(),
            tiff(3, 2, &[(258, 8), (259, 1), (262, 1)], &[], &[1; 6]),
        ]);
        files
    }

    /// Mean of each channel.
    fn means(picture: &Picture) -> Vec<f64> {
        picture.channels.iter().map(|levels| levels.summary().mean).collect()
    }

    #[test]
    fn what_is_stored_without_loss_is_counted_exactly() {
        use ImageFormat::{Bmp, Png, Tiff, WebP};
        let image = rising();
        let last = (WIDTH * HEIGHT - 1) as f64;
        let cases: [(DynamicImage, Mode, &[ImageFormat]); 8] = [
            (image.to_luma8().into(), Mode::Gray8, &[Png, Bmp, Tiff]),
            (image.to_luma_alpha8().into(), Mode::GrayAlpha8, &[Png]),
            (image.to_rgb8().into(), Mode::Rgb8, &[Png, Bmp, Tiff, WebP]),
            (image.to_rgba8().into(), Mode::Rgba8, &[Png, Bmp, Tiff, WebP]),
            (image.to_luma16().into(), Mode::Gray16, &[Png, Tiff]),
            (image.to_rgb16().into(), Mode::Rgb16, &[Png, Tiff]),
            (image.to_rgba16().into(), Mode::Rgba16, &[Png, Tiff]),
            (image.to_rgb32f().into(), Mode::Rgb32F, &[Tiff]),
        ];
        for (image, mode, formats) in cases {
            for format in formats {
                let picture = decode(&encoded(&image, *format)).unwrap();
                assert_eq!(picture.mode, mode, "{format:?}");
                assert_eq!(picture.channels.len(), mode.channels().len());
                let unit = match mode {
                    Mode::Gray16 | Mode::Rgb16 | Mode::Rgba16 => 257.0,
                    Mode::Rgb32F => 1.0 / 255.0,
                    _ => 1.0,
                };
                for (name, levels) in mode.channels().iter().zip(&picture.channels) {
                    let first = match *name {
                        "R" => 10.0,
                        "G" => 60.0,
                        "B" => 110.0,
                        "A" => 160.0,
                        // Grey is a sum of all three.
                        _ => levels.summary().min_opt().unwrap() / unit,
                    };
                    assert_eq!(levels.summary().count, u64::from(WIDTH * HEIGHT));
                    let near = |value: f64, wanted: f64| (value / unit - wanted).abs() < 1e-4;
                    assert!(
                        near(levels.summary().min_opt().unwrap(), first)
                            && near(levels.summary().max_opt().unwrap(), first + last)
                    );
                    assert!(near(levels.summary().mean, first + last / 2.0), "{format:?} {mode} {name}");
                }
            }
        }
    }

    #[test]
    fn a_palette_has_the_levels_of_its_colours() {
        let picture = decode(&png(ColorType::Indexed, BitDepth::One, 4, &[0b0111_0000])).unwrap();
        assert_eq!((picture.mode, means(&picture)), (Mode::Palette8, vec![150.0, 75.0, 37.5]));
        let tags = [(258, 4), (259, 1), (262, 3)];
        let palette: Vec<u16> =
            [[0, 200], [0, 100], [0, 50]].into_iter().flatten().map(|value| value * 257).collect();
        let picture = decode(&tiff(3, 1, &tags, &palette, &[0x10, 0x10])).unwrap();
        assert_eq!((picture.mode, picture.channels[0].summary().mean.round()), (Mode::Palette8, 133.0));
        let outside = decode(&tiff(3, 1, &tags, &palette, &[0x10, 0x50]));
        assert_eq!(outside.unwrap_err(), "it is damaged: colour 5 is not among the 2 of its palette");
        let two =
            image::RgbImage::from_fn(4, 1, |x, _| image::Rgb(if x == 0 { [0; 3] } else { [200, 100, 48] }));
        let picture = decode(&encoded(&two.into(), ImageFormat::Gif)).unwrap();
        assert_eq!((picture.mode, means(&picture)), (Mode::Palette8, vec![150.0, 75.0, 36.0]));
    }

    #[test]
    fn black_and_white_are_0_and_255() {
        let files = [
            png(ColorType::Grayscale, BitDepth::One, 4, &[0b0111_0000]),
            tiff(4, 1, &[(258, 1), (259, 1), (262, 1)], &[], &[0b0111_0000]),
        ];
        for file in files {
            let picture = decode(&file).unwrap();
            assert_eq!(picture.mode, Mode::Bilevel);
            let [levels] = &picture.channels[..] else { panic!("one channel") };
            assert_eq!(
                (levels.summary().min_opt(), levels.summary().max_opt(), levels.summary().mean),
                (Some(0.0), Some(255.0), 191.25)
            );
        }
    }

    #[test]
    fn channels_that_are_stored_one_after_the_other_are_counted_as_others() {
        let tags = [(258, 8), (259, 1), (262, 2), (277, 3), (284, 2)];
        let mut bytes = tiff(2, 1, &tags, &[], &[1, 3, 10, 30, 100, 200]);
        // The strips of three planes; their offsets and lengths lie behind the pixels.
        let [first, behind] = [bytes.len() - 6, bytes.len()];
        for value in [first, first + 2, first + 4, 2, 2, 2] {
            bytes.extend((value as u32).to_le_bytes());
        }
        for (tag, at) in [(273u16, behind), (279, behind + 12)] {
            let entry =
                (10..first).step_by(12).find(|entry| bytes[*entry..*entry + 2] == tag.to_le_bytes()).unwrap();
            bytes[entry + 4] = 3;
            bytes[entry + 8..entry + 12].copy_from_slice(&(at as u32).to_le_bytes());
        }
        let picture = decode(&bytes).unwrap();
        assert_eq!((picture.mode, means(&picture)), (Mode::Rgb8, vec![2.0, 20.0, 150.0]));
    }

    #[test]
    fn jpeg_is_read_in_grey_colour_and_cmyk() {
        let near = |file: &[u8], mode: Mode, wanted: &[f64]| {
            let picture = decode(file).unwrap();
            assert_eq!(picture.mode, mode);
            let means = means(&picture);
            let is_near = means.iter().zip(wanted).all(|(mean, wanted)| (mean - wanted).abs() < 2.0);
            assert!(means.len() == wanted.len() && is_near, "{means:?}");
        };
        near(&encoded(&rising().to_rgb8().into(), ImageFormat::Jpeg), Mode::Rgb8, &[55.0, 105.0, 155.0]);
        let grey = image::GrayImage::from_pixel(30, 20, image::Luma([77]));
        near(&encoded(&grey.into(), ImageFormat::Jpeg), Mode::Gray8, &[77.0]);
        near(&progressive_jpeg(), Mode::Gray8, &[119.5]);
        near(&cmyk_jpeg(), Mode::Cmyk8, &[9.0, 19.0, 29.0, 39.0]);
    }

    #[test]
    fn a_file_that_ends_early_is_refused_wherever_it_ends() {
        for file in files() {
            let format = format_of(&file).unwrap();
            // That a GIF has no trailer, which is its last byte, is no loss.
            let whole = file.len() - usize::from(format == "GIF");
            for length in 1..whole {
                let error = decode(&file[..length]).expect_err(format);
                assert!(error.starts_with("it "), "{error}");
            }
            let half = decode(&file[..file.len() / 2]).unwrap_err();
            if !["PNG", "TIFF"].contains(&format) {
                assert!(half.starts_with(&format!("it ends after {} ", file.len() / 2)), "{format}: {half}");
            }
        }
    }

    #[test]
    fn bytes_behind_the_end_do_no_harm() {
        for mut file in files() {
            let before = decode(&file).unwrap();
            file.extend([0xFF, 0xD8, 0, 1, 0x21, 0x3B]);
            let after = decode(&file).unwrap();
            assert_eq!(before.channels, after.channels);
            assert_ne!(before.hash, after.hash);
        }
    }

    #[test]
    fn a_header_that_promises_too_much_is_refused() {
        for side in [16_000u16, 60_000] {
            let mut jpeg = encoded(&rising().to_rgb8().into(), ImageFormat::Jpeg);
            let header = jpeg.windows(2).position(|marker| marker == [0xFF, 0xC0]).unwrap();
            jpeg[header + 5..header + 9].copy_from_slice(&[side.to_be_bytes(), side.to_be_bytes()].concat());
            let mut bmp = encoded(&rising().to_rgb8().into(), ImageFormat::Bmp);
            let both = [u32::from(side).to_le_bytes(), u32::from(side).to_le_bytes()].concat();
            bmp[18..26].copy_from_slice(&both);
            let mut gif = encoded(&rising(), ImageFormat::Gif);
            gif[6..10].copy_from_slice(&[side.to_le_bytes(), side.to_le_bytes()].concat());
            gif.truncate(200);
            let mut png = Vec::new();
            Encoder::new(&mut png, side.into(), side.into()).write_header().unwrap();
            let tiff = tiff(side, side, &[(258, 8), (259, 1), (262, 1)], &[], &[1; 60]);
            for file in [jpeg, bmp, gif, png, tiff] {
                decode(&file).expect_err(format_of(&file).unwrap());
            }
        }
        let said = room([60_000, 60_000], 3).unwrap_err();
        assert_eq!(said, "its header says 60000 x 60000 pixels, more than the 1 GiB that denan decodes");
        assert_eq!(room([0, 5], 3).unwrap_err(), "its header says 0 x 5 pixels");
        room([u32::MAX; 2], 16).unwrap_err();
        let said = plausible([16_000, 16_000], 512, &[0; 200]).unwrap_err();
        assert_eq!(said, "its header says 16000 x 16000 pixels, which 200 bytes cannot hold");
    }

    #[test]
    fn a_changed_byte_of_a_png_is_noticed() {
        let mut file = encoded(&rising(), ImageFormat::Png);
        let data = file.windows(4).position(|chunk| chunk == b"IDAT").unwrap();
        file[data + 20] ^= 1;
        decode(&file).unwrap_err();
    }

    #[test]
    fn what_is_no_image_is_told_by_its_beginning() {
        let said = |bytes: &[u8]| decode(bytes).unwrap_err();
        assert_eq!(said(b""), "it is empty");
        assert_eq!(
            said(b"<!DOCTYPE html>\n<html>"),
            r#"it is no image: it begins with "<!DOCTYPE html>\n<html>""#
        );
        assert_eq!(said(&[0; 99]), "it is no image: all its bytes are zero");
        assert!(said(b"\x7fELF\x02\x01").ends_with(": it begins with the bytes 7f 45 4c 46 02 01"));
    }

    #[test]
    fn a_format_is_told_by_the_first_bytes() {
        let told: Vec<_> = files().iter().take(6).map(|file| format_of(file)).collect();
        assert_eq!(told, ["JPEG", "PNG", "WebP", "BMP", "TIFF", "GIF"].map(Some));
        assert_eq!(format_of(b"RIFF\0\0\0\0WAVE"), None);
    }

    proptest! {
        #[test]
        fn foreign_bytes_do_no_harm(format in 0..FORMATS.len(), rest in prop::collection::vec(any::<u8>(), 0..400)) {
            let begins: [&[u8]; 6] =
                [b"\xFF\xD8\xFF", b"\x89PNG\r\n\x1A\n", b"RIFF\x40\0\0\0WEBP", b"BM", b"II*\0", b"GIF89a"];
            let bytes = [begins[format], &rest].concat();
            prop_assert!(format_of(&bytes).is_some());
            let _ = decode(&bytes);
            let _ = decode(&rest);
        }

        #[test]
        fn changed_bytes_do_no_harm(
            file in 0..files().len(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
            length in any::<prop::sample::Index>(),
        ) {
            let mut bytes = files().swap_remove(file);
            for (at, value) in changes {
                let at = at.index(bytes.len());
                bytes[at] = value;
            }
            let _ = decode(&bytes);
            let _ = decode(&bytes[..length.index(bytes.len())]);
        }
    }
}
