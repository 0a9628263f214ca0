//! A label without its image.

use super::{Check, Found, Looked};
use denan_finding::scan::Severity;

pub(crate) struct MissingImage;

impl Check for MissingImage {
    fn names(&self) -> [&'static str; 3] {
        ["missing-image", "label has no image", "labels have no image"]
    }

    fn severity(&self) -> Severity {
        Severity::Warning
    }

    fn page(&self) -> &'static str {
        include_str!("../../pages/missing-image.md")
    }

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
