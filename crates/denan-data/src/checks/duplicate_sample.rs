//! The same sample twice: files, or rows of arrays, that hold the same.

use super::{Found, TableCheck, Tables};
use crate::columns::{Shape, WHOLE, copies};

check!(
    DuplicateSample,
    Warning,
    "duplicate-sample",
    "sample is the copy of another",
    "samples are copies of others"
);

impl TableCheck for DuplicateSample {
    fn look(&self, set: &Tables<'_>, tell: &mut dyn FnMut(Found)) -> u64 {
        let copies = copies(set.samples, set.tables);
        for (copy, first) in &copies {
            let file = (set.files)(first.file);
            let message = match first.row {
                WHOLE => format!("holds the same as {file}"),
                row if first.file == copy.file => format!("holds the same as row {row}"),
                row => format!("holds the same as row {row} of {file}"),
            };
            let found = Found::of_file((set.files)(copy.file), message);
            tell(match copy.row {
                WHOLE => found,
                row => {
                    let table = set.tables.get(copy.table as usize).map(|table| table.schema.as_ref());
                    let table = table.filter(|table| table.shape != Shape::Image && !table.name.is_empty());
                    Found { index: Some(row), table: table.map(|table| table.name.clone()), ..found }
                }
            });
        }
        copies.len() as u64
    }
}
