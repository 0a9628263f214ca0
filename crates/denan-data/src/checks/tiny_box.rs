//! A box of a pixel or less.

use super::{Found, LabelCheck, Looked, sides};
use crate::labels::LabelledImage;

/// Pixels of a side that a network's first stride of 2 makes nothing of.
const LEAST: f64 = 2.0;

check!(TinyBox, Warning, "tiny-box", "box is narrower than 2 pixels", "boxes are narrower than 2 pixels");

impl LabelCheck for TinyBox {
    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        for labelled in set.boxes().filter(|labelled| is_tiny(labelled.image, &labelled.found.corners)) {
            tell(labelled.wrong(labelled.in_words()));
        }
    }
}

/// Whether a side of a box is shorter than 2 pixels.
pub(crate) fn is_tiny(image: &LabelledImage, corners: &[f64; 4]) -> bool {
    let sides = sides(corners).filter(|_| !image.is_normalised);
    sides.is_some_and(|[width, height]| width > 0.0 && height > 0.0 && width.min(height) < LEAST)
}
