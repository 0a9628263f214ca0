//! An image of another size than its label says.

use super::{Check, Found, Looked};
use denan_finding::number::float;
use denan_finding::scan::Severity;

pub(crate) struct ImageSize;

impl Check for ImageSize {
    fn names(&self) -> [&'static str; 3] {
        [
            "image-size",
            "image has another size than its label says",
            "images have other sizes than their labels say",
        ]
    }

    fn severity(&self) -> Severity {
        Severity::Error
    }

    fn page(&self) -> &'static str {
        include_str!("../../pages/image-size.md")
    }

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
