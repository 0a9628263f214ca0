//! An image file: whether it goes by the name of one, and its size by its header.

use std::path::Path;

/// Extensions of images whose headers are read, …
const READ: [&str; 5] = ["bmp", "jpeg", "jpg", "png", "webp"];
/// … of those that are decoded only, …
const DECODED: [&str; 3] = ["gif", "tif", "tiff"];
/// … and of others.
const OTHERS: [&str; 2] = ["dng", "heic"];

/// The extension of a file in lower case.
pub(crate) fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase()
}

/// Whether a file goes by the name of an image.
pub(crate) fn is_image(path: &Path) -> bool {
    is_decoded(path) || OTHERS.contains(&&*extension(path))
}

/// Whether a file goes by the name of an image that is decoded.
pub(crate) fn is_decoded(path: &Path) -> bool {
    has_readable_header(path) || DECODED.contains(&&*extension(path))
}

/// Whether a file goes by the name of an image whose header is read.
pub(crate) fn has_readable_header(path: &Path) -> bool {
    READ.contains(&&*extension(path))
}

/// Width and height in pixels by the header, or why they are not known.
pub(crate) fn size(image: &Path) -> Result<[f64; 2], String> {
    let metadata = std::fs::metadata(image).map_err(|error| error.to_string())?;
    // Anything but a file, such as a pipe, could be waited for without end.
    if !metadata.is_file() {
        return Err("it is not a file".to_owned());
    }
    if metadata.len() == 0 {
        return Err("it is empty".to_owned());
    }
    let size = imagesize::size(image).map_err(|error| error.to_string())?;
    // A bitmap that is stored from its top has a negative height.
    let height = match u32::try_from(size.height) {
        Ok(height) if extension(image) == "bmp" => f64::from(height.cast_signed().unsigned_abs()),
        _ => size.height as f64,
    };
    match [size.width as f64, height] {
        [width, height] if width > 0.0 && height > 0.0 => Ok([width, height]),
        [width, height] => Err(format!("its header says {width} x {height} pixels")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_stored_from_its_top_has_its_height() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("a.bmp");
        let mut header = b"BM".to_vec();
        header.resize(18, 0);
        header.extend(7i32.to_le_bytes());
        header.extend((-5i32).to_le_bytes());
        header.resize(64, 0);
        std::fs::write(&image, header).unwrap();
        assert_eq!(size(&image), Ok([7.0, 5.0]));
    }
}
