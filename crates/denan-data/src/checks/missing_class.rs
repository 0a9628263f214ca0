//! A class that never occurs among the labels.

use super::{Found, TableCheck, Tables};
use crate::columns::{Classes, Column, Options};

check!(MissingClass, Warning, "missing-class", "class never occurs", "classes never occur");

impl TableCheck for MissingClass {
    fn look(&self, set: &Tables<'_>, tell: &mut dyn FnMut(Found)) -> u64 {
        let mut total = 0;
        for table in set.tables {
            for (number, column) in table.columns.iter().enumerate() {
                let (count, message) = missing(column, set.options);
                total += count;
                if count > 0 {
                    tell(Found::of_column(set.place(table), table, number, message));
                }
            }
        }
        total
    }
}

/// How many classes are missing, and which.
fn missing(column: &Column, options: &Options) -> (u64, String) {
    /// Ranges that are named.
    const MOST: usize = 8;
    let Some(Classes::Counts(counts)) = &column.classes else { return (0, String::new()) };
    let labels: Vec<i64> =
        counts.keys().copied().filter(|label| *label >= 0 && !options.is_ignored(*label as f64)).collect();
    let (Some(first), Some(last)) = (labels.first(), labels.last()) else { return (0, String::new()) };
    let (first, end) = match options.classes {
        Some(classes) => (0, i64::try_from(classes).unwrap_or(i64::MAX)),
        None => (*first, *last),
    };
    let mut ranges: Vec<(i64, i64)> = Vec::new();
    let mut next = first;
    for label in labels.iter().copied().filter(|label| *label < end).chain([end]) {
        if label > next {
            ranges.push((next, label - 1));
        }
        next = label + 1;
    }
    let count = ranges.iter().map(|(from, to)| (to - from + 1) as u64).sum();
    let words =
        |(from, to): &(i64, i64)| if from == to { from.to_string() } else { format!("{from} to {to}") };
    let mut named: Vec<String> = ranges.iter().take(MOST).map(words).collect();
    if ranges.len() > MOST {
        named.push("others".to_owned());
    }
    let of = match options.classes {
        Some(classes) => format!("of {classes} classes"),
        None => format!("between {first} and {end}"),
    };
    (count, format!("never has {} {of}", named.join(", ")))
}
