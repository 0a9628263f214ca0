//! An image of another size than its label says.

use super::{Found, LabelCheck, Looked};
use denan_finding::number::float;

check!(
    ImageSize,
    Error,
    "image-size",
    "image has another size than its label says",
    "images have other sizes than their labels say"
);

impl LabelCheck for ImageSize {
    fn needs_images(&self) -> bool {
        true
    }

    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        for label in &set.labels.images {
            let Some(image) = set.images.of(label) else { continue };
            if let (Some(said), Ok(Some(is))) = (label.size, &image.size)
                && said != *is
            {
                let message = format!(
                    "{} x {} in the label, {} x {} in {}",
                    float(said[0]),
                    float(said[1]),
                    float(is[0]),
                    float(is[1]),
                    image.path.display()
                );
                tell(Found::of_file(label.file.display(), message));
            }
        }
    }
}
