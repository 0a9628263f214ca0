//! A box whose corners are exchanged.

use super::{Check, Found, Looked, is_finite, sides, sides_in_words};

check!(InvertedBox, Error, "inverted-box", "box ends before it begins", "boxes end before they begin");

impl Check for InvertedBox {
    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        for (image, found) in set.boxes().filter(|(_, found)| is_finite(found)) {
            let [width, height] = sides(found.corners);
            if width.min(height) < 0.0 {
                tell(set.found(image, found, sides_in_words(found.corners)));
            }
        }
    }
}
