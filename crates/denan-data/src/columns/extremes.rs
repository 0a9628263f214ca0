//! The lowest and the highest values of a column, and where they are.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// A value and its place.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Placed {
    pub(crate) value: f64,
    /// Position of the file in the listing.
    pub(crate) file: u32,
    /// 0-based row in its table.
    pub(crate) row: u64,
}

impl Placed {
    fn place(&self) -> (u32, u64) {
        (self.file, self.row)
    }
}

/// The lowest and the highest finite values of a column. Of equal ones the first counts, so the result is the same in
/// whatever order parts are joined.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Extremes {
    /// From the lowest on.
    pub(crate) lowest: Vec<Placed>,
    /// From the highest on.
    pub(crate) highest: Vec<Placed>,
}

fn from_lowest(a: &Placed, b: &Placed) -> Ordering {
    a.value.total_cmp(&b.value).then(a.place().cmp(&b.place()))
}

fn from_highest(a: &Placed, b: &Placed) -> Ordering {
    b.value.total_cmp(&a.value).then(a.place().cmp(&b.place()))
}

impl Extremes {
    /// Values up to the first, and from the second on, may be among the `most` lowest or highest, if they reach these `bars`.
    pub(crate) fn bars(&self, [low, high]: [f64; 2], most: usize) -> [f64; 2] {
        let last = |list: &[Placed]| (list.len() >= most).then(|| list[most - 1].value);
        [
            // Of equal values the first is here already.
            last(&self.lowest).map_or(low, |last| low.min(last.next_down())),
            last(&self.highest).map_or(high, |last| high.max(last.next_up())),
        ]
    }

    /// Takes a finite value in, if it is among the `most` lowest or highest.
    pub(crate) fn take(&mut self, placed: Placed, most: usize) {
        // One zero, that they compare as equal.
        let placed = Placed { value: placed.value + 0.0, ..placed };
        insert(&mut self.lowest, placed, most, from_lowest);
        insert(&mut self.highest, placed, most, from_highest);
    }

    /// Those of both parts together.
    pub(crate) fn join(&mut self, other: Self, most: usize) {
        for (list, other, order) in [
            (&mut self.lowest, other.lowest, from_lowest as fn(&Placed, &Placed) -> Ordering),
            (&mut self.highest, other.highest, from_highest),
        ] {
            list.extend(other);
            list.sort_by(order);
            list.truncate(most);
        }
    }

    /// Moves all rows, since others come before them.
    pub(crate) fn shift(&mut self, rows: u64) {
        self.lowest.iter_mut().chain(&mut self.highest).for_each(|placed| placed.row += rows);
    }
}

fn insert(list: &mut Vec<Placed>, placed: Placed, most: usize, order: fn(&Placed, &Placed) -> Ordering) {
    if list.len() >= most && list.last().is_none_or(|last| order(&placed, last).is_ge()) {
        return;
    }
    let at = list.partition_point(|other| order(other, &placed).is_lt());
    list.insert(at, placed);
    list.truncate(most);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[(f64, u64)]) -> Extremes {
        let mut extremes = Extremes::default();
        values.iter().for_each(|&(value, row)| extremes.take(Placed { value, file: 0, row }, 3));
        extremes
    }

    proptest! {
        #[test]
        fn parts_joined_in_any_way_are_the_whole(values in prop::collection::vec(-4i8..4, 0..40), cut in 0usize..40) {
            let values: Vec<(f64, u64)> =
                values.into_iter().enumerate().map(|(row, value)| (f64::from(value), row as u64)).collect();
            let (left, right) = values.split_at(cut.min(values.len()));
            let (mut one, mut other) = (of(left), of(right));
            one.join(of(right), 3);
            other.join(of(left), 3);
            prop_assert_eq!(&one, &of(&values));
            prop_assert_eq!(&one, &other);
        }
    }

    #[test]
    fn what_cannot_enter_is_not_looked_for() {
        let all = [f64::INFINITY, f64::NEG_INFINITY];
        let extremes = of(&[(1.0, 0), (2.0, 1), (3.0, 2), (4.0, 3), (5.0, 4), (6.0, 5)]);
        let [low, high] = extremes.bars(all, 3);
        assert!((2.9..3.0).contains(&low) && high > 4.0 && high < 4.1);
        assert_eq!(extremes.bars([2.0, 5.0], 3), [2.0, 5.0]);
        assert_eq!(of(&[(1.0, 0)]).bars(all, 3), all);
    }
}
