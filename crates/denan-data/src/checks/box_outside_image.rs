//! A box that lies outside of its image, wholly or in part.

use super::{Found, LabelCheck, Looked};
use denan_finding::number::float;

/// Pixels by which a box may stand out: formats count pixels from 0 or from 1, and round.
const PIXELS: f64 = 1.0;
/// The same of a box whose unit is the image.
const SHARE: f64 = 1e-4;

check!(BoxOutsideImage, Error, "box-outside-image", "box leaves its image", "boxes leave their images");

impl LabelCheck for BoxOutsideImage {
    fn look(&self, set: &Looked<'_>, tell: &mut dyn FnMut(Found)) {
        for labelled in set.boxes().filter(|labelled| labelled.is_finite()) {
            let (size, room) = match (labelled.image.is_normalised, labelled.image.size) {
                (true, _) => ([1.0, 1.0], SHARE),
                (false, Some(size)) => (size, PIXELS),
                (false, None) => continue,
            };
            let [xmin, ymin, xmax, ymax] = labelled.found.corners;
            let is_outside =
                |low: f64, high: f64, side: f64| low.min(high) < -room || low.max(high) > side + room;
            if size.iter().all(|side| *side > 0.0)
                && (is_outside(xmin, xmax, size[0]) || is_outside(ymin, ymax, size[1]))
            {
                let of = format!("{} x {}", float(size[0]), float(size[1]));
                tell(labelled.wrong(format!("{} in {of}", labelled.in_words())));
            }
        }
    }
}
