//! A box of a pixel or less.

use super::{Found, LabelCheck, Looked};

/// Pixels of a side that a network's first stride of 2 makes nothing of.
const LEAST: f64 = 2.0;

check!(TinyBox, Warning, "tiny-box", "box is narrower than 2 pixels", "boxes are narrower than 2 pixels");

impl LabelCheck for TinyBox {
    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        let in_pixels = set.boxes().filter(|labelled| !labelled.image.is_normalised && labelled.is_finite());
        for labelled in in_pixels {
            let [width, height] = labelled.sides();
            if width > 0.0 && height > 0.0 && width.min(height) < LEAST {
                tell(labelled.wrong(labelled.in_words()));
            }
        }
    }
}
