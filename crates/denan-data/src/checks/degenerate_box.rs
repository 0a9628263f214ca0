//! A box without an area.

use super::{Found, LabelCheck, Looked, sides};

check!(DegenerateBox, Error, "degenerate-box", "box has no area", "boxes have no area");

impl LabelCheck for DegenerateBox {
    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        for labelled in set.boxes().filter(|labelled| is_degenerate(&labelled.found.corners)) {
            tell(labelled.wrong(labelled.in_words()));
        }
    }
}

/// Whether a box has no area.
pub(crate) fn is_degenerate(corners: &[f64; 4]) -> bool {
    // One with a negative side is another check's.
    sides(corners).is_some_and(|[width, height]| width.min(height) == 0.0)
}
