//! The same box twice in an image.

use super::{Found, LabelCheck, Looked};
use crate::labels::LabelledBox;
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
        let mut seen: HashMap<SameAs<'_>, u64> = HashMap::new();
        let mut position = None;
        for labelled in set.boxes() {
            if position.replace(labelled.position) != Some(labelled.position) {
                seen.clear();
            }
            let found = labelled.found;
            match seen.entry(same_as(found, &found.corners)) {
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

/// What two boxes of an image have in common that are the same.
pub(crate) type SameAs<'a> = ([u64; 4], Option<&'a str>);

/// That of a box with these corners.
pub(crate) fn same_as<'a>(found: &'a LabelledBox, corners: &[f64; 4]) -> SameAs<'a> {
    // 0 and -0 are the same corner.
    (corners.map(|corner| (corner + 0.0).to_bits()), found.class.as_deref())
}
