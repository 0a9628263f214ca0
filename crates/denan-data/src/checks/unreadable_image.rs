//! An image whose header says nothing of its size.

use super::{Check, Found, Looked};
use denan_finding::scan::Severity;

pub(crate) struct UnreadableImage;

impl Check for UnreadableImage {
    fn names(&self) -> [&'static str; 3] {
        ["unreadable-image", "image cannot be read", "images cannot be read"]
    }

    fn severity(&self) -> Severity {
        Severity::Error
    }

    fn page(&self) -> &'static str {
        include_str!("../../pages/unreadable-image.md")
    }

    fn needs_images(&self) -> bool {
        true
    }

    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        for image in set.images.all() {
            if let Err(why) = &image.size {
                tell(Found::of_file(image.path.display(), why));
            }
        }
    }
}
