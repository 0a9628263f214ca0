//! A box that lies outside of its image, wholly or in part.

use super::{Found, LabelCheck, Looked, is_non_finite};
use crate::labels::LabelledImage;
use denan_finding::number::float;

/// Pixels by which a box may stand out: formats count pixels from 0 or from 1, and round.
const PIXELS: f64 = 1.0;
/// The same of a box whose unit is the image.
const SHARE: f64 = 1e-4;

check!(BoxOutsideImage, Error, "box-outside-image", "box leaves its image", "boxes leave their images");

impl LabelCheck for BoxOutsideImage {
    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        for labelled in set.boxes() {
            if let Some([width, height]) = leaves(labelled.image, &labelled.found.corners) {
                let of = format!("{} x {}", float(width), float(height));
                tell(labelled.wrong(format!("{} in {of}", labelled.in_words())));
            }
        }
    }
}

/// Width and height of the image, if a box leaves it.
pub(crate) fn leaves(image: &LabelledImage, corners: &[f64; 4]) -> Option<[f64; 2]> {
    let (size, room) = match (image.is_normalised, image.size) {
        (true, _) => ([1.0, 1.0], SHARE),
        (false, Some(size)) => (size, PIXELS),
        (false, None) => return None,
    };
    let [xmin, ymin, xmax, ymax] = *corners;
    let is_outside = |low: f64, high: f64, side: f64| low.min(high) < -room || low.max(high) > side + room;
    let is_known = !is_non_finite(corners) && size.iter().all(|side| *side > 0.0);
    (is_known && (is_outside(xmin, xmax, size[0]) || is_outside(ymin, ymax, size[1]))).then_some(size)
}
