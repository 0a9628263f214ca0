//! What a value has to pass to be among the extremes of its column, as far as all threads together know by now.

use super::extremes::Extremes;
use super::part::{Part, Schema};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The bars of a column: as many values are lower, and as many higher, as are kept. Whatever does not reach them is not among the
/// extremes in the end, whichever thread comes upon it.
#[derive(Debug)]
pub(super) struct Bars {
    low: AtomicU64,
    high: AtomicU64,
}

impl Bars {
    fn new() -> Self {
        Self {
            low: AtomicU64::new(f64::INFINITY.to_bits()),
            high: AtomicU64::new(f64::NEG_INFINITY.to_bits()),
        }
    }

    /// Values up to the first, and from the second on, may be extreme.
    pub(super) fn get(&self) -> [f64; 2] {
        [&self.low, &self.high].map(|bar| f64::from_bits(bar.load(Ordering::Relaxed)))
    }

    /// Takes account of the extremes of a part.
    fn raise(&self, extremes: &Extremes, most: usize) {
        let update = |bar: &AtomicU64, value: f64, is_better: fn(f64, f64) -> bool| {
            let _ = bar.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |old| {
                is_better(value, f64::from_bits(old)).then_some(value.to_bits())
            });
        };
        if let Some(last) = extremes.lowest.get(most - 1) {
            update(&self.low, last.value, |new, old| new < old);
        }
        if let Some(last) = extremes.highest.get(most - 1) {
            update(&self.high, last.value, |new, old| new > old);
        }
    }
}

/// A table by its group, its name in the file, and the number of its columns.
type Key = (String, String, usize);

/// The bars of all tables.
#[derive(Debug, Default)]
pub(crate) struct AllBars {
    tables: Mutex<HashMap<Key, Arc<[Bars]>>>,
}

impl AllBars {
    /// Takes account of what is known of a part.
    pub(crate) fn raise(&self, part: &Part) {
        for table in &part.tables {
            let most = table.schema.most_extremes();
            let bars = self.of(&table.schema);
            table.columns.iter().zip(&*bars).for_each(|(column, bars)| bars.raise(&column.extremes, most));
        }
    }

    pub(super) fn of(&self, schema: &Schema) -> Arc<[Bars]> {
        let key = (schema.group.clone(), schema.name.clone(), schema.columns.len());
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || schema.columns.iter().map(|_| Bars::new()).collect();
        tables.entry(key).or_insert_with(new).clone()
    }
}
