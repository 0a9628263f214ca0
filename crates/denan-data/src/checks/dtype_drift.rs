//! A file of another element type than the others of its kind.

use super::{Found, TableCheck, Tables};

check!(
    DtypeDrift,
    Warning,
    "dtype-drift",
    "file is of another element type than the others",
    "files are of other element types than the others"
);

impl TableCheck for DtypeDrift {
    fn look(&self, set: &Tables<'_>, tell: &mut dyn FnMut(Found)) -> u64 {
        set.drift(tell, |[types, _]| types)
    }
}
