//! A box without an area.

use super::{Found, LabelCheck, Looked};

check!(DegenerateBox, Error, "degenerate-box", "box has no area", "boxes have no area");

impl LabelCheck for DegenerateBox {
    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        for labelled in set.boxes().filter(|labelled| labelled.is_finite()) {
            let [width, height] = labelled.sides();
            // One with a negative side is another check's.
            if width.min(height) == 0.0 {
                tell(labelled.wrong(labelled.in_words()));
            }
        }
    }
}
