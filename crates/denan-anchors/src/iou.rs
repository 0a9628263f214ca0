//! Intersection over union of boxes with the same centre.

/// Intersection over union of two sizes (width, height) as if both boxes had the same centre; 0 for boxes without area.
pub fn iou(a: [f64; 2], b: [f64; 2]) -> f64 {
    let common = a[0].min(b[0]) * a[1].min(b[1]);
    let union = a[0] * a[1] + b[0] * b[1] - common;
    if union > 0.0 { common / union } else { 0.0 }
}

/// IoU of a box with the anchor that fits it best; 0 without anchors.
pub fn best_iou(size: [f64; 2], anchors: &[[f64; 2]]) -> f64 {
    anchors.iter().map(|anchor| iou(size, *anchor)).fold(0.0, f64::max)
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
        assert_eq!(best_iou([2.0, 2.0], &[[1.0, 1.0], [2.0, 1.0]]), 0.5);
        assert_eq!(best_iou([2.0, 2.0], &[]), 0.0);
    }
}
