//! A label without its image.

use super::{Found, LabelCheck, Looked};

check!(MissingImage, Warning, "missing-image", "label has no image", "labels have no image");

impl LabelCheck for MissingImage {
    fn needs_images(&self) -> bool {
        true
    }

    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        for label in set.labels.images.iter().filter(|label| set.images.of(label).is_none()) {
            let name = label.image.as_ref().map_or_else(String::new, |name| format!(" {name}"));
            tell(Found::of_file(label.file.display(), format!("its image{name} is not there")));
        }
    }
}
