//! The image that a YOLO label file belongs to, and its size.

use super::Problem;
use super::files::extension;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Extensions by which an image is found; the headers of the first five are read.
const IMAGES: [&str; 9] = ["bmp", "jpeg", "jpg", "png", "webp", "dng", "heic", "tif", "tiff"];

/// The image beside a label file.
#[derive(Default)]
pub(super) struct Beside {
    pub name: Option<String>,
    /// Width and height in pixels, of the header.
    pub size: Option<[f64; 2]>,
}

/// Images by folder, each folder listed once.
#[derive(Default)]
pub(super) struct Images {
    /// Name of an image by its name without extension.
    folders: HashMap<PathBuf, HashMap<OsString, OsString>>,
}

impl Images {
    /// Looks in the folder `images` that stands for the folder `labels`, then in the label file's own.
    pub(super) fn of(&mut self, labels: &Path, problems: &mut Vec<Problem>) -> Beside {
        let absolute = std::path::absolute(labels).unwrap_or_else(|_| labels.to_owned());
        let (Some(own), Some(stem)) = (absolute.parent(), absolute.file_stem()) else {
            return Beside::default();
        };
        for folder in folder_of_images(own).into_iter().chain([own.to_owned()]) {
            let listed = self.folders.entry(folder.clone()).or_insert_with_key(|folder| list(folder));
            if let Some(name) = listed.get(stem) {
                let image = folder.join(name);
                let name = Some(name.to_string_lossy().into_owned());
                return match size(&image) {
                    Ok(size) => Beside { name, size: Some(size) },
                    Err(why) => {
                        let message = format!("its size is not known, so its boxes are not in pixels: {why}");
                        problems.push(Problem::of_file(&image, message));
                        Beside { name, size: None }
                    }
                };
            }
        }
        Beside::default()
    }
}

/// The folder with its last `labels` exchanged for `images`, as Ultralytics' `img2label_paths` does the other way.
fn folder_of_images(labels: &Path) -> Option<PathBuf> {
    let parts: Vec<Component> = labels.components().collect();
    let at = parts.iter().rposition(|part| part.as_os_str() == "labels")?;
    let images = Component::Normal("images".as_ref());
    Some(parts.iter().enumerate().map(|(number, part)| if number == at { images } else { *part }).collect())
}

fn list(folder: &Path) -> HashMap<OsString, OsString> {
    let mut names: Vec<OsString> = fs::read_dir(folder)
        .map(|entries| entries.filter_map(|entry| Some(entry.ok()?.file_name())).collect())
        .unwrap_or_default();
    names.retain(|name| IMAGES.contains(&&*extension(Path::new(name))));
    // Of `a.jpg` and `a.png` the first by name is taken, whatever the order of the file system.
    names.sort_by(|a, b| b.cmp(a));
    names.into_iter().filter_map(|name| Some((Path::new(&name).file_stem()?.to_owned(), name))).collect()
}

fn size(image: &Path) -> Result<[f64; 2], String> {
    // Anything but a file, such as a pipe, could be waited for without end.
    if !fs::metadata(image).map_err(|error| error.to_string())?.is_file() {
        return Err("it is not a file".to_owned());
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
    fn images_lie_where_the_last_folder_of_labels_points() {
        let check = |labels: &str, images: Option<&str>| {
            assert_eq!(folder_of_images(Path::new(labels)), images.map(PathBuf::from), "{labels}");
        };
        check("/labels/a/labels/train", Some("/labels/a/images/train"));
        check("/a/train/labels", Some("/a/train/images"));
        check("/a/mylabels", None);
    }

    #[test]
    fn a_bitmap_stored_from_its_top_has_its_height() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("a.bmp");
        let mut header = b"BM".to_vec();
        header.resize(18, 0);
        header.extend(7i32.to_le_bytes());
        header.extend((-5i32).to_le_bytes());
        header.resize(64, 0);
        fs::write(&image, header).unwrap();
        assert_eq!(size(&image), Ok([7.0, 5.0]));
    }
}
