//! A box with a corner that is no number.

use super::{Check, Found, Looked, is_finite, sides_in_words};

check!(
    NonFiniteBox,
    Error,
    "non-finite-box",
    "box has a corner that is no number",
    "boxes have corners that are no numbers"
);

impl Check for NonFiniteBox {
    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        for (image, found) in set.boxes().filter(|(_, found)| !is_finite(found)) {
            tell(set.found(image, found, sides_in_words(found.corners)));
        }
    }
}
