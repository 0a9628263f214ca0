//! The same box twice in an image.

use super::{Found, LabelCheck, Looked};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

check!(
    DuplicateBox,
    Warning,
    "duplicate-box",
    "box stands twice in its image",
    "boxes stand twice in their images"
);

impl LabelCheck for DuplicateBox {
    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        // Of the image that is gone through.
        let mut seen: HashMap<([u64; 4], Option<&str>), u64> = HashMap::new();
        let mut position = None;
        for labelled in set.boxes() {
            if position.replace(labelled.position) != Some(labelled.position) {
                seen.clear();
            }
            let found = labelled.found;
            // 0 and -0 are the same corner.
            let corners = found.corners.map(|corner| (corner + 0.0).to_bits());
            match seen.entry((corners, found.class.as_deref())) {
                Entry::Occupied(first) => {
                    tell(labelled.wrong(format!("{}, as box {}", labelled.in_words(), first.get())));
                }
                Entry::Vacant(place) => {
                    place.insert(found.index);
                }
            }
        }
    }
}
