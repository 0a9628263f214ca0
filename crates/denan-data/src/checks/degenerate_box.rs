//! A box without an area.

use super::{Check, Found, Looked, is_finite, sides, sides_in_words};
use denan_finding::scan::Severity;

pub(crate) struct DegenerateBox;

impl Check for DegenerateBox {
    fn names(&self) -> [&'static str; 3] {
        ["degenerate-box", "box has no area", "boxes have no area"]
    }

    fn severity(&self) -> Severity {
        Severity::Error
    }

    fn page(&self) -> &'static str {
        include_str!("../../../denan-diagnose/pages/degenerate-box.md")
    }

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
