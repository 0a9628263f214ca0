//! Reading a data set in the layout of Pascal VOC: `Annotations/*.xml` beside `JPEGImages/*.jpg`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use image::{ImageReader, RgbImage};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;

/// The objects drawn in one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// The annotation's file name, such as `Cells_0001.xml`.
    pub name: String,
    pub objects: Vec<Object>,
}

/// One labelled box.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    pub class: String,
    /// `xmin, ymin, xmax, ymax` in pixels of the original image.
    pub bounds: [f32; 4],
}

/// Why a data set could not be read.
#[derive(Debug, thiserror::Error)]
pub enum VocError {
    #[error("there is no folder {}", .0.display())]
    MissingFolder(PathBuf),
    #[error(
        "{} holds no folder `{missing}`: expected a Pascal VOC data set, that is \
         `Annotations/*.xml` and `JPEGImages/*.jpg` in one folder",
        .dir.display()
    )]
    NotVoc { dir: PathBuf, missing: &'static str },
    #[error("{} holds no annotation: expected files named `*.xml`", .0.display())]
    NoAnnotations(PathBuf),
    #[error("cannot read {}: {source}", .path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{}:{line}:{column}: {message}", .path.display())]
    Annotation { path: PathBuf, line: usize, column: usize, message: String },
    #[error("{} has no image: expected {}", .annotation.display(), .image.display())]
    MissingImage { annotation: PathBuf, image: PathBuf },
    #[error("cannot decode the image {}: {source}", .path.display())]
    Image { path: PathBuf, source: image::ImageError },
}

/// The paths of all annotations of a data set, sorted by name.
pub fn list_annotations(dir: &Path) -> Result<Vec<PathBuf>, VocError> {
    if !dir.is_dir() {
        return Err(VocError::MissingFolder(dir.to_owned()));
    }
    for missing in ["Annotations", "JPEGImages"] {
        if !dir.join(missing).is_dir() {
            let dir = dir.to_owned();
            return Err(VocError::NotVoc { dir, missing });
        }
    }

    let folder = dir.join("Annotations");
    let in_folder = |source| VocError::Io { path: folder.clone(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(&folder).map_err(in_folder)? {
        let path = entry.map_err(in_folder)?.path();
        if path.extension().is_some_and(|extension| extension == "xml") {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(VocError::NoAnnotations(folder));
    }
    paths.sort();
    Ok(paths)
}

/// Reads one annotation.
pub fn read_annotation(path: &Path) -> Result<Annotation, VocError> {
    let xml = fs::read_to_string(path).map_err(|source| VocError::Io { path: path.to_owned(), source })?;
    let objects = parse_objects(&xml).map_err(|error| {
        let (line, column) = line_and_column(&xml, error.offset);
        VocError::Annotation { path: path.to_owned(), line, column, message: error.message }
    })?;
    let name = path.file_name().unwrap_or_default();
    let name = name.to_string_lossy().into_owned();
    Ok(Annotation { name, objects })
}

/// Reads the image that belongs to an annotation: the one of the same name in `JPEGImages`.
pub fn read_image(dir: &Path, annotation: &Path) -> Result<RgbImage, VocError> {
    let stem = dir.join("JPEGImages").join(annotation.file_stem().unwrap_or_default());
    let path = ["jpg", "jpeg", "JPG", "JPEG"]
        .map(|extension| stem.with_extension(extension))
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| VocError::MissingImage {
            annotation: annotation.to_owned(),
            image: stem.with_extension("jpg"),
        })?;

    let image = ImageReader::open(&path).map_err(|source| VocError::Io { path: path.clone(), source })?;
    match image.decode() {
        Ok(image) => Ok(image.into_rgb8()),
        Err(source) => Err(VocError::Image { path, source }),
    }
}

/// What is wrong in an annotation, and at which byte.
#[derive(Debug)]
struct ParseError {
    offset: usize,
    message: String,
}

/// An object while its elements are still being read.
#[derive(Default)]
struct PartialObject {
    offset: usize,
    class: Option<String>,
    bounds: [Option<f32>; 4],
}

const BOUNDS: [&str; 4] = ["xmin", "ymin", "xmax", "ymax"];

/// Elements are told apart by their whole path, because the parts of a VOC object (head, hands,
/// feet) have names and boxes as well.
fn parse_objects(xml: &str) -> Result<Vec<Object>, ParseError> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let mut has_root = false;
    let mut open_tags: Vec<String> = Vec::new();
    let mut text = String::new();
    let mut object = PartialObject::default();
    let mut objects = Vec::new();

    loop {
        let offset = reader.buffer_position() as usize;
        let error = |message: String| ParseError { offset, message };

        let event = reader.read_event().map_err(|source| ParseError {
            offset: reader.error_position() as usize,
            message: source.to_string(),
        })?;
        match event {
            Event::Start(tag) => {
                open_tags.push(tag.name().as_ref().to_owned());
                text.clear();
                has_root |= open_tags == ["annotation"];
                if open_tags == ["annotation", "object"] {
                    object = PartialObject { offset, ..Default::default() };
                }
            }
            Event::Text(part) => text.push_str(&part),
            Event::CData(part) => text.push_str(&part),
            Event::GeneralRef(reference) => match reference.resolve_char_ref() {
                Ok(Some(character)) => text.push(character),
                _ => match resolve_predefined_entity(&reference) {
                    Some(resolved) => text.push_str(resolved),
                    None => return Err(error(format!("unknown entity `&{};`", &*reference))),
                },
            },
            Event::End(_) => {
                let value = text.trim();
                let path: Vec<&str> = open_tags.iter().map(String::as_str).collect();
                match path[..] {
                    ["annotation", "object", "name"] => object.class = Some(value.to_owned()),
                    ["annotation", "object", "bndbox", bound] => {
                        if let Some(index) = BOUNDS.iter().position(|name| *name == bound) {
                            let number = value
                                .parse()
                                .map_err(|_| error(format!("<{bound}> is not a number: `{value}`")))?;
                            object.bounds[index] = Some(number);
                        }
                    }
                    ["annotation", "object"] => objects.push(finish(std::mem::take(&mut object))?),
                    _ => {}
                }
                open_tags.pop();
                text.clear();
            }
            Event::Eof => break,
            _ => {}
        }
    }

    if let Some(tag) = open_tags.last() {
        return Err(ParseError { offset: xml.len(), message: format!("the file ends before </{tag}>") });
    }
    if !has_root {
        return Err(ParseError {
            offset: 0,
            message: "this is no annotation: the outermost element is not <annotation>".into(),
        });
    }
    Ok(objects)
}

fn finish(object: PartialObject) -> Result<Object, ParseError> {
    let missing = |element: &str| ParseError {
        offset: object.offset,
        message: format!("this object has no <{element}>"),
    };
    let class = object.class.clone().ok_or_else(|| missing("name"))?;
    let mut bounds = [0.0; 4];
    for (index, name) in BOUNDS.iter().enumerate() {
        bounds[index] = object.bounds[index].ok_or_else(|| missing(name))?;
    }
    Ok(Object { class, bounds })
}

/// Both count from 1, as editors do.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text.as_bytes()[..offset.min(text.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_class_and_bounds_of_every_object() {
        let xml = "<annotation><filename>a.jpg</filename>\
            <object><name>salt &amp; pepper</name><bndbox><xmin>1</xmin><ymin>2.5</ymin>\
            <xmax>3</xmax><ymax>4</ymax></bndbox>\
            <part><name>head</name><bndbox><xmin>9</xmin><ymin>9</ymin><xmax>9</xmax>\
            <ymax>9</ymax></bndbox></part></object></annotation>";
        let object = Object { class: "salt & pepper".into(), bounds: [1.0, 2.5, 3.0, 4.0] };
        assert_eq!(parse_objects(xml).unwrap(), [object]);
    }

    #[test]
    fn an_annotation_may_be_without_objects() {
        assert_eq!(parse_objects("<annotation/>").unwrap(), []);
    }

    #[test]
    fn says_where_an_annotation_is_broken() {
        for (xml, line, column, message) in [
            ("<annotation>\n  <object>\n", 3, 1, "the file ends before </object>"),
            ("", 1, 1, "the outermost element is not <annotation>"),
            ("<annotation>\n <object>\n </objekt>", 3, 2, "objekt"),
            ("<annotation>\n <object><name>a</name></object>", 2, 2, "no <xmin>"),
            ("<annotation><object><bndbox>\n<xmin>ten</xmin>", 2, 10, "<xmin> is not a number: `ten`"),
        ] {
            let error = parse_objects(xml).unwrap_err();
            assert_eq!(line_and_column(xml, error.offset), (line, column), "{xml}");
            assert!(error.message.contains(message), "{}", error.message);
        }
    }
}
