//! An image whose header says nothing of its size.

use super::{Check, Found, Looked};

check!(UnreadableImage, Error, "unreadable-image", "image cannot be read", "images cannot be read");

impl Check for UnreadableImage {
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
