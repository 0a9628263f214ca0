//! A box whose corners are exchanged.

use super::{Found, LabelCheck, Looked};

check!(InvertedBox, Error, "inverted-box", "box ends before it begins", "boxes end before they begin");

impl LabelCheck for InvertedBox {
    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        for labelled in set.boxes().filter(|labelled| labelled.is_finite()) {
            let [width, height] = labelled.sides();
            if width.min(height) < 0.0 {
                tell(labelled.wrong(labelled.in_words()));
            }
        }
    }
}
