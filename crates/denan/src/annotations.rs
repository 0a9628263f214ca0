//! Looks into the annotation file of a sample, for the causes.

use denan_diagnose::{AnnotatedBox, Annotations};
use denan_record::model::Sample;
use quick_xml::events::Event;
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
        let path = self.find(sample.name.as_deref()?)?;
        read_voc(&std::fs::read_to_string(path).ok()?)
    }
}

/// The boxes of a Pascal VOC annotation; `None` if it is not one.
fn read_voc(xml: &str) -> Option<Vec<AnnotatedBox>> {
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut path: Vec<String> = Vec::new();
    let mut found = Vec::new();
    let (mut width, mut height) = (None, None);
    let mut current: Option<AnnotatedBox> = None;
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => {
                path.push(start.name().into_inner().to_owned());
                if path.last().is_some_and(|name| name == "object") {
                    current = Some(AnnotatedBox {
                        index: found.len() as u64,
                        class: None,
                        xmin: f64::NAN,
                        ymin: f64::NAN,
                        xmax: f64::NAN,
                        ymax: f64::NAN,
                        image_width: None,
                        image_height: None,
                    });
                }
            }
            Event::Text(text) => {
                let text = text.trim().to_owned();
                let parts: Vec<&str> = path.iter().map(String::as_str).collect();
                match (&mut current, &parts[..]) {
                    (None, [_, "size", "width"]) => width = text.parse().ok(),
                    (None, [_, "size", "height"]) => height = text.parse().ok(),
                    (Some(current), [_, "object", "name"]) => current.class = Some(text),
                    (Some(current), [_, "object", "bndbox", side]) => {
                        let value = text.parse().ok()?;
                        match *side {
                            "xmin" => current.xmin = value,
                            "ymin" => current.ymin = value,
                            "xmax" => current.xmax = value,
                            "ymax" => current.ymax = value,
                            _ => {}
                        }
                    }
                    _ => {}
                }
            }
            Event::End(_) => {
                let ended = path.pop();
                if ended.as_deref() == Some("object") {
                    found.extend(current.take());
                }
            }
            Event::Eof => break,
            _ => {}
        }
    }
    for annotated in &mut found {
        annotated.image_width = width;
        annotated.image_height = height;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_read_with_class_and_image_size() {
        let xml = "<annotation><size><width>640</width><height>480</height></size>\
                   <object><name>cell</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>1</xmax><ymax>9</ymax></bndbox></object>\
                   </annotation>";
        let boxes = read_voc(xml).unwrap();
        assert_eq!(boxes.len(), 1);
        assert_eq!((boxes[0].xmin, boxes[0].xmax, boxes[0].image_width), (1.0, 1.0, Some(640.0)));
        assert_eq!(boxes[0].class.as_deref(), Some("cell"));
    }

    #[test]
    fn what_is_no_annotation_has_no_boxes() {
        assert!(read_voc("<a><b>").is_none_or(|boxes| boxes.is_empty()));
        assert!(read_voc("<a></b>").is_none());
    }
}
