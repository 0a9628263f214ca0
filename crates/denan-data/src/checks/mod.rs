//! What can be wrong with a data set: one file per check, each with a page for `denan explain`.

/// A check by its name, how bad what it finds is, its id, and what is said of one and of many findings. Its page is
/// `pages/ID.md`.
macro_rules! check {
    ($name:ident, $severity:ident, $id:literal, $one:literal, $many:literal) => {
        pub(crate) struct $name;

        impl $crate::checks::Identity for $name {
            fn names(&self) -> [&'static str; 3] {
                [$id, $one, $many]
            }

            fn severity(&self) -> denan_finding::scan::Severity {
                denan_finding::scan::Severity::$severity
            }

            fn page(&self) -> &'static str {
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/pages/", $id, ".md"))
            }
        }
    };
}

mod box_outside_image;
mod degenerate_box;
mod duplicate_box;
mod image_size;
mod inverted_box;
mod missing_image;
mod missing_label;
mod non_finite_box;
mod tiny_box;
mod unreadable_image;
mod unreadable_label;

use crate::images::Images;
use crate::labels::{LabelSet, LabelledBox, LabelledImage};
use denan_finding::number::float;
use denan_finding::scan::{ScanFinding, Severity};

/// Every check, in the order in which its findings are told.
pub(crate) static CHECKS: [&dyn Check; 11] = [
    &unreadable_label::UnreadableLabel,
    &non_finite_box::NonFiniteBox,
    &degenerate_box::DegenerateBox,
    &inverted_box::InvertedBox,
    &box_outside_image::BoxOutsideImage,
    &tiny_box::TinyBox,
    &duplicate_box::DuplicateBox,
    &unreadable_image::UnreadableImage,
    &image_size::ImageSize,
    &missing_image::MissingImage,
    &missing_label::MissingLabel,
];

/// What a check is called; written by `check!`.
pub(crate) trait Identity {
    /// Its id, and what is said of one and of many findings: `box has no area`, `boxes have no area`.
    fn names(&self) -> [&'static str; 3];

    /// How bad what it finds is.
    fn severity(&self) -> Severity;

    /// Its page in Markdown.
    fn page(&self) -> &'static str;
}

/// A check of a set of labels and its images.
pub(crate) trait Check: Identity + Sync {
    /// Whether there is nothing to check where no image files are found.
    fn needs_images(&self) -> bool {
        false
    }

    /// Tells all that it finds, in the order of the labels.
    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found));
}

/// What is looked at.
pub(crate) struct Looked<'a> {
    pub(crate) labels: &'a LabelSet,
    pub(crate) images: &'a Images,
}

impl Looked<'_> {
    /// Each box with its image.
    fn boxes(&self) -> impl Iterator<Item = Labelled<'_>> {
        let images = self.labels.images.iter().enumerate();
        images.flat_map(|(position, image)| {
            image.boxes.iter().map(move |found| Labelled { position: position as u64, image, found })
        })
    }
}

/// A box of an image.
struct Labelled<'a> {
    /// That of the image among the labelled ones.
    position: u64,
    image: &'a LabelledImage,
    found: &'a LabelledBox,
}

impl Labelled<'_> {
    /// Whether all corners are numbers.
    fn is_finite(&self) -> bool {
        self.found.corners.iter().all(|corner| corner.is_finite())
    }

    /// Width and height; negative where the corners are exchanged.
    fn sides(&self) -> [f64; 2] {
        let [xmin, ymin, xmax, ymax] = self.found.corners;
        [xmax - xmin, ymax - ymin]
    }

    /// `x 504 to 504, y 337 to 337`.
    fn in_words(&self) -> String {
        let [xmin, ymin, xmax, ymax] = self.found.corners.map(float);
        format!("x {xmin} to {xmax}, y {ymin} to {ymax}")
    }

    /// Something is wrong with it.
    fn wrong(&self, message: impl Into<String>) -> Found {
        Found {
            file: self.image.file.display().to_string(),
            index: Some(self.position),
            labelled: Some(self.found.clone()),
            message: message.into(),
        }
    }
}

/// Something found, before it is said which check has.
pub(crate) struct Found {
    pub(crate) file: String,
    /// Position of the image among the labelled ones.
    pub(crate) index: Option<u64>,
    pub(crate) labelled: Option<LabelledBox>,
    pub(crate) message: String,
}

impl Found {
    fn of_file(file: impl ToString, message: impl Into<String>) -> Self {
        Self { file: file.to_string(), index: None, labelled: None, message: message.into() }
    }

    /// As it is told.
    pub(crate) fn by(self, check: &dyn Check) -> ScanFinding {
        let [rule, ..] = check.names();
        ScanFinding {
            rule: rule.to_owned(),
            severity: check.severity(),
            file: self.file,
            index: self.index,
            labelled_box: self.labelled.as_ref().map(|found| found.index),
            class: self.labelled.as_ref().and_then(|found| found.class.clone()),
            value: self.labelled.map(|found| found.corners),
            message: self.message,
        }
    }
}

/// The page of a check, or `None` if there is none of this id.
pub fn page(id: &str) -> Option<&'static str> {
    CHECKS.iter().find(|check| check.names()[0] == id).map(|check| check.page())
}

/// The ids of all checks, sorted.
pub fn ids() -> Vec<&'static str> {
    let mut ids: Vec<&str> = CHECKS.iter().map(|check| check.names()[0]).collect();
    ids.sort_unstable();
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_has_a_page_of_its_name() {
        for check in CHECKS {
            let [id, one, many] = check.names();
            assert!(check.page().starts_with(&format!("# {id}\n\n")), "{id}");
            assert!(one != many && check.page().contains("## How it is cured"), "{id}");
        }
        assert_eq!(ids().len(), CHECKS.len());
        assert!(page("tiny-box").is_some() && page("no-such-check").is_none());
    }
}
