//! The image that a YOLO label file belongs to, and its size.

use super::Problem;
use crate::image_file::{is_image, size};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

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
    names.retain(|name| is_image(Path::new(name)));
    // Of `a.jpg` and `a.png` the first by name is taken, whatever the order of the file system.
    names.sort_by(|a, b| b.cmp(a));
    names.into_iter().filter_map(|name| Some((Path::new(&name).file_stem()?.to_owned(), name))).collect()
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
}
