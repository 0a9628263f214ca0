//! Columns of wildly different size.

use super::{Found, TableCheck, Tables};
use crate::columns::{Column, Table};
use denan_finding::number::float;

check!(
    FeatureScale,
    Warning,
    "feature-scale",
    "table has columns of wildly different size",
    "tables have columns of wildly different size"
);

/// How many times the smallest column's magnitude the largest's is.
const RATIO: f64 = 1000.0;
/// A column below this is not large.
const LARGE: f64 = 10.0;

impl TableCheck for FeatureScale {
    fn look(&self, set: &Tables<'_>, tell: &mut dyn FnMut(Found)) -> u64 {
        let mut total = 0;
        for table in set.of_data() {
            let mut sizes: Vec<(f64, usize)> =
                table.features().filter_map(|(number, column)| Some((size(column)?, number))).collect();
            sizes.sort_by(|a, b| a.0.total_cmp(&b.0));
            let (Some(&(small, smallest)), Some(&(large, largest))) = (sizes.first(), sizes.last()) else {
                continue;
            };
            if large >= LARGE && large >= RATIO * small {
                total += 1;
                let name = |column: usize| table.schema.column_words(column);
                let message = format!(
                    "{} is of size {}, {} of size {}: {} times as large",
                    name(largest),
                    float(large),
                    name(smallest),
                    float(small),
                    float((large / small).round())
                );
                tell(of_table(set, table, message));
            }
        }
        total
    }
}

fn of_table(set: &Tables<'_>, table: &Table, message: String) -> Found {
    Found { column: None, ..Found::of_column(set.place(table), table, 0, message) }
}

/// The median magnitude of a column but for its zeros, which may be many; nothing of a constant one.
fn size(column: &Column) -> Option<f64> {
    if column.is_constant() { None } else { column.typical_magnitude() }
}
