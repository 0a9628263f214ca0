//! An image without a label.

use super::{Found, LabelCheck, Looked};
use std::collections::HashSet;

check!(MissingLabel, Warning, "missing-label", "image has no label", "images have no label");

impl LabelCheck for MissingLabel {
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
