//! Labels of COCO's object detection: a JSON file with `images`, `annotations` and `categories`.
//!
//! The file is streamed. Each element of its lists is taken as raw text and parsed by itself, so that one that cannot be
//! read is a problem and not the end, and segmentations are gone with their annotation.

use super::files::Candidate;
use super::problem::quoted;
use super::python_json::{PythonJson, number};
use super::{Format, LabelledBox, LabelledImage, Part, Place, Problem};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Reads all COCO files among these.
pub(super) fn read(candidates: &[Candidate]) -> Part {
    let mut part = Part::new(Format::Coco);
    for candidate in candidates {
        let file = &candidate.path;
        match Set::read(file) {
            Ok(set) if set.is_coco() => {
                part.count_file(file);
                set.add_to(&mut part);
            }
            Ok(_) if candidate.is_named => {
                part.problems
                    .push(Problem::of_file(file, "is not read: it has no `images` and `annotations`"));
            }
            Ok(_) => {}
            Err(problem) => part.problems.push(problem),
        }
    }
    part
}

/// What one file holds, in the order in which it comes.
struct Set<'f> {
    file: &'f Path,
    has_images: bool,
    has_annotations: bool,
    is_cut: bool,
    images: Vec<LabelledImage>,
    /// Position in `images` by id.
    by_id: HashMap<Id, usize>,
    categories: Vec<(Id, String)>,
    /// Annotations may come before the images that they belong to.
    annotations: Vec<Annotation>,
    images_seen: u64,
    annotations_seen: u64,
    without_bbox: Option<(u64, Place)>,
    problems: Vec<Problem>,
}

/// An id, a whole number by the format, a string in the wild.
#[derive(PartialEq, Eq, Hash)]
enum Id {
    Number(i64),
    Text(Box<str>),
}

struct Annotation {
    id: Option<Id>,
    image: Id,
    category: Option<Id>,
    index: u64,
    corners: [f64; 4],
    is_crowd: bool,
}

#[derive(Deserialize)]
struct RawImage<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow)]
    file_name: Option<&'a RawValue>,
    #[serde(borrow)]
    width: Option<&'a RawValue>,
    #[serde(borrow)]
    height: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawAnnotation<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    image_id: Option<&'a RawValue>,
    #[serde(borrow)]
    category_id: Option<&'a RawValue>,
    #[serde(borrow)]
    bbox: Option<&'a RawValue>,
    #[serde(borrow)]
    iscrowd: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct RawCategory<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow)]
    name: &'a RawValue,
}

impl<'f> Set<'f> {
    /// Reads a file; an error if nothing of it is COCO's and it is no JSON.
    fn read(file: &'f Path) -> Result<Self, Problem> {
        let unreadable = |error| Problem::of_file(file, format!("cannot be read: {error}"));
        let opened = File::open(file).map_err(unreadable)?;
        let mut set = Self {
            file,
            has_images: false,
            has_annotations: false,
            is_cut: false,
            images: Vec::new(),
            by_id: HashMap::new(),
            categories: Vec::new(),
            annotations: Vec::new(),
            images_seen: 0,
            annotations_seen: 0,
            without_bbox: None,
            problems: Vec::new(),
        };
        let mut json = serde_json::Deserializer::from_reader(PythonJson::new(BufReader::new(opened)));
        let mut read = (&mut json).deserialize_map(Top(&mut set));
        if read.is_ok() && set.is_coco() {
            read = json.end();
        }
        if let Err(error) = read {
            let place = Place::Line(error.line() as u64);
            match set.has_images || set.has_annotations {
                true => {
                    // A list of another shape belongs to something else, too.
                    set.is_cut = !error.is_data();
                    let message = format!("{}; what follows is not read", shown(&error));
                    set.problems.push(Problem::at(file, place, message));
                }
                // Valid JSON of another shape belongs to something else.
                false if error.is_data() => {}
                false => return Err(Problem::at(file, place, format!("is not JSON: {}", shown(&error)))),
            }
        }
        Ok(set)
    }

    fn is_coco(&self) -> bool {
        self.has_images && self.has_annotations || self.is_cut
    }

    fn image(&mut self, raw: &RawValue) {
        let place = Place::Image(self.images_seen);
        self.images_seen += 1;
        let image: RawImage = match serde_json::from_str(raw.get()) {
            Ok(image) => image,
            Err(error) => {
                self.problems.push(Problem::at(self.file, place, format!("is not read: {}", shown(&error))));
                return;
            }
        };
        let side = |raw: Option<&RawValue>| raw.and_then(|raw| number(raw.get()));
        let id = Id::of(image.id);
        if self.by_id.contains_key(&id) {
            self.problems.push(Problem::at(
                self.file,
                place,
                format!("has the id {id} of an image before it"),
            ));
        } else {
            self.by_id.insert(id, self.images.len());
        }
        self.images.push(LabelledImage {
            file: self.file.to_owned(),
            image: image.file_name.map(text),
            size: side(image.width).zip(side(image.height)).map(|(width, height)| [width, height]),
            is_normalised: false,
            boxes: Vec::new(),
        });
    }

    fn category(&mut self, raw: &RawValue) {
        match serde_json::from_str::<RawCategory>(raw.get()) {
            Ok(category) => self.categories.push((Id::of(category.id), text(category.name))),
            Err(error) => {
                let message = format!("a category is not read: {}", shown(&error));
                self.problems.push(Problem::of_file(self.file, message));
            }
        }
    }

    fn annotation(&mut self, raw: &RawValue) {
        let index = self.annotations_seen;
        self.annotations_seen += 1;
        let annotation: RawAnnotation = match serde_json::from_str(raw.get()) {
            Ok(annotation) => annotation,
            Err(error) => {
                let message = format!("is not read: {}", shown(&error));
                self.problems.push(Problem::at(self.file, Place::AnnotationAt(index), message));
                return;
            }
        };
        let id = annotation.id.map(Id::of);
        let place = place(id.as_ref(), index);
        let Some(bbox) = annotation.bbox else {
            // A file of captions has none at all, which is one problem and not a hundred thousand.
            self.without_bbox.get_or_insert((0, place)).0 += 1;
            return;
        };
        let Some(image) = annotation.image_id.map(Id::of) else {
            self.problems.push(Problem::at(self.file, place, "has no `image_id`"));
            return;
        };
        let Some([x, y, width, height]) = bbox_of(bbox) else {
            let message = format!("its `bbox` is {} and not four numbers", quoted(bbox.get()));
            self.problems.push(Problem::at(self.file, place, message));
            return;
        };
        self.annotations.push(Annotation {
            id,
            image,
            category: annotation.category_id.map(Id::of),
            index,
            corners: [x, y, x + width, y + height],
            is_crowd: annotation.iscrowd.is_some_and(|raw| matches!(raw.get(), "1" | "true")),
        });
    }

    /// Puts boxes into their images.
    fn add_to(mut self, part: &mut Part) {
        let mut names: HashMap<&Id, &str> = HashMap::new();
        let mut known: HashSet<String> = part.classes.iter().cloned().collect();
        for (id, name) in &self.categories {
            names.entry(id).or_insert(name);
            if known.insert(name.clone()) {
                part.classes.push(name.clone());
            }
        }
        let mut nameless = HashSet::new();
        for annotation in self.annotations {
            let place = place(annotation.id.as_ref(), annotation.index);
            let Some(image) = self.by_id.get(&annotation.image) else {
                let message = format!("belongs to image {}, which is not among `images`", annotation.image);
                self.problems.push(Problem::at(self.file, place, message));
                continue;
            };
            let class = annotation.category.map(|id| match names.get(&id) {
                Some(name) => (*name).to_owned(),
                None => {
                    let number = id.to_string();
                    if !names.is_empty() && nameless.insert(id) {
                        let message = format!("is of category {number}, which is not among `categories`");
                        self.problems.push(Problem::at(self.file, place, message));
                    }
                    number
                }
            });
            let Annotation { index, corners, is_crowd, .. } = annotation;
            self.images[*image].boxes.push(LabelledBox {
                index,
                class,
                corners,
                is_crowd,
                is_difficult: false,
            });
        }
        if let Some((count, first)) = self.without_bbox {
            let message = match count {
                1 => "has no `bbox`".to_owned(),
                _ => format!("has no `bbox`, nor have {} after it", count - 1),
            };
            self.problems.push(Problem::at(self.file, first, message));
        }
        part.images.append(&mut self.images);
        part.problems.append(&mut self.problems);
    }
}

impl Id {
    fn of(raw: &RawValue) -> Self {
        raw.get().parse().map_or_else(|_| Self::Text(text(raw).into()), Self::Number)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(out, "{number}"),
            Self::Text(text) => out.write_str(text),
        }
    }
}

fn place(id: Option<&Id>, index: u64) -> Place {
    match id {
        Some(Id::Number(id)) => Place::Annotation(id.to_string()),
        Some(Id::Text(id)) => Place::Annotation(quoted(id)),
        None => Place::AnnotationAt(index),
    }
}

/// The text of a string; of anything else, what is written.
fn text(raw: &RawValue) -> String {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().to_owned())
}

fn bbox_of(raw: &RawValue) -> Option<[f64; 4]> {
    let sides: [&RawValue; 4] = serde_json::from_str(raw.get()).ok()?;
    let [x, y, width, height] = sides.map(|side| number(side.get()));
    Some([x?, y?, width?, height?])
}

/// What went wrong without its place, which stands elsewhere. It may quote the file.
fn shown(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text[..end].chars().take(200).flat_map(char::escape_debug).collect()
}

/// The object at the top of the file.
struct Top<'s, 'f>(&'s mut Set<'f>);

impl<'de> Visitor<'de> for Top<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let list = match key.as_str() {
                "images" => List::Images,
                "annotations" => List::Annotations,
                "categories" => List::Categories,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            map.next_value_seed(Elements { list, set: &mut *self.0 })?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum List {
    Images,
    Annotations,
    Categories,
}

struct Elements<'s, 'f> {
    list: List,
    set: &'s mut Set<'f>,
}

impl<'de> DeserializeSeed<'de> for Elements<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, list: D) -> Result<(), D::Error> {
        list.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        let set = self.set;
        match self.list {
            List::Images => set.has_images = true,
            List::Annotations => set.has_annotations = true,
            List::Categories => {}
        }
        while let Some(raw) = elements.next_element::<Box<RawValue>>()? {
            match self.list {
                List::Images => set.image(&raw),
                List::Annotations => set.annotation(&raw),
                List::Categories => set.category(&raw),
            }
        }
        Ok(())
    }
}
