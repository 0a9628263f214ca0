//! Looks into the annotation file of a sample, for the causes.

use denan_data::labels;
use denan_diagnose::{AnnotatedBox, Annotations};
use denan_record::model::Sample;
use std::path::{Path, PathBuf};

/// Annotation files in the folders that the training's command names.
pub struct AnnotationFiles {
    folders: Vec<PathBuf>,
}

impl AnnotationFiles {
    /// Looks in the folders among the arguments, in their `Annotations` folders, and in the working folder.
    pub fn of_command(arguments: &[std::ffi::OsString], folder: Option<&Path>) -> Self {
        let base = folder.map_or_else(|| PathBuf::from("."), Path::to_owned);
        let mut folders = Vec::new();
        for argument in arguments.iter().map(PathBuf::from).chain([PathBuf::from(".")]) {
            let at = base.join(argument);
            if at.is_dir() {
                folders.extend([at.join("Annotations"), at]);
            }
        }
        Self { folders }
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        let direct = Path::new(name);
        if direct.is_absolute() {
            return direct.is_file().then(|| direct.to_owned());
        }
        let as_xml = direct.with_extension("xml");
        self.folders
            .iter()
            .flat_map(|folder| [folder.join(direct), folder.join(&as_xml)])
            .find(|path| path.is_file() && path.extension().is_some_and(|extension| extension == "xml"))
    }
}

impl Annotations for AnnotationFiles {
    fn boxes(&self, sample: &Sample) -> Option<Vec<AnnotatedBox>> {
        boxes_of(self.find(sample.name.as_deref()?)?)
    }
}

/// The boxes of a Pascal VOC annotation; `None` if it is not one.
fn boxes_of(path: PathBuf) -> Option<Vec<AnnotatedBox>> {
    let [image] = <[_; 1]>::try_from(labels::read(&[path]).ok()?.images).ok()?;
    let [image_width, image_height] = image.size.map_or([None; 2], |size| size.map(Some));
    let boxes = image.boxes.into_iter().map(|labelled| {
        let [xmin, ymin, xmax, ymax] = labelled.corners;
        let (index, class) = (labelled.index, labelled.class);
        AnnotatedBox { index, class, xmin, ymin, xmax, ymax, image_width, image_height }
    });
    Some(boxes.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_read_with_class_and_image_size() {
        let xml = "<annotation><size><width>640</width><height>480</height></size>\
                   <object><name>cell</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>1</xmax><ymax>9</ymax></bndbox></object>\
                   </annotation>";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cell.xml");
        std::fs::write(&path, xml).unwrap();
        let boxes = boxes_of(path.clone()).unwrap();
        assert_eq!(boxes.len(), 1);
        assert_eq!((boxes[0].xmin, boxes[0].xmax, boxes[0].image_width), (1.0, 1.0, Some(640.0)));
        assert_eq!(boxes[0].class.as_deref(), Some("cell"));
        std::fs::write(&path, "<a></b>").unwrap();
        assert_eq!(boxes_of(path).map(|boxes| boxes.len()), None);
    }
}
