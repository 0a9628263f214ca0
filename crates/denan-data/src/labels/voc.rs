//! Labels of Pascal VOC: one XML file an image, as the development kit of VOC 2007 to 2012 lays it out and LabelImg
//! and CVAT write it.

use super::files::Candidate;
use super::problem::quoted;
use super::{Format, LabelledBox, LabelledImage, Part, Place, Problem, text};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::Event;
use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

/// Elements within elements beyond this are no annotation.
const MOST_ELEMENTS_DEEP: usize = 64;

const SIDES: [&str; 4] = ["xmin", "ymin", "xmax", "ymax"];

/// Reads all annotations among the files.
pub(super) fn read(candidates: &[Candidate]) -> Part {
    let mut part = Part::new(Format::Voc);
    let mut classes = BTreeSet::new();
    for candidate in candidates {
        let file = &candidate.path;
        let text = match text::read(file) {
            Ok(text) => text,
            Err(problem) => {
                part.problems.push(problem);
                continue;
            }
        };
        match parse(file, &text.text, &mut |_| {}) {
            Ok(annotation) => {
                part.count_file(file);
                for class in annotation.image.boxes.iter().filter_map(|one| one.class.as_ref()) {
                    if !classes.contains(class) {
                        classes.insert(class.clone());
                    }
                }
                part.images.push(annotation.image);
                part.problems.extend(text.problem);
                part.problems.extend(annotation.problems);
            }
            Err(Refused::OtherRoot(root)) if candidate.is_named => {
                let message = format!("is not read: its root is {} and not `annotation`", quoted(&root));
                part.problems.push(Problem::of_file(file, message));
            }
            Err(Refused::OtherRoot(_)) => {}
            Err(Refused::Broken(problem)) => part.problems.push(problem),
        }
    }
    part.classes = classes.into_iter().collect();
    part
}

/// Why a file gives no annotation.
enum Refused {
    OtherRoot(String),
    Broken(Problem),
}

/// Where in a file an `object` stands, in bytes.
#[derive(Default)]
pub(crate) struct Placed {
    pub(crate) element: Range<usize>,
    /// Of each side the text that is read as its number.
    pub(crate) sides: [Range<usize>; 4],
}

/// Where the objects stand, by their number in the file.
pub(crate) fn places(xml: &str) -> Vec<Placed> {
    let mut all = Vec::new();
    // What cannot be read has been told.
    let _ = parse(Path::new(""), xml, &mut |placed| all.push(placed));
    all
}

fn parse(file: &Path, xml: &str, place: &mut dyn FnMut(Placed)) -> Result<Annotation, Refused> {
    let mut reader = Reader::from_str(xml);
    // So that `<name/>` is a name without text, and an annotation may be empty.
    reader.config_mut().expand_empty_elements = true;
    let mut annotation = Annotation::new(file);
    let mut path: Vec<String> = Vec::new();
    let mut value = String::new();
    // Where the value begins.
    let mut from = 0;
    let mut has_root = false;
    let broken = loop {
        let at = reader.buffer_position();
        match reader.read_event() {
            Ok(Event::Start(start)) => {
                let name = start.name().into_inner();
                if path.is_empty() && !has_root && name != "annotation" {
                    return Err(Refused::OtherRoot(name.to_owned()));
                }
                if path.len() == MOST_ELEMENTS_DEEP {
                    break Some((at, format!("elements lie more than {MOST_ELEMENTS_DEEP} deep")));
                }
                has_root = true;
                path.push(name.to_owned());
                value.clear();
                from = reader.buffer_position();
                annotation.start(&path, at);
            }
            Ok(Event::Text(text)) => value.push_str(&text),
            Ok(Event::CData(text)) => value.push_str(&text),
            Ok(Event::GeneralRef(reference)) => match reference.resolve_char_ref() {
                Ok(Some(character)) => value.push(character),
                Ok(None) => match resolve_predefined_entity(&reference) {
                    Some(text) => value.push_str(text),
                    None => {
                        annotation.unknown_entity(&reference, || line_of(xml, at));
                        value.push_str(&format!("&{};", &*reference));
                    }
                },
                Err(error) => break Some((at, error.to_string())),
            },
            Ok(Event::End(_)) => {
                annotation.end(&path, value.trim(), from..at);
                from = reader.buffer_position();
                if path.len() == 2
                    && let Some(mut placed) = annotation.placed.take()
                {
                    placed.element.end = from as usize;
                    place(placed);
                }
                path.pop();
                value.clear();
            }
            Ok(Event::Eof) => {
                break path
                    .last()
                    .map(|open| (at, format!("the file ends within {}", quoted(&format!("<{open}>")))));
            }
            Ok(_) => {}
            Err(error) => break Some((reader.error_position(), error.to_string())),
        }
    };
    let broken = broken.map(|(at, message)| Problem::at(file, Place::Line(line_of(xml, at)), message));
    match broken {
        Some(problem) if !has_root => return Err(Refused::Broken(problem)),
        Some(mut problem) => {
            problem.message.push_str("; what follows is not read");
            annotation.problems.push(problem);
        }
        None if !has_root => {
            return Err(Refused::Broken(Problem::of_file(file, "is not XML: it has no element")));
        }
        None => {}
    }
    Ok(annotation)
}

/// The line of a byte, counted from 1.
fn line_of(xml: &str, at: u64) -> u64 {
    let before = xml.as_bytes().iter().take(usize::try_from(at).unwrap_or(usize::MAX));
    1 + before.filter(|byte| **byte == b'\n').count() as u64
}

/// An annotation that is being read.
struct Annotation {
    image: LabelledImage,
    size: [Option<f64>; 2],
    /// The `object` that is open.
    object: Option<Object>,
    objects: u64,
    /// Where the `object` stands that was read last.
    placed: Option<Placed>,
    tells_entities: bool,
    problems: Vec<Problem>,
}

#[derive(Default)]
struct Object {
    class: Option<String>,
    corners: [Option<f64>; 4],
    is_difficult: bool,
    bndboxes: u64,
    placed: Placed,
    /// What makes a side unusable, if it is known already.
    reason: Option<String>,
}

impl Annotation {
    fn new(file: &Path) -> Self {
        let image = LabelledImage {
            file: file.to_owned(),
            image: None,
            size: None,
            is_normalised: false,
            boxes: Vec::new(),
        };
        Self {
            image,
            size: [None; 2],
            object: None,
            objects: 0,
            placed: None,
            tells_entities: true,
            problems: Vec::new(),
        }
    }

    fn start(&mut self, path: &[String], at: u64) {
        match depth_of(path, "object") {
            Some(0) => {
                let placed = Placed { element: at as usize..0, ..Placed::default() };
                self.object = Some(Object { placed, ..Object::default() });
            }
            Some(1) if path[2] == "bndbox" => {
                if let Some(object) = &mut self.object {
                    object.bndboxes += 1;
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, path: &[String], value: &str, at: Range<u64>) {
        let names: Vec<&str> = path.iter().skip(1).map(String::as_str).collect();
        match (&names[..], &mut self.object) {
            (["filename"], _) if !value.is_empty() => self.image.image = Some(value.to_owned()),
            (["size", "width"], _) => self.size_read(0, value),
            (["size", "height"], _) => self.size_read(1, value),
            (["size"], _) => {
                if let [Some(width), Some(height)] = self.size {
                    self.image.size = Some([width, height]);
                }
            }
            (["object", "name"], Some(object)) if !value.is_empty() => object.class = Some(value.to_owned()),
            (["object", "difficult"], Some(object)) => {
                object.is_difficult = matches!(value, "1" | "true" | "True")
            }
            (["object", "bndbox", side], Some(object)) if object.bndboxes == 1 => {
                object.side_read(side, value, at)
            }
            (["object"], Some(_)) => self.object_read(),
            _ => {}
        }
    }

    fn size_read(&mut self, side: usize, value: &str) {
        match value.parse() {
            Ok(number) => self.size[side] = Some(number),
            Err(_) => {
                let name = ["width", "height"][side];
                let message = format!("the image's `<{name}>` is {} and not a number", quoted(value));
                self.problems.push(Problem::of_file(&self.image.file, message));
            }
        }
    }

    fn object_read(&mut self) {
        let Some(object) = self.object.take() else { return };
        self.placed = Some(object.placed);
        let index = self.objects;
        self.objects += 1;
        let mut tell = |message: String| {
            self.problems.push(Problem::at(&self.image.file, Place::Object(index), message));
        };
        if object.bndboxes > 1 {
            tell(format!("has {} `<bndbox>`, of which the first is read", object.bndboxes));
        }
        if let [Some(xmin), Some(ymin), Some(xmax), Some(ymax)] = object.corners {
            self.image.boxes.push(LabelledBox {
                index,
                class: object.class,
                corners: [xmin, ymin, xmax, ymax],
                is_crowd: false,
                is_difficult: object.is_difficult,
            });
            return;
        }
        tell(object.reason.unwrap_or_else(|| match object.bndboxes {
            0 => "has no `<bndbox>`".to_owned(),
            _ => {
                let missing = SIDES.iter().zip(object.corners).filter(|(_, corner)| corner.is_none());
                let missing: Vec<String> = missing.map(|(side, _)| format!("`<{side}>`")).collect();
                format!("its `<bndbox>` has no {}", missing.join(", "))
            }
        }));
    }

    /// Told once a file: a hostile one would have millions.
    fn unknown_entity(&mut self, entity: &str, line: impl FnOnce() -> u64) {
        if std::mem::take(&mut self.tells_entities) {
            let message =
                format!("{} is no entity of XML and is not expanded", quoted(&format!("&{entity};")));
            self.problems.push(Problem::at(&self.image.file, Place::Line(line()), message));
        }
    }
}

impl Object {
    fn side_read(&mut self, side: &str, value: &str, at: Range<u64>) {
        let Some(number) = SIDES.iter().position(|name| *name == side) else { return };
        match value.parse() {
            // Of a side that is written twice the first counts.
            Ok(value) if self.corners[number].is_none() => {
                self.corners[number] = Some(value);
                self.placed.sides[number] = at.start as usize..at.end as usize;
            }
            Ok(_) => {}
            Err(_) => {
                let reason = format!("its `<{side}>` is {} and not a number", quoted(value));
                self.reason.get_or_insert(reason);
            }
        }
    }
}

/// How deep below the `name` in the annotation a path lies; `None` if it is elsewhere.
fn depth_of(path: &[String], name: &str) -> Option<usize> {
    (path.get(1)? == name).then(|| path.len() - 2)
}
