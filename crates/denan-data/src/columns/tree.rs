//! Joins parts in one and the same way, whatever order they come in.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Parts of a whole that are joined with their neighbours as soon as both are there, always in the same pairs: 0 with 1,
/// 2 with 3, then those two pairs, and so on. So sums are rounded in the same way on any number of threads or machines, and
/// rounding errors grow with the logarithm of the number of parts (Chan, Golub and LeVeque 1979).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tree<T> {
    /// By how often they were joined, and their position among those.
    nodes: BTreeMap<(u8, u64), T>,
}

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Self { nodes: BTreeMap::new() }
    }
}

impl<T> Tree<T> {
    /// Puts a part in its place.
    pub(crate) fn put(&mut self, position: u64, part: T, join: &mut dyn FnMut(&mut T, T)) {
        self.put_node((0, position), part, join);
    }

    fn put_node(&mut self, at: (u8, u64), part: T, join: &mut dyn FnMut(&mut T, T)) {
        let ((mut level, mut position), mut part) = (at, part);
        while let Some(other) = self.nodes.remove(&(level, position ^ 1)) {
            let (mut left, right) = if position & 1 == 0 { (part, other) } else { (other, part) };
            join(&mut left, right);
            part = left;
            level += 1;
            position /= 2;
        }
        self.nodes.insert((level, position), part);
    }

    /// Takes the parts of another in.
    pub(crate) fn take(&mut self, other: Self, join: &mut dyn FnMut(&mut T, T)) {
        for (at, part) in other.nodes {
            self.put_node(at, part, join);
        }
    }

    /// The whole of `count` parts, or the position of the first that is missing.
    pub(crate) fn whole(mut self, count: u64, join: &mut dyn FnMut(&mut T, T)) -> Result<Option<T>, u64> {
        let mut whole: Option<T> = None;
        let mut position = 0;
        while position < count {
            let left = count - position;
            // The largest complete group that begins here.
            let level = position.trailing_zeros().min(left.ilog2());
            let at = (level as u8, position >> level);
            let Some(part) = self.nodes.remove(&at) else { return Err(self.first_missing(position)) };
            match &mut whole {
                Some(whole) => join(whole, part),
                None => whole = Some(part),
            }
            position += 1 << level;
        }
        Ok(whole)
    }

    fn first_missing(&self, from: u64) -> u64 {
        let mut position = from;
        let covering =
            |position: u64| (0..=63u8).find(|level| self.nodes.contains_key(&(*level, position >> level)));
        while let Some(level) = covering(position) {
            position = ((position >> level) + 1) << level;
        }
        position
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Shows how parts were joined.
    fn join(left: &mut String, right: String) {
        *left = format!("({left}{right})");
    }

    fn of(order: &[u64]) -> Tree<String> {
        let mut tree = Tree::default();
        order.iter().for_each(|position| tree.put(*position, position.to_string(), &mut join));
        tree
    }

    proptest! {
        #[test]
        fn any_order_and_any_split_joins_the_same_pairs(
            (count, order, cut) in (1u64..40).prop_flat_map(|count| {
                (Just(count), Just((0..count).collect::<Vec<_>>()).prop_shuffle(), 0..count as usize)
            })
        ) {
            let plain = of(&(0..count).collect::<Vec<_>>()).whole(count, &mut join).unwrap();
            let (one, other) = order.split_at(cut);
            let mut both = of(one);
            both.take(of(other), &mut join);
            prop_assert_eq!(both.whole(count, &mut join).unwrap(), plain);
        }
    }

    #[test]
    fn a_missing_part_is_named() {
        assert_eq!(of(&[0, 1, 2, 4]).whole(5, &mut join), Err(3));
        assert_eq!(of(&[0, 1, 3]).whole(4, &mut join), Err(2));
        assert_eq!(of(&[0, 1, 2]).whole(4, &mut join), Err(3));
        assert_eq!(of(&[]).whole(0, &mut join), Ok(None));
    }
}
