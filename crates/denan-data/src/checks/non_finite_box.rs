//! A box with a corner that is no number.

use super::{Check, Found, Looked, is_finite, sides_in_words};
use denan_finding::scan::Severity;

pub(crate) struct NonFiniteBox;

impl Check for NonFiniteBox {
    fn names(&self) -> [&'static str; 3] {
        ["non-finite-box", "box has a corner that is no number", "boxes have corners that are no numbers"]
    }

    fn severity(&self) -> Severity {
        Severity::Error
    }

    fn page(&self) -> &'static str {
        include_str!("../../pages/non-finite-box.md")
    }

    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        for (image, found) in set.boxes().filter(|(_, found)| !is_finite(found)) {
            tell(set.found(image, found, sides_in_words(found.corners)));
        }
    }
}
