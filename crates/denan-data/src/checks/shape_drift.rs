//! A file of another shape, or with other columns, than the others of its kind.

use super::{Found, TableCheck, Tables};

check!(
    ShapeDrift,
    Warning,
    "shape-drift",
    "file is of another shape than the others",
    "files are of other shapes than the others"
);

impl TableCheck for ShapeDrift {
    fn look(&self, set: &Tables<'_>, tell: &mut dyn FnMut(Found)) -> u64 {
        let shapes = set.drift(tell, |[_, shape]| shape);
        shapes + set.other_columns(tell)
    }
}
