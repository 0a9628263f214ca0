//! Anchor boxes: for people, as a line each, as JSON, and as the lines that go into a configuration.

use super::page::{Ink, Page, Text, text};
use super::{Format, json};
use crate::anchors::AnchorsResult;
use crate::number::{count, counted, float, percent};

/// What hangs below a heading starts in this column.
const INDENT: &str = "    ";
/// Boxes that are named one by one.
const MOST_BOXES: usize = 8;
/// Columns of the longest bar of a sweep, and of the shortest.
const BARS: (f64, f64) = (32.0, 4.0);

/// The result as text. `color` and `width` are those of the terminal.
pub fn render_anchors(result: &AnchorsResult, format: Format, color: bool, width: usize) -> String {
    match format {
        Format::Full => full(result, color, width),
        Format::Concise => concise(result),
        Format::Json => json::document("denan/anchors/v1", result),
    }
}

/// A line per anchor: width, height, boxes, mean IoU.
fn concise(result: &AnchorsResult) -> String {
    let line = |([width, height], share): (&[f64; 2], &crate::anchors::AnchorShare)| {
        format!("{} {} {} {:.4}\n", side(*width), side(*height), share.count, share.mean_iou)
    };
    result.anchors.iter().zip(&result.per_anchor).map(line).collect()
}

fn full(result: &AnchorsResult, color: bool, width: usize) -> String {
    let mut page = Page::new(color, width);
    headline(&mut page, result);
    page.blank();
    table(&mut page, result);
    sweep(&mut page, result);
    boxes(&mut page, result);
    lines(&mut page, result);
    page.finish()
}

fn headline(page: &mut Page, result: &AnchorsResult) {
    let found = result.anchors.len();
    let line = Text::new().add(Ink::Bold, &counted(found as u64, "anchor", "anchors")).add(
        Ink::Plain,
        &format!(
            " for {} of {}: mean IoU {:.4}, {} of the boxes have IoU {} or more with one",
            counted(result.boxes, "box", "boxes"),
            counted(result.images, "image", "images"),
            result.mean_iou,
            percent(result.best_possible_recall),
            float(result.threshold),
        ),
    );
    page.paragraph((Ink::Plain, ""), &line);
    if found < result.k {
        let sizes = format!("{} were asked for, and there are no more sizes of boxes", result.k);
        page.paragraph((Ink::Warning, ""), &text(Ink::Plain, &sizes));
    }
    let of = match (result.size, result.resize) {
        (Some([width, height]), Some(resize)) => {
            format!("in pixels of {} x {}, images brought to it by {resize}", float(width), float(height))
        }
        _ => "in pixels of the images as they are labelled; --size W[xH] gives those of a network's input"
            .to_owned(),
    };
    page.paragraph((Ink::Plain, ""), &text(Ink::Faint, &of));
    let restarts = result.restarts;
    let of_restarts = format!(
        "{}: mean IoU {:.4} at best, {:.4} in the middle, {:.4} at worst; seed {}",
        counted(restarts.n as u64, "restart", "restarts"),
        restarts.best,
        restarts.median,
        restarts.worst,
        result.seed
    );
    page.paragraph((Ink::Plain, ""), &text(Ink::Faint, &of_restarts));
}

fn table(page: &mut Page, result: &AnchorsResult) {
    let row = |cells: [&str; 4]| {
        format!("{INDENT}{:>18}  {:>10}  {:>6}  {:>8}", cells[0], cells[1], cells[2], cells[3])
    };
    page.line(&[(Ink::Faint, &row(["width x height", "boxes", "share", "mean IoU"]))]);
    for ([width, height], share) in result.anchors.iter().zip(&result.per_anchor) {
        let size = format!("{} x {}", side(*width), side(*height));
        let of_all = percent(share.count as f64 / result.boxes.max(1) as f64);
        page.line(&[(
            Ink::Plain,
            &row([&size, &count(share.count), &of_all, &format!("{:.4}", share.mean_iou)]),
        )]);
    }
}

fn sweep(page: &mut Page, result: &AnchorsResult) {
    let Some(sweep) = &result.sweep else { return };
    page.blank();
    page.heading(Ink::Bold, "other numbers of anchors, by their mean IoU:");
    let ends = sweep.points.iter().map(|point| point.mean_iou);
    let (low, high) = ends.fold((f64::INFINITY, 0.0_f64), |(low, high), iou| (low.min(iou), high.max(iou)));
    for point in &sweep.points {
        // What matters is where they rise, and all of them are high.
        let rise = (point.mean_iou - low) / (high - low).max(1e-3);
        let bar = "█".repeat((BARS.1 + rise * (BARS.0 - BARS.1)).round() as usize);
        let knee = if sweep.knee == Some(point.k) { "  more bring less from here on" } else { "" };
        page.line(&[
            (Ink::Plain, &format!("{INDENT}{:>3}  {:.4}  ", point.k, point.mean_iou)),
            (Ink::Faint, &bar),
            (Ink::Help, knee),
        ]);
    }
}

fn boxes(page: &mut Page, result: &AnchorsResult) {
    if result.degenerate_total > 0 {
        page.blank();
        let many = counted(result.degenerate_total, "box has no area and has", "boxes have no area and have");
        let line =
            Text::new().add(Ink::Warning, "warning").add(Ink::Bold, &format!(": {many} no part in this"));
        page.paragraph((Ink::Plain, ""), &line);
        for found in result.degenerate.iter().take(MOST_BOXES) {
            let class = found.class.as_ref().map(|class| format!(" ({class})")).unwrap_or_default();
            let [xmin, ymin, xmax, ymax] = found.corners.map(float);
            let place = Text::new().add_whole(Ink::Plain, &found.file).add(
                Ink::Plain,
                &format!(" box {}{class}: x {xmin} to {xmax}, y {ymin} to {ymax}", found.index),
            );
            page.paragraph((Ink::Plain, INDENT), &place);
        }
        more(page, result.degenerate_total);
    }
    for problem in result.problems.iter().take(MOST_BOXES) {
        let line = Text::new().add(Ink::Warning, "warning").add(Ink::Plain, &format!(": {problem}"));
        page.paragraph((Ink::Plain, ""), &line);
    }
    more(page, result.problems.len() as u64);
    if result.ignored > 0 {
        let left_out = counted(result.ignored, "box was", "boxes were");
        page.paragraph(
            (Ink::Plain, ""),
            &text(Ink::Faint, &format!("{left_out} left out, as --ignore says")),
        );
    }
    if result.unserved_total > 0 {
        page.blank();
        let many = counted(result.unserved_total, "box fits", "boxes fit");
        page.heading(
            Ink::Bold,
            &format!("{many} no anchor by IoU {}, the worst first:", float(result.threshold)),
        );
        for found in result.unserved.iter().take(MOST_BOXES) {
            let [width, height] = found.sides.map(side);
            let place = Text::new().add_whole(Ink::Plain, &found.file).add(
                Ink::Plain,
                &format!(" box {}: {width} x {height}, IoU {}", found.index, float(found.best_iou)),
            );
            page.paragraph((Ink::Plain, INDENT), &place);
        }
        more(page, result.unserved_total);
    }
}

fn more(page: &mut Page, total: u64) {
    if let Some(more) = total.checked_sub(MOST_BOXES as u64).filter(|more| *more > 0) {
        page.paragraph((Ink::Plain, INDENT), &text(Ink::Faint, &format!("and {} more", count(more))));
    }
}

/// The lines that go into a configuration.
fn lines(page: &mut Page, result: &AnchorsResult) {
    let levels: Vec<Vec<[f64; 2]>> = match result.levels.is_empty() {
        true => vec![result.anchors.clone()],
        false => {
            result.levels.iter().map(|level| level.iter().map(|at| result.anchors[*at]).collect()).collect()
        }
    };
    let pairs = |anchors: &[[f64; 2]], between: &str| {
        anchors.iter().map(|[w, h]| format!("{},{}", side(*w), side(*h))).collect::<Vec<_>>().join(between)
    };
    let mut block = |title: &str, lines: Vec<String>| {
        page.blank();
        page.heading(Ink::Bold, title);
        for line in lines {
            // Never broken: it is there to be copied.
            page.line(&[(Ink::Plain, &format!("{INDENT}{line}"))]);
        }
    };
    block("darknet (.cfg):", vec![format!("anchors = {}", pairs(&result.anchors, ", "))]);
    let first = 3;
    let yaml = levels.iter().enumerate().map(|(number, level)| {
        let stride = 1 << (first + number);
        let comment =
            if levels.len() > 1 { format!("  # P{}/{stride}", first + number) } else { String::new() };
        format!("  - [{}]{comment}", pairs(level, ", "))
    });
    block("ultralytics (.yaml):", std::iter::once("anchors:".to_owned()).chain(yaml).collect());
    let tuple = |values: Vec<String>| match &values[..] {
        [one] => format!("({one},)"),
        all => format!("({})", all.join(", ")),
    };
    let sizes = levels.iter().map(|level| tuple(level.iter().map(|[w, h]| side((w * h).sqrt())).collect()));
    let ratios = vec!["(1.0,)".to_owned(); levels.len()];
    let cells = levels.iter().map(|level| {
        let corners = level.iter().map(|[w, h]| {
            let [right, bottom] = [w / 2.0, h / 2.0].map(|side| {
                // With a point, or it would be a tensor of integers.
                let text = self::side(side);
                if text.contains('.') { text } else { format!("{text}.0") }
            });
            format!("[-{right}, -{bottom}, {right}, {bottom}]")
        });
        format!("    torch.tensor([{}]),", corners.collect::<Vec<_>>().join(", "))
    });
    let mut torchvision = vec![
        format!("generator = AnchorGenerator({}, {})", tuple(sizes.collect()), tuple(ratios)),
        "generator.cell_anchors = [".to_owned(),
    ];
    torchvision.extend(cells);
    torchvision.push("]".to_owned());
    block("torchvision:", torchvision);
    let list = result.anchors.iter().map(|[w, h]| format!("[{}, {}]", side(*w), side(*h)));
    block("a list:", vec![format!("[{}]", list.collect::<Vec<_>>().join(", "))]);
}

/// A side: of pixels to a tenth, of a unit square to four digits.
fn side(value: f64) -> String {
    let digits = if value.abs() >= 2.0 { 1 } else { 4 };
    let text = format!("{value:.digits$}");
    text.strip_suffix(".0").map(ToOwned::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anchors::{AnchorShare, DegenerateBox, Restarts, Sweep, SweepPoint, UnservedBox};

    fn result() -> AnchorsResult {
        AnchorsResult {
            denan: "0.1.0".to_owned(),
            k: 3,
            size: Some([416.0, 416.0]),
            resize: Some("letterbox"),
            images: 2,
            boxes: 40,
            anchors: vec![[10.0, 13.25], [61.5, 45.0], [373.0, 326.04]],
            mean_iou: 0.71,
            threshold: 0.5,
            best_possible_recall: 0.975,
            per_anchor: vec![
                AnchorShare { count: 12, mean_iou: 0.6 },
                AnchorShare { count: 20, mean_iou: 0.8 },
                AnchorShare { count: 8, mean_iou: 0.65 },
            ],
            restarts: Restarts { n: 10, best: 0.7098, median: 0.708, worst: 0.69 },
            unserved: vec![UnservedBox {
                file: "b.xml".to_owned(),
                index: 4,
                sides: [300.0, 8.0],
                best_iou: 0.12,
            }],
            unserved_total: 1,
            degenerate: vec![DegenerateBox {
                file: "a\u{1b}[2J.xml".to_owned(),
                index: 0,
                class: Some("RBC".to_owned()),
                corners: [3.0, 5.0, 3.0, f64::NAN],
            }],
            degenerate_total: 12,
            ignored: 1,
            problems: vec!["c.xml: it is no XML".to_owned()],
            sweep: Some(Sweep {
                points: vec![
                    SweepPoint { k: 2, mean_iou: 0.6, best_possible_recall: 0.9 },
                    SweepPoint { k: 3, mean_iou: 0.71, best_possible_recall: 0.975 },
                ],
                knee: Some(3),
            }),
            levels: vec![vec![0, 1], vec![2]],
            seed: 7,
        }
    }

    #[test]
    fn a_result_for_people() {
        insta::assert_snapshot!(render_anchors(&result(), Format::Full, false, 80));
    }

    #[test]
    fn a_line_per_anchor() {
        insta::assert_snapshot!(render_anchors(&result(), Format::Concise, false, 80));
    }

    #[test]
    fn the_document_of_the_contract() {
        insta::assert_snapshot!(render_anchors(&result(), Format::Json, false, 80));
    }
}
