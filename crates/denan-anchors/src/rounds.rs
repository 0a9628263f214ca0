//! Rounds of k-means: each box goes to the anchor that fits it best, each anchor to the middle of its boxes.

use crate::sizes::Sizes;
use std::ops::Range;

/// Boxes that are worked on in one go: few enough for their figures to stay in the cache.
const BLOCK: usize = 512;

/// What an anchor becomes of its boxes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Update {
    /// The median of their widths and heights, each box weighted by its IoU with the anchor. IoU falls like exp(-d) with
    /// the distance d of two boxes of which one holds the other, |ln w1/w2| + |ln h1/h2|, so this climbs the sum of IoU.
    #[default]
    IouMedian,
    /// The median, which a few extreme boxes do not move.
    Median,
    /// The mean.
    Mean,
}

/// The anchor of each box, and how well it fits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Assignment {
    pub(crate) anchor: Vec<u32>,
    pub(crate) iou: Vec<f64>,
}

impl Assignment {
    pub(crate) fn of(sizes: &Sizes, anchors: &[[f64; 2]]) -> Self {
        let mut all = Self { anchor: vec![0; sizes.len()], iou: vec![0.0; sizes.len()] };
        all.assign(sizes, anchors);
        all
    }

    /// Gives each box to the anchor that fits it best; of equally good ones to the first.
    pub(crate) fn assign(&mut self, sizes: &Sizes, anchors: &[[f64; 2]]) {
        let blocks = self.anchor.chunks_mut(BLOCK).zip(self.iou.chunks_mut(BLOCK));
        for (number, (best_anchor, best)) in blocks.enumerate() {
            let at = number * BLOCK;
            let range = at..at + best.len();
            // The share of the sum of both areas that is common: it rises with IoU.
            best.fill(-1.0);
            for (number, &size) in anchors.iter().enumerate() {
                fit(sizes, range.clone(), size, |at, share| {
                    let is_better = share > best[at];
                    best[at] = if is_better { share } else { best[at] };
                    best_anchor[at] = if is_better { number as u32 } else { best_anchor[at] };
                });
            }
            best.iter_mut().for_each(|share| *share = share_to_iou(*share));
        }
    }

    /// The mean IoU over all boxes.
    pub(crate) fn mean_iou(&self, sizes: &Sizes) -> f64 {
        let sum: f64 = self.iou.iter().zip(&sizes.weights).map(|(iou, weight)| iou * weight).sum();
        sum / sizes.total().max(f64::MIN_POSITIVE)
    }
}

/// What an anchor and each of some boxes have in common, as a share of the sum of their areas: `s` of IoU `s / (1 - s)`.
pub(crate) fn fit(
    sizes: &Sizes,
    range: Range<usize>,
    [width, height]: [f64; 2],
    mut see: impl FnMut(usize, f64),
) {
    let area = width * height;
    let sides = sizes.widths[range.clone()].iter().zip(&sizes.heights[range]);
    for (at, (&own_width, &own_height)) in sides.enumerate() {
        // `min` of the standard library minds NaN, of which there is none.
        let common_width = if own_width < width { own_width } else { width };
        let common_height = if own_height < height { own_height } else { height };
        see(at, common_width * common_height / (area + own_width * own_height));
    }
}

pub(crate) fn share_to_iou(share: f64) -> f64 {
    share / (1.0 - share)
}

/// The orders of sizes by their widths and by their heights.
pub(crate) fn orders(sizes: &Sizes) -> [Vec<u32>; 2] {
    [&sizes.widths, &sizes.heights].map(|sides| {
        let mut order: Vec<u32> = (0..sides.len() as u32).collect();
        order.sort_by(|a, b| sides[*a as usize].total_cmp(&sides[*b as usize]));
        order
    })
}

/// Moves each anchor to the middle of its boxes. One without boxes goes to the box that is served worst.
pub(crate) fn update(
    sizes: &Sizes,
    [by_width, by_height]: &[Vec<u32>; 2],
    own: &Assignment,
    how: Update,
    anchors: &mut [[f64; 2]],
) {
    let weight = |at: usize| match how {
        Update::IouMedian => sizes.weights[at] * own.iou[at],
        Update::Median | Update::Mean => sizes.weights[at],
    };
    let mut totals = vec![0.0; anchors.len()];
    for at in 0..sizes.len() {
        totals[own.anchor[at] as usize] += weight(at);
    }
    let is_empty: Vec<bool> = totals.iter().map(|total| *total <= 0.0).collect();
    for (side, order, sides) in [(0, by_width, &sizes.widths), (1, by_height, &sizes.heights)] {
        let mut sums = vec![0.0; anchors.len()];
        if how == Update::Mean {
            for at in 0..sizes.len() {
                sums[own.anchor[at] as usize] += weight(at) * sides[at];
            }
            for (number, anchor) in anchors.iter_mut().enumerate().filter(|(number, _)| !is_empty[*number]) {
                anchor[side] = sums[number] / totals[number];
            }
            continue;
        }
        for &at in order {
            let at = at as usize;
            let number = own.anchor[at] as usize;
            let before = sums[number];
            sums[number] += weight(at);
            if before < totals[number] / 2.0 && sums[number] >= totals[number] / 2.0 {
                anchors[number][side] = sides[at];
            }
        }
    }
    let mut worst: Option<Vec<usize>> = None;
    for (number, _) in is_empty.into_iter().enumerate().filter(|(_, is_empty)| *is_empty) {
        let worst = worst.get_or_insert_with(|| {
            let mut all: Vec<usize> = (0..sizes.len()).collect();
            all.sort_by(|a, b| own.iou[*b].total_cmp(&own.iou[*a]));
            all
        });
        if let Some(at) = worst.pop() {
            anchors[number] = sizes.get(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iou::iou;

    #[test]
    fn a_box_goes_to_the_anchor_of_the_highest_iou() {
        let boxes: Vec<[f64; 2]> =
            (1..2000).map(|at| [f64::from(at % 97) + 1.0, f64::from(at * 31 % 89) + 1.0]).collect();
        let sizes = Sizes::of(&boxes);
        let anchors = [[10.0, 10.0], [50.0, 20.0], [30.0, 80.0]];
        let own = Assignment::of(&sizes, &anchors);
        for at in 0..sizes.len() {
            let best = anchors.iter().map(|anchor| iou(sizes.get(at), *anchor)).fold(0.0, f64::max);
            assert!((own.iou[at] - best).abs() < 1e-12);
            assert!((iou(sizes.get(at), anchors[own.anchor[at] as usize]) - best).abs() < 1e-12);
        }
    }

    #[test]
    fn an_anchor_without_boxes_goes_to_the_box_that_is_served_worst() {
        let sizes = Sizes::of(&[[1.0, 1.0], [1.1, 1.0], [50.0, 50.0]]);
        let mut anchors = [[1.0, 1.0], [0.001, 0.001]];
        let own = Assignment::of(&sizes, &anchors);
        update(&sizes, &orders(&sizes), &own, Update::IouMedian, &mut anchors);
        assert_eq!(anchors[1], [50.0, 50.0]);
    }

    #[test]
    fn each_update_is_the_middle_that_it_says() {
        let sizes = Sizes::of(&[[1.0, 1.0], [2.0, 2.0], [9.0, 9.0]]);
        let middle = |how| {
            let mut anchors = [[1.0, 1.0]];
            let own = Assignment::of(&sizes, &anchors);
            update(&sizes, &orders(&sizes), &own, how, &mut anchors);
            anchors[0]
        };
        assert_eq!(middle(Update::Mean), [4.0, 4.0]);
        assert_eq!(middle(Update::Median), [2.0, 2.0]);
        // 1 weighs 1, 2 weighs 1/4 and 9 weighs 1/81.
        assert_eq!(middle(Update::IouMedian), [1.0, 1.0]);
    }
}
