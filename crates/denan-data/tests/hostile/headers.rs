//! Headers that lie about what follows.

use crate::make::Type;
use crate::write::{npy, npy_of, safetensors, zip};
use crate::{scan_bytes, unreadable};
use image::{DynamicImage, ImageFormat};
use std::io::Cursor;
use zip::CompressionMethod;

fn npy_text(header: &str) -> Vec<u8> {
    let header = format!("{header}\n");
    [b"\x93NUMPY\x02\0", &(header.len() as u32).to_le_bytes()[..], header.as_bytes(), &[0; 64]].concat()
}

#[test]
fn headers_of_npy_that_lie_are_errors() {
    let shape = |order: &str, shape: &str| {
        npy_text(&format!("{{'descr': '<f4', 'fortran_order': {order}, 'shape': {shape}, }}"))
    };
    let huge = format!("({})", "2, ".repeat(100_000));
    for text in [
        "(-1,)",
        "(5, -3)",
        "(9223372036854775808,)",
        "(18446744073709551615,)",
        "(99999999999999999999999999,)",
        "(4294967296, 4294967296)",
        "(4294967296, 4294967296, 4294967296)",
        "(1099511627776,)",
        "(3, 1099511627776)",
        "(1099511627776, 3)",
        "(1152921504606846976, 1)",
        "(2, 1000000, 1000000)",
        "(1.5,)",
        "(5",
        "5",
        &huge,
    ] {
        for order in ["False", "True"] {
            unreadable("x.npy", &shape(order, text));
            unreadable("x.npz", &zip(CompressionMethod::Stored, &[("x.npy", shape(order, text))]));
        }
    }
    for text in ["(0, 18446744073709551615)", "(18446744073709551615, 0, 7)"] {
        let result = scan_bytes("x.npy", &shape("False", text));
        assert_eq!(result.findings[0].rule, "empty-array");
    }
    for open in ["(", "[", "{", "{'a': ", "'", "(1,"] {
        unreadable("x.npy", &npy_text(&open.repeat(200_000)));
    }
    for length in [u32::MAX, 1 << 30, 1 << 20] {
        let bytes = [b"\x93NUMPY\x02\0", &length.to_le_bytes()[..], &[b' '; 100]].concat();
        unreadable("x.npy", &bytes);
    }
    for descr in ["|O", "<c8", "<f16", "<M8[ns]", "|S18446744073709551615", "<f99999999999999999999", "", "<"]
    {
        unreadable("x.npy", &npy_of(descr, false, &[4], &[0; 64]));
    }
}

#[test]
fn sizes_in_archives_that_lie_are_errors() {
    let whole = npy(Type::F32, &[16], &[1.0; 16]);
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let archive = zip(method, &[("x.npy", whole.clone())]);
        // Each of the sizes in the local and in the central header.
        for at in (0..archive.len() - 4).filter(|at| {
            let here = u32::from_le_bytes(archive[*at..at + 4].try_into().unwrap()) as usize;
            here == whole.len()
        }) {
            for size in [0, 1, u32::MAX - 1, u32::MAX, 1 << 31] {
                let mut bytes = archive.clone();
                bytes[at..at + 4].copy_from_slice(&size.to_le_bytes());
                scan_bytes("x.npz", &bytes);
            }
        }
    }
    let short = npy_of("<f4", false, &[1000], &[0; 64]);
    unreadable("x.npz", &zip(CompressionMethod::Deflated, &[("x.npy", short)]));
}

#[test]
fn headers_of_safetensors_that_lie_are_errors() {
    let of = |length: u64, header: &str| [&length.to_le_bytes()[..], header.as_bytes(), &[0; 32]].concat();
    for length in [u64::MAX, u64::MAX - 7, 1 << 63, 100_000_001, 1000] {
        unreadable("x.safetensors", &of(length, "{}"));
    }
    let tensor = |shape: &str, offsets: &str| {
        let header =
            format!("{{\"x\": {{\"dtype\": \"F32\", \"shape\": {shape}, \"data_offsets\": {offsets}}}}}");
        of(header.len() as u64, &header)
    };
    for (shape, offsets) in [
        ("[8]", "[0, 18446744073709551615]"),
        ("[8]", "[18446744073709551584, 18446744073709551615]"),
        ("[8]", "[32, 0]"),
        ("[8]", "[16, 48]"),
        ("[8]", "[-4, 28]"),
        ("[8]", "[0]"),
        ("[-8]", "[0, 32]"),
        ("[8000]", "[0, 32000]"),
        ("[4294967296, 4294967296]", "[0, 32]"),
        ("[18446744073709551615, 2]", "[0, 32]"),
        ("[9]", "[0, 32]"),
    ] {
        unreadable("x.safetensors", &tensor(shape, offsets));
    }
    let deep = "{\"a\":".repeat(100_000);
    unreadable("x.safetensors", &of(deep.len() as u64, &deep));
    // Cut short at any place.
    let whole = safetensors(&[("x", Type::F32, &[4, 2], &[1.0; 8])]);
    for cut in 0..whole.len() {
        unreadable("x.safetensors", &whole[..cut]);
    }
}

#[test]
fn images_that_claim_to_be_huge_are_errors() {
    let image: DynamicImage =
        image::RgbImage::from_fn(33, 21, |x, y| image::Rgb([x as u8, y as u8, 7])).into();
    let encoded = |format| {
        let mut bytes = Cursor::new(Vec::new());
        image.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    let side = 60_000u32;
    // Where width and height stand, and how many bytes they have.
    let headers = [
        ("x.png", ImageFormat::Png, 16, 20, 4, true),
        ("x.bmp", ImageFormat::Bmp, 18, 22, 4, false),
        ("x.gif", ImageFormat::Gif, 6, 8, 2, false),
    ];
    for (name, format, width, height, size, is_big_endian) in headers {
        let mut bytes = encoded(format);
        for at in [width, height] {
            let side = if is_big_endian { side.to_be_bytes() } else { side.to_le_bytes() };
            let side = if is_big_endian { &side[4 - size..] } else { &side[..size] };
            bytes[at..at + size].copy_from_slice(side);
        }
        if format == ImageFormat::Png {
            let sum = crc(&bytes[12..29]).to_be_bytes();
            bytes[29..33].copy_from_slice(&sum);
        }
        if format == ImageFormat::Gif {
            // Those of the image within.
            let at =
                bytes.windows(9).position(|part| part[0] == 0x2c && part[5..9] == [33, 0, 21, 0]).unwrap();
            bytes[at + 5..at + 7].copy_from_slice(&(side as u16).to_le_bytes());
            bytes[at + 7..at + 9].copy_from_slice(&(side as u16).to_le_bytes());
        }
        unreadable(name, &bytes);
    }
    let mut jpeg = encoded(ImageFormat::Jpeg);
    let at = jpeg.windows(4).position(|part| part == [0, 21, 0, 33]).unwrap();
    jpeg[at..at + 4].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]);
    unreadable("x.jpg", &jpeg);
    let mut tiff = encoded(ImageFormat::Tiff);
    for (tag, value) in [(256u16, 33u32), (257, 21)] {
        let at = tiff
            .windows(12)
            .position(|part| part[..2] == tag.to_le_bytes() && part[8..12] == value.to_le_bytes());
        let at = at.unwrap();
        tiff[at + 8..at + 12].copy_from_slice(&side.to_le_bytes());
    }
    unreadable("x.tiff", &tiff);
}

/// The check sum of a PNG's chunk.
fn crc(bytes: &[u8]) -> u32 {
    let mut sum = flate2::Crc::new();
    sum.update(bytes);
    sum.sum()
}
