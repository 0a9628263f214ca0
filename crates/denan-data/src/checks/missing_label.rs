//! An image without a label.

use super::{Check, Found, Looked};
use denan_finding::scan::Severity;
use std::collections::HashSet;

pub(crate) struct MissingLabel;

impl Check for MissingLabel {
    fn names(&self) -> [&'static str; 3] {
        ["missing-label", "image has no label", "images have no label"]
    }

    fn severity(&self) -> Severity {
        Severity::Warning
    }

    fn page(&self) -> &'static str {
        include_str!("../../pages/missing-label.md")
    }

    fn needs_images(&self) -> bool {
        true
    }

    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        let of = set.labels.images.iter().filter_map(|label| set.images.of(label));
        let labelled: HashSet<_> = of.map(|image| &image.path).collect();
        for image in set.images.all().iter().filter(|image| !labelled.contains(&image.path)) {
            tell(Found::of_file(image.path.display(), "no label is about it"));
        }
    }
}
