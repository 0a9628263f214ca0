//! A box without an area.

use super::{Check, Found, Looked, is_finite, sides, sides_in_words};

check!(DegenerateBox, Error, "degenerate-box", "box has no area", "boxes have no area");

impl Check for DegenerateBox {
    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        for (image, found) in set.boxes().filter(|(_, found)| is_finite(found)) {
            let [width, height] = sides(found.corners);
            // One with a negative side is another check's.
            if width.min(height) == 0.0 {
                tell(set.found(image, found, sides_in_words(found.corners)));
            }
        }
    }
}
