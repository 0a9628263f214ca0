//! A box with a corner that is no number.

use super::{Found, LabelCheck, Looked};

check!(
    NonFiniteBox,
    Error,
    "non-finite-box",
    "box has a corner that is no number",
    "boxes have corners that are no numbers"
);

impl LabelCheck for NonFiniteBox {
    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        for labelled in set.boxes().filter(|labelled| is_non_finite(&labelled.found.corners)) {
            tell(labelled.wrong(labelled.in_words()));
        }
    }
}

/// Whether a corner is no number.
pub(crate) fn is_non_finite(corners: &[f64; 4]) -> bool {
    !corners.iter().all(|corner| corner.is_finite())
}
