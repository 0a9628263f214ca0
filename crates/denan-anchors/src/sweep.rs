//! How many anchors are enough.

/// The position of the knee of a curve that rises less and less, such as the mean IoU over the number of anchors: the point
/// that lies highest above the line from the first point to the last (Satopää et al. 2011, "Kneedle").
///
/// `None` for fewer than three points, or if none lies above the line.
pub fn knee(points: &[(f64, f64)]) -> Option<usize> {
    let (&(x0, y0), &(x1, y1)) = (points.first()?, points.last()?);
    if points.len() < 3 || x1 <= x0 {
        return None;
    }
    let above = |(x, y): (f64, f64)| (y - y0) - (y1 - y0) * (x - x0) / (x1 - x0);
    let (at, height) = points
        .iter()
        .map(|point| above(*point))
        .enumerate()
        .fold((0, 0.0), |best, (at, height)| if height > best.1 { (at, height) } else { best });
    // Less is what rounding leaves of a line.
    (height > 1e-9 * (y1 - y0).abs()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_knee_is_where_more_begins_to_bring_less() {
        let curve = [(1.0, 0.3), (2.0, 0.5), (3.0, 0.6), (4.0, 0.62), (5.0, 0.635), (6.0, 0.65)];
        assert_eq!(knee(&curve), Some(2));
        assert_eq!(knee(&[(1.0, 0.1), (2.0, 0.2), (3.0, 0.3)]), None, "a line has none");
        assert_eq!(knee(&curve[..2]), None);
    }
}
