//! The last few per mille: one side of one anchor at a time is moved for as long as the mean IoU rises.

use crate::rounds::{fit, share_to_iou};
use crate::sizes::Sizes;

/// How often all sides are tried with one step, if they still move.
const MOST_ROUNDS: usize = 8;

/// Moves anchors uphill, by making a side longer or shorter by each of the steps, the largest first.
pub(crate) fn climb(sizes: &Sizes, steps: &[f64], anchors: &mut [[f64; 2]]) {
    let mut nearest = Nearest::of(sizes, anchors);
    let mut others = vec![0.0; sizes.len()];
    for step in steps {
        for _ in 0..MOST_ROUNDS {
            let mut has_moved = false;
            for number in 0..anchors.len() {
                nearest.but(number, &mut others);
                let before = anchors[number];
                let mut best = with(sizes, &others, before);
                for side in [0, 1] {
                    for factor in [1.0 + step, 1.0 / (1.0 + step)] {
                        let mut tried = anchors[number];
                        tried[side] *= factor;
                        let sum = with(sizes, &others, tried);
                        // More than what rounding makes of the order of a sum.
                        if sum > best * (1.0 + 1e-12) {
                            (best, anchors[number]) = (sum, tried);
                        }
                    }
                }
                if anchors[number] != before {
                    has_moved = true;
                    nearest = Nearest::of(sizes, anchors);
                }
            }
            if !has_moved {
                break;
            }
        }
    }
}

/// The anchor that fits each box best, its IoU and that of the second best; 0 if there is none.
struct Nearest {
    anchor: Vec<u32>,
    first: Vec<f64>,
    second: Vec<f64>,
}

impl Nearest {
    fn of(sizes: &Sizes, anchors: &[[f64; 2]]) -> Self {
        let count = sizes.len();
        let (mut anchor, mut first, mut second) = (vec![0; count], vec![0.0; count], vec![0.0; count]);
        for (number, &size) in anchors.iter().enumerate() {
            fit(sizes, 0..count, size, |at, share| {
                let is_better = share > first[at];
                let (worse, better) = if is_better { (first[at], share) } else { (share, first[at]) };
                anchor[at] = if is_better { number as u32 } else { anchor[at] };
                first[at] = better;
                second[at] = if worse > second[at] { worse } else { second[at] };
            });
        }
        Self { anchor, first, second }
    }

    /// The best IoU of each box with the anchors but one.
    fn but(&self, number: usize, others: &mut [f64]) {
        for (at, other) in others.iter_mut().enumerate() {
            let share = if self.anchor[at] == number as u32 { self.second[at] } else { self.first[at] };
            *other = share_to_iou(share);
        }
    }
}

/// The sum of IoU with one more anchor.
fn with(sizes: &Sizes, others: &[f64], anchor: [f64; 2]) -> f64 {
    let mut sum = 0.0;
    fit(sizes, 0..sizes.len(), anchor, |at, share| {
        let own = share_to_iou(share);
        sum += sizes.weights[at] * if own > others[at] { own } else { others[at] };
    });
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rounds::Assignment;

    #[test]
    fn the_mean_iou_never_falls() {
        let boxes: Vec<[f64; 2]> =
            (1..500).map(|at| [f64::from(at % 53) + 1.0, f64::from(at * 17 % 41) + 1.0]).collect();
        let sizes = Sizes::of(&boxes);
        let mut anchors = vec![[5.0, 5.0], [30.0, 30.0]];
        let before = Assignment::of(&sizes, &anchors).mean_iou(&sizes);
        climb(&sizes, &[0.08, 0.02], &mut anchors);
        assert!(Assignment::of(&sizes, &anchors).mean_iou(&sizes) > before);
    }
}
