//! A picture of boxes and their anchors: widths to the right, heights upwards, both on a logarithmic scale.

use crate::anchors::AnchorsResult;

/// The square that is drawn in, and the room around it for labels.
const SIDE: f64 = 640.0;
const MARGIN: f64 = 56.0;
/// Radius of the largest dot.
const LARGEST: f64 = 9.0;

/// The picture as SVG. `sizes` are the widths and heights of boxes, with the number of boxes that each stands for.
pub fn anchors_svg(result: &AnchorsResult, sizes: &[([f64; 2], f64)]) -> String {
    let sides = sizes.iter().flat_map(|(size, _)| size).chain(result.anchors.iter().flatten());
    let (low, high) =
        sides.fold((f64::INFINITY, 0.0_f64), |(low, high), side| (low.min(*side), high.max(*side)));
    // A single size stands in the middle.
    let room = if low < high { 0.0 } else { 0.7 };
    let (low, high) = (low.ln() - room, high.ln() + room);
    let along = |side: f64| (side.ln() - low) / (high - low) * SIDE;
    let x = |side: f64| MARGIN + along(side);
    let y = |side: f64| MARGIN + SIDE - along(side);
    let most = sizes.iter().map(|(_, boxes)| *boxes).fold(1.0, f64::max);
    let whole = SIDE + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {whole} {whole}\" font-family=\"sans-serif\" \
         font-size=\"13\">\n<title>{} anchors for {} boxes, mean IoU {:.4}</title>\n\
         <rect width=\"{whole}\" height=\"{whole}\" fill=\"#fff\"/>\n",
        result.anchors.len(),
        result.boxes,
        result.mean_iou
    );
    for tick in ticks(low.exp(), high.exp()) {
        let (across, up) = (x(tick), y(tick));
        let end = MARGIN + SIDE;
        svg += &format!(
            "<path d=\"M{across:.1} {MARGIN}V{end}M{MARGIN} {up:.1}H{end}\" stroke=\"#e4e4e4\" fill=\"none\"/>\n\
             <text x=\"{across:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{tick}</text>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{tick}</text>\n",
            end + 18.0,
            MARGIN - 8.0,
            up + 4.0
        );
    }
    for ([width, height], boxes) in sizes {
        svg += &format!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{:.2}\" fill=\"#3b6ea8\" fill-opacity=\"0.45\"/>\n",
            x(*width),
            y(*height),
            (LARGEST * (boxes / most).sqrt()).max(1.2)
        );
    }
    for (number, [width, height]) in result.anchors.iter().enumerate() {
        svg += &format!(
            "<path d=\"M{:.1} {:.1}m-7 0h14m-7 -7v14\" stroke=\"#c62828\" stroke-width=\"2.5\" fill=\"none\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#c62828\" stroke=\"#fff\" stroke-width=\"3\" \
             paint-order=\"stroke\">{}</text>\n",
            x(*width),
            y(*height),
            x(*width) + 8.0,
            y(*height) - 6.0,
            number + 1
        );
    }
    svg += &format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">width</text>\n\
         <text x=\"16\" y=\"{:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {:.1})\">height</text>\n\
         <text x=\"{MARGIN}\" y=\"28\">{} anchors for {} boxes, mean IoU {:.4}</text>\n</svg>\n",
        MARGIN + SIDE / 2.0,
        whole - 12.0,
        MARGIN + SIDE / 2.0,
        MARGIN + SIDE / 2.0,
        result.anchors.len(),
        result.boxes,
        result.mean_iou
    );
    svg
}

/// 1, 2 and 5 times the powers of ten between two numbers.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let powers = (low.log10().floor() as i32)..=(high.log10().ceil() as i32);
    let all = powers.flat_map(|power| [1.0, 2.0, 5.0].map(|digit| digit * 10_f64.powi(power)));
    all.filter(|tick| (low..=high).contains(tick)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_is_a_dot_and_each_anchor_a_cross() {
        let result = AnchorsResult {
            anchors: vec![[10.0, 20.0], [100.0, 50.0]],
            boxes: 3,
            ..AnchorsResult::default()
        };
        let svg = anchors_svg(&result, &[([10.0, 20.0], 2.0), ([90.0, 60.0], 1.0), ([300.0, 4.0], 1.0)]);
        assert_eq!(svg.matches("<circle").count(), 3);
        assert_eq!(svg.matches("#c62828\" stroke-width=\"2.5\"").count(), 2);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn a_single_size_is_no_trouble() {
        let result = AnchorsResult { anchors: vec![[10.0, 10.0]], boxes: 1, ..AnchorsResult::default() };
        let svg = anchors_svg(&result, &[([10.0, 10.0], 1.0)]);
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}
