//! Anchor boxes for a detector: widths and heights that fit the boxes of a data set.
//!
//! [`kmeans`] clusters sizes in IoU space (Redmon and Farhadi 2017, "YOLO9000", section 2): the distance of a box
//! from an anchor is 1 - IoU, as if both had the same centre, so that large boxes do not count for more than
//! small ones. Seeding is that of k-means++ (Arthur and Vassilvitskii 2007); a cluster's new anchor is the median
//! of its widths and heights, which a few extreme boxes do not move.
//!
//! ```
//! use denan_anchors::{best_iou, kmeans};
//!
//! let boxes = [[10.0, 12.0], [11.0, 12.0], [100.0, 40.0], [98.0, 44.0]];
//! let anchors = kmeans(&boxes, 2, 42);
//! assert!(anchors[0][0] < 12.0 && anchors[1][0] > 97.0, "sorted by area");
//! assert!(boxes.iter().all(|size| best_iou(*size, &anchors) > 0.9));
//! ```

#![deny(missing_docs)]

/// Restarts from other seeds; the best of them is kept.
const RESTARTS: u64 = 8;
/// Rounds after which a restart ends even if boxes still move between clusters.
const MOST_ROUNDS: usize = 100;

/// `count` anchors (width, height) for boxes of these sizes, sorted by area.
///
/// The same boxes, count and seed give the same anchors. There are fewer anchors only if there are fewer boxes.
pub fn kmeans(sizes: &[[f64; 2]], count: usize, seed: u64) -> Vec<[f64; 2]> {
    let mut best: Option<(f64, Vec<[f64; 2]>)> = None;
    for restart in 0..RESTARTS {
        let anchors = cluster(sizes, count.min(sizes.len()), seed.wrapping_add(restart));
        let quality = sizes.iter().map(|size| best_iou(*size, &anchors)).sum::<f64>();
        if best.as_ref().is_none_or(|(known, _)| quality > *known) {
            best = Some((quality, anchors));
        }
    }
    let mut anchors = best.map(|(_, anchors)| anchors).unwrap_or_default();
    anchors.sort_by(|a, b| (a[0] * a[1]).total_cmp(&(b[0] * b[1])));
    anchors
}

/// Intersection over union of two boxes with the same centre; 0 for boxes without area.
pub fn iou(a: [f64; 2], b: [f64; 2]) -> f64 {
    let common = a[0].min(b[0]) * a[1].min(b[1]);
    let union = a[0] * a[1] + b[0] * b[1] - common;
    if union > 0.0 { common / union } else { 0.0 }
}

/// IoU of a box with the anchor that fits it best; 0 without anchors.
pub fn best_iou(size: [f64; 2], anchors: &[[f64; 2]]) -> f64 {
    anchors.iter().map(|anchor| iou(size, *anchor)).fold(0.0, f64::max)
}

fn cluster(sizes: &[[f64; 2]], count: usize, seed: u64) -> Vec<[f64; 2]> {
    let mut anchors = seeded(sizes, count, seed);
    let mut of: Vec<usize> = vec![usize::MAX; sizes.len()];
    for _ in 0..MOST_ROUNDS {
        let nearest: Vec<usize> = sizes.iter().map(|size| nearest(*size, &anchors)).collect();
        if nearest == of {
            break;
        }
        of = nearest;
        for (number, anchor) in anchors.iter_mut().enumerate() {
            let own: Vec<[f64; 2]> =
                sizes.iter().zip(&of).filter(|(_, of)| **of == number).map(|(size, _)| *size).collect();
            // An anchor that lost all its boxes keeps its place and may win some back.
            if !own.is_empty() {
                *anchor = [median(&own, 0), median(&own, 1)];
            }
        }
    }
    anchors
}

/// The first anchors: boxes that lie far from those chosen before are more likely to be chosen.
fn seeded(sizes: &[[f64; 2]], count: usize, seed: u64) -> Vec<[f64; 2]> {
    let mut draw = Draw { state: seed };
    let mut anchors: Vec<[f64; 2]> = Vec::with_capacity(count);
    while anchors.len() < count {
        let weights: Vec<f64> = sizes.iter().map(|size| (1.0 - best_iou(*size, &anchors)).powi(2)).collect();
        let total: f64 = weights.iter().sum();
        let mut left = draw.unit() * total;
        let chosen = weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        anchors.push(sizes[chosen.unwrap_or(sizes.len() - 1)]);
    }
    anchors
}

fn nearest(size: [f64; 2], anchors: &[[f64; 2]]) -> usize {
    let by_iou = |a: &usize, b: &usize| iou(size, anchors[*a]).total_cmp(&iou(size, anchors[*b]));
    (0..anchors.len()).rev().max_by(by_iou).unwrap_or(0)
}

fn median(sizes: &[[f64; 2]], side: usize) -> f64 {
    let mut values: Vec<f64> = sizes.iter().map(|size| size[side]).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Numbers that are always the same for the same seed (SplitMix64, Steele et al. 2014).
struct Draw {
    state: u64,
}

impl Draw {
    /// Of [0, 1).
    fn unit(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iou_is_that_of_boxes_around_one_centre() {
        assert_eq!(iou([2.0, 2.0], [2.0, 2.0]), 1.0);
        assert_eq!(iou([2.0, 2.0], [1.0, 1.0]), 0.25);
        assert_eq!(iou([4.0, 1.0], [1.0, 4.0]), 1.0 / 7.0);
        assert_eq!(iou([0.0, 1.0], [0.0, 1.0]), 0.0);
    }

    #[test]
    fn clusters_are_found_whatever_their_scale() {
        let mut boxes = Vec::new();
        for centre in [[8.0, 8.0], [60.0, 20.0], [300.0, 280.0]] {
            for step in 0..20 {
                let stretch = 0.9 + f64::from(step) * 0.01;
                boxes.push([centre[0] * stretch, centre[1] / stretch]);
            }
        }
        for seed in 0..5 {
            let anchors = kmeans(&boxes, 3, seed);
            let mean = boxes.iter().map(|size| best_iou(*size, &anchors)).sum::<f64>() / boxes.len() as f64;
            assert!(mean > 0.9, "seed {seed}: {anchors:?}, mean IoU {mean}");
            assert_eq!(anchors, kmeans(&boxes, 3, seed), "seeded");
        }
    }

    #[test]
    fn fewer_boxes_than_anchors_are_no_trouble() {
        assert_eq!(kmeans(&[], 3, 1), Vec::<[f64; 2]>::new());
        assert_eq!(kmeans(&[[1.0, 2.0]], 3, 1), [[1.0, 2.0]]);
        assert_eq!(kmeans(&[[1.0, 2.0]; 5], 2, 1).len(), 2);
    }
}
