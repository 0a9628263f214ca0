//! An image whose pixels are stored otherwise than those of the others.

use super::{Found, TableCheck, Tables};
use crate::columns::Shape;

check!(
    ImageMode,
    Warning,
    "image-mode",
    "image is of another mode than the others",
    "images are of other modes than the others"
);

impl TableCheck for ImageMode {
    fn look(&self, set: &Tables<'_>, tell: &mut dyn FnMut(Found)) -> u64 {
        // Images of each mode are a table of their own.
        let modes = || set.tables.iter().filter(|table| table.schema.shape == Shape::Image);
        let Some(usual) = modes().rev().max_by_key(|table| table.rows) else { return 0 };
        let mut total = 0;
        for table in modes().filter(|table| table.schema.name != usual.schema.name) {
            total += table.rows;
            for file in table.layouts.values().flat_map(|layout| &layout.first) {
                let message = format!("is {}, most are {}", table.schema.name, usual.schema.name);
                tell(Found::of_file((set.files)(*file), message));
            }
        }
        total
    }
}
