//! A box whose corners are exchanged.

use super::{Found, LabelCheck, Looked, sides};

check!(InvertedBox, Error, "inverted-box", "box ends before it begins", "boxes end before they begin");

impl LabelCheck for InvertedBox {
    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        for labelled in set.boxes().filter(|labelled| is_inverted(&labelled.found.corners)) {
            tell(labelled.wrong(labelled.in_words()));
        }
    }
}

/// Whether corners are exchanged.
pub(crate) fn is_inverted(corners: &[f64; 4]) -> bool {
    sides(corners).is_some_and(|[width, height]| width.min(height) < 0.0)
}
