//! The same box twice in an image.

use super::{Check, Found, Looked, sides_in_words};
use std::collections::HashMap;

check!(
    DuplicateBox,
    Warning,
    "duplicate-box",
    "box stands twice in its image",
    "boxes stand twice in their images"
);

impl Check for DuplicateBox {
    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        for image in &set.labels.images {
            let mut seen: HashMap<([u64; 4], Option<&str>), u64> = HashMap::new();
            for found in &image.boxes {
                // 0 and -0 are the same corner.
                let corners = found.corners.map(|corner| (corner + 0.0).to_bits());
                match seen.get(&(corners, found.class.as_deref())) {
                    Some(first) => {
                        let message = format!("{}, as box {first}", sides_in_words(found.corners));
                        tell(set.found(image, found, message));
                    }
                    None => {
                        seen.insert((corners, found.class.as_deref()), found.index);
                    }
                }
            }
        }
    }
}
