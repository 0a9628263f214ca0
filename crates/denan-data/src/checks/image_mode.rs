//! An image whose pixels are stored otherwise than those of the others.

use super::{Found, TableCheck, Tables};

check!(ImageMode, Warning, "image-mode", "image is of another mode than the others", "images are of other modes than the others");

impl TableCheck for ImageMode {
    fn look(&self, set: &Tables<'_>, tell: &mut dyn FnMut(Found)) -> u64 {
        set.drift(tell, |layout| layout.strip_prefix("image: "))
    }
}
