//! How well anchors serve the boxes of a data set.

use crate::rounds::Assignment;
use crate::sizes::Sizes;

/// What anchors do for the boxes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quality {
    /// Mean over all boxes of the IoU with the anchor that fits best.
    pub mean_iou: f64,
    /// Share of the boxes whose IoU with an anchor is the threshold at least: the best recall that a detector can reach
    /// which learns nothing of the others.
    pub recall: f64,
    /// Of each anchor, in their order.
    pub per_anchor: Vec<PerAnchor>,
}

/// The boxes that an anchor fits best.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerAnchor {
    /// How many there are.
    pub boxes: u64,
    /// Their mean IoU with it; 0 if there are none.
    pub mean_iou: f64,
}

impl Quality {
    /// Of anchors (width, height) for boxes of these sizes.
    pub fn of(anchors: &[[f64; 2]], sizes: &Sizes, threshold: f64) -> Self {
        if anchors.is_empty() || sizes.is_empty() {
            return Self::default();
        }
        let own = Assignment::of(sizes, anchors);
        let mut boxes = vec![0.0; anchors.len()];
        let mut sums = vec![0.0; anchors.len()];
        let mut served = 0.0;
        for at in 0..sizes.len() {
            let number = own.anchor[at] as usize;
            boxes[number] += sizes.weights[at];
            sums[number] += sizes.weights[at] * own.iou[at];
            served += if own.iou[at] >= threshold { sizes.weights[at] } else { 0.0 };
        }
        let each = boxes.iter().zip(&sums);
        let per_anchor = each.map(|(&boxes, &sum)| PerAnchor {
            boxes: boxes as u64,
            mean_iou: if boxes > 0.0 { sum / boxes } else { 0.0 },
        });
        Self {
            mean_iou: own.mean_iou(sizes),
            recall: served / sizes.total(),
            per_anchor: per_anchor.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_below_the_threshold_are_not_served() {
        let sizes = Sizes::of(&[[2.0, 2.0], [2.0, 2.0], [1.0, 1.0], [8.0, 8.0]]);
        let quality = Quality::of(&[[2.0, 2.0], [8.0, 8.0]], &sizes, 0.5);
        assert_eq!(quality.recall, 0.75);
        assert_eq!(quality.mean_iou, (1.0 + 1.0 + 0.25 + 1.0) / 4.0);
        assert_eq!(quality.per_anchor[0], PerAnchor { boxes: 3, mean_iou: 0.75 });
        assert_eq!(Quality::of(&[], &sizes, 0.5), Quality::default());
    }
}
