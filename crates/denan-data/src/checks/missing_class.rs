//! A class that never occurs among the labels.

use super::{Found, TableCheck, Tables};
use crate::columns::{Classes, Options, Shape};

check!(MissingClass, Warning, "missing-class", "class never occurs", "classes never occur");

impl TableCheck for MissingClass {
    fn look(&self, set: &Tables<'_>, tell: &mut dyn FnMut(Found)) -> u64 {
        let mut total = 0;
        for table in set.tables {
            let mut look = |column: usize, classes: &Classes| {
                let (count, message) = missing(classes, set.options);
                total += count;
                (count > 0).then(|| Found::of_column(set.place(table), table, column, message))
            };
            if matches!(table.schema.shape, Shape::Array { .. }) {
                // Its columns are places in a sample, each of which may have any class.
                let all = table.columns.iter().filter_map(|column| column.classes.clone()).reduce(joined);
                let found = all.and_then(|all| look(0, &all));
                found.into_iter().for_each(|found| tell(Found { column: None, ..found }));
                continue;
            }
            for (number, column) in table.columns.iter().enumerate() {
                let found = column.classes.as_ref().and_then(|classes| look(number, classes));
                found.into_iter().for_each(&mut *tell);
            }
        }
        total
    }
}

fn joined(mut own: Classes, other: Classes) -> Classes {
    own.join(other);
    own
}

/// How many classes are missing, and which.
fn missing(classes: &Classes, options: &Options) -> (u64, String) {
    /// Labels for each class, of fewer of which nothing is said unless the classes are known.
    const FEWEST: u64 = 10;
    /// Ranges that are named.
    const MOST: usize = 8;
    let Classes::Counts(counts) = classes else { return (0, String::new()) };
    let labels: Vec<i64> =
        counts.keys().copied().filter(|label| *label >= 0 && !options.is_ignored(*label as f64)).collect();
    let (Some(first), Some(last)) = (labels.first(), labels.last()) else { return (0, String::new()) };
    let (first, end) = match options.classes {
        Some(classes) => (0, i64::try_from(classes).unwrap_or(i64::MAX)),
        // Whole numbers that are to be predicted as numbers have gaps among them.
        None if counts.values().sum::<u64>() < FEWEST * (last.abs_diff(*first) + 1) => {
            return (0, String::new());
        }
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
