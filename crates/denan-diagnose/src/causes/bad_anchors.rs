//! Anchor boxes that match none of the targets make extreme box targets.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::evidence::view::{Index, View};
use crate::facts::AnchorTable;
use crate::words;
use denan_finding::Finding;
use denan_finding::number::float;
use denan_numerics::Range;
use denan_record::model::{Node, Phase, Role};

pub(crate) struct BadAnchors;

cause!(BadAnchors, "bad-anchors");

/// A box this many times as wide as its anchor: IoU at most 1/8 even if the heights agree. YOLOv5 takes a factor
/// of 4 for the most that an anchor can serve.
const NO_MATCH: f64 = 8.0;

/// Largest table of anchors, in boxes: 9 in most detectors, 15 in RetinaNet per place.
const MOST_ANCHORS: u64 = 64;

/// Box targets relative to their anchors, in magnitude, that no matching anchor has. For an IoU of 1/8 the centres
/// are less than an anchor's side apart and the sides differ 8-fold at most; divided by the usual spreads of 0.1 and
/// 0.2 (SSD, Liu et al. 2016) that makes 10 for the places and 10.4 for the sides.
const FAR_TARGET: f64 = 50.0;

/// Operations between the error of a box and the mask that says whether it counts.
const STEPS_TO_ANCHOR_MASK: usize = 4;

/// Such targets are learnt, and the training blew up.
const FAR_TARGETS: f64 = 0.9;

/// The same, of anchors that are picked for each box, where the shape of the network's answer tells of anchors.
const FAR_PICKED_TARGETS: f64 = 0.85;

/// Divisors of the places and of the sides of box targets: none, and those of SSD.
const SPREADS: [(f64, f64); 2] = [(1.0, 1.0), (0.1, 0.2)];

/// How many sides of its box an anchor may be away from it, or what part of one, for targets that are relative to an
/// anchor: both lie in the same picture.
const SIDES_AWAY: std::ops::RangeInclusive<f64> = 1.0 / 30.0..=30.0;

/// Every box is that far from every anchor, and the training blew up.
const NONE_MATCHES: f64 = 0.93;

/// The sizes differ that much on the whole; single boxes may match.
const SIZES_DIFFER: f64 = 0.85;

impl Cause for BadAnchors {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if matches!(evidence.broken.phase, Phase::Input | Phase::Parameter) {
            return None;
        }
        if !evidence.blew_up() && !evidence.made_infinity() {
            return None;
        }
        let views = [evidence.breaking(), evidence.before(), evidence.first()];
        let table = views.into_iter().flatten().find_map(|view| {
            Some((view, mismatches(view).into_iter().max_by(|a, b| a.factor().total_cmp(&b.factor()))?))
        });
        let Some((view, mismatch)) = table else { return self.of_encoded_targets(evidence) };
        let table = view.node(mismatch.table);
        let place = words::at_place(view.place(mismatch.table));
        let confidence = if mismatch.is_of_all { NONE_MATCHES } else { SIZES_DIFFER };
        let factor = float(words::two_digits(mismatch.factor()));
        let how = if mismatch.ratio > 1.0 {
            format!("targets are at least {factor} times as large as the anchors")
        } else {
            format!("targets are at most 1/{factor} of the anchors")
        };
        let mut observations = vec![
            format!(
                "the table of anchors{place} has the shape {} and lies {}",
                words::shape(&table.shape),
                words::range(&table.range)
            ),
            format!("the targets lie {}", words::range(&mismatch.targets)),
            format!("{how}, so that no anchor covers more than 1/{factor} of a target's side"),
        ];
        observations.extend(
            evidence
                .producer()
                .inputs
                .iter()
                .map(|input| format!("{}{}", evidence.input_in_words(input), words::at(evidence.producer()))),
        );
        Some(Finding {
            evidence: observations,
            remedies: vec![
                "take anchors from the boxes of the training set: k-means on IoU (denan anchors)".to_owned(),
                "check that anchors and boxes are in the same unit: pixels, cells or shares of the image"
                    .to_owned(),
            ],
            interventions: vec!["replace-anchors".to_owned()],
            ..self.finding(confidence, format!("the anchors{place} match none of the boxes: {how}"))
        })
    }

    fn names(&self) -> Names {
        Names::Setting
    }

    fn explains(&self) -> &'static [Explains] {
        const {
            &[Explains::from(
                0.8,
                &[
                    "learning-rate-too-high",
                    "exp-overflow",
                    "log-of-zero",
                    "division-by-zero",
                    "infinite-gradient",
                    "exploding-gradients",
                    "feature-scale",
                    "sum-reduction",
                    "weight-growth",
                ],
            )]
        }
    }
}

/// The table that fits none of the targets, with the targets of the batch.
pub(crate) fn table(evidence: &Evidence<'_>) -> Option<AnchorTable> {
    let views = [evidence.breaking(), evidence.before(), evidence.first()];
    let (place, width) = views.into_iter().flatten().find_map(|view| {
        let mismatch = mismatches(view).into_iter().max_by(|a, b| a.factor().total_cmp(&b.factor()))?;
        let width = *view.node(mismatch.table).shape.iter().rev().find(|size| **size > 1)?;
        Some((view.place(mismatch.table)?.clone(), width))
    })?;
    // Elements are on the record of the breaking step only.
    let view = evidence.breaking()?;
    let table = view.nodes().find(|(index, node)| is_table(node) && view.place(*index) == Some(&place))?.0;
    let values = view.node(table).values.clone();
    Some(AnchorTable { place, values, width: width as usize, targets: target_sizes(view, table) })
}

/// Widths and heights of the targets, out of data that hold boxes: as sizes where they are two columns, as
/// centre and size or as corners where they are four.
fn target_sizes(view: &View<'_>, table: Index) -> Vec<[f64; 2]> {
    let is_of_batch = |index: Index, node: &Node| {
        index != table && !node.values.is_empty() && node.dtype.contains("float") && node.rows.is_some()
    };
    let mut found: Vec<[f64; 2]> = Vec::new();
    for (index, node) in view.nodes().filter(|(index, node)| is_of_batch(*index, node)) {
        let is_compared = view.descendants(index, 12).iter().any(|&at| is_beside_anchors(view, at, table));
        if !is_compared {
            continue;
        }
        match node.shape.last() {
            Some(2) => found.extend(node.values.chunks_exact(2).map(|size| [size[0], size[1]])),
            Some(4) => found.extend(node.values.chunks_exact(4).map(|corners| {
                let [x0, y0, x1, y1] = [corners[0], corners[1], corners[2], corners[3]];
                // Corners lie in order; a centre may well lie beyond its size.
                let are_corners =
                    node.values.chunks_exact(4).all(|other| other[2] >= other[0] && other[3] >= other[1]);
                if are_corners { [x1 - x0, y1 - y0] } else { [x1, y1] }
            })),
            // On a grid the two are channels, which nothing tells from others but that they stand against the
            // anchors themselves.
            _ if view.descendants(index, 1).iter().any(|&at| is_beside_anchors(view, at, table)) => {
                found.extend(pairs_of_channels(node));
            }
            _ => {}
        }
    }
    found.retain(|[width, height]| *width > 0.0 && *height > 0.0);
    found
}

/// Widths and heights that lie in two channels before the last dimension: `[…, 2, cells]`.
fn pairs_of_channels(node: &Node) -> Vec<[f64; 2]> {
    let [.., 2, cells] = node.shape[..] else { return Vec::new() };
    let cells = cells as usize;
    let both = node.values.chunks_exact(2 * cells.max(1));
    both.flat_map(|both| (0..cells).map(move |at| [both[at], both[cells + at]])).collect()
}

/// Whether an operation brings something together with what was made of the anchors.
fn is_beside_anchors(view: &View<'_>, at: Index, table: Index) -> bool {
    let of_table = |&input: &Index| input == table || view.ancestors(input, 8).contains(&table);
    view.node(at).inputs.iter().any(of_table)
}

impl BadAnchors {
    /// The anchors are not in the engine: what is learnt is already relative to them.
    fn of_encoded_targets(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        let views = [evidence.first(), evidence.before()];
        let masked = views.into_iter().flatten().find_map(|view| Some((view, encoded_targets(view)?)));
        let (view, targets, anchors, times) = match masked {
            Some((view, targets)) => {
                let shape = &view.node(targets).shape;
                (view, targets, shape[shape.len() - 2], None)
            }
            None => {
                let found = views.into_iter().flatten().find_map(|view| Some((view, picked_targets(view)?)));
                let (view, picked) = found?;
                (view, picked.targets, picked.anchors, Some(picked.times))
            }
        };
        let confidence = if times.is_some() { FAR_PICKED_TARGETS } else { FAR_TARGETS };
        let node = view.node(targets);
        let place = words::at_place(view.place(targets));
        let numbers = if node.shape.last() == Some(&2) { "two" } else { "four" };
        let mut observations = vec![
            format!(
                "{numbers} numbers are learnt for each of {anchors} anchors; those that enter{place} lie {}",
                words::range(&node.range)
            ),
            "relative to an anchor that overlaps its box at all they lie within 10 or so".to_owned(),
        ];
        observations.extend(times.map(|times| {
            let times = float(words::two_digits(times));
            format!("by the logarithms of their sides every box is at least {times} times as large as its anchor")
        }));
        observations.extend(evidence.history.losses_before_break());
        Some(Finding {
            evidence: observations,
            remedies: vec![
                "check that anchors and boxes are in the same unit and over the same image: pixels, cells or shares"
                    .to_owned(),
                "take anchors from the boxes of the training set: k-means on IoU (denan anchors)".to_owned(),
                "leave a box without an anchor that overlaps it out of the loss".to_owned(),
                "check that what is learnt is relative to the anchors, and not the box itself".to_owned(),
            ],
            interventions: ["replace-anchors", "lower-learning-rate", "clip-gradients"].map(str::to_owned).to_vec(),
            ..self.finding(
                confidence,
                format!(
                    "the anchors match none of the boxes: box targets relative to them reach {}{place}",
                    float(words::two_digits(node.range.abs_max())),
                ),
            )
        })
    }
}

/// Data of four numbers an anchor that the network's answer is compared with, where a mask of data says which
/// anchors have a box, if they are far out.
fn encoded_targets(view: &View<'_>) -> Option<Index> {
    view.forward().find_map(|(difference, node)| {
        let [first, second] = node.inputs[..] else { return None };
        let [.., anchors, 4] = node.shape[..] else { return None };
        let is_target = |index: Index| {
            let node = view.node(index);
            view.is_of_data(index) && node.dtype.contains("float") && node.range.abs_max() >= FAR_TARGET
        };
        let targets = if is_target(second) { second } else { first };
        if node.op != "sub" || anchors < 4 || !is_target(targets) {
            return None;
        }
        // Errors of anchors without a box do not count.
        let is_masked = view.descendants(difference, STEPS_TO_ANCHOR_MASK).into_iter().any(|at| {
            let reader = view.node(at);
            reader.op == "mask_where"
                || reader.op == "mask_fill"
                || reader.op == "mul"
                    && reader.inputs.iter().any(|&input| {
                        let range = view.node(input).range;
                        view.is_of_data(input) && range.min >= 0.0 && range.max == 1.0 && input != targets
                    })
        });
        is_masked.then_some(targets)
    })
}

/// Targets of the anchors that were picked for the boxes.
struct Picked {
    targets: Index,
    anchors: u64,
    /// How many times a box is as large as its anchor, at least.
    times: f64,
}

/// Data that are compared with what the network says for one anchor a box, if they are far out.
///
/// That there are anchors shows in the answer: a convolution says two or four numbers several times over for each cell
/// of its grid, these are listed as `[batch, anchors, numbers]`, and data pick one of them for a box. Nothing but their
/// anchors tells apart the answers of one cell.
fn picked_targets(view: &View<'_>) -> Option<Picked> {
    view.forward().find_map(|(_, node)| {
        let [first, second] = node.inputs[..] else { return None };
        let is_difference = node.op == "sub" || node.op.ends_with("_loss");
        let (targets, answer) = if view.is_of_data(second) { (second, first) } else { (first, second) };
        if !is_difference || !view.is_of_data(targets) {
            return None;
        }
        let numbers = *view.node(targets).shape.last().filter(|size| matches!(size, 2 | 4))?;
        let times = times_of_far_anchors(view.node(targets), numbers as usize)?;
        Some(Picked { targets, anchors: anchors_picked_from(view, answer, numbers)?, times })
    })
}

/// How many anchors the answer was picked from, if a cell has several.
fn anchors_picked_from(view: &View<'_>, answer: Index, numbers: u64) -> Option<u64> {
    let picked = view.node(answer);
    let [all, ref indices @ ..] = picked.inputs[..] else { return None };
    let is_picked_by_data = matches!(picked.op.as_str(), "select" | "gather")
        && indices.iter().any(|&index| view.is_of_data(index) && !view.node(index).dtype.contains("float"));
    let [_, anchors, last] = view.node(all).shape[..] else { return None };
    if !is_picked_by_data || last != numbers {
        return None;
    }
    let map = view.node(view.source(all));
    let [_, channels, ref cells @ ..] = map.shape[..] else { return None };
    let cells: u64 = cells.iter().product();
    let is_of_grid = map.op.starts_with("conv") && cells > 1 && channels * cells == anchors * numbers;
    (is_of_grid && anchors >= 2 * cells).then_some(anchors)
}

/// How many times a box is as large as its anchor, at least, if the targets are places and sides relative to anchors
/// and no anchor comes near its box.
///
/// Of a target `(x - a) / s, ln(w / s)` the second half gives back how many times as large as its anchor a box is. If
/// that is so, the first half over that number is how many sides of the box the anchor is away from it, whatever the
/// anchors are. Boxes that are not relative to anchors do not have that proportion, but by chance.
fn times_of_far_anchors(targets: &Node, numbers: usize) -> Option<f64> {
    if targets.range.abs_max() < FAR_TARGET || targets.values.is_empty() || !targets.dtype.contains("float") {
        return None;
    }
    let half = numbers / 2;
    let places = || targets.values.chunks_exact(numbers).flat_map(|target| &target[..half]);
    let sides = || targets.values.chunks_exact(numbers).flat_map(|target| &target[half..]);
    // Pixels may be whole numbers, logarithms are not.
    if sides().all(|side| side.fract() == 0.0) {
        return None;
    }
    SPREADS.iter().find_map(|(of_places, of_sides)| {
        let times = median(sides().map(|side| (side * of_sides).exp()));
        let away = median(places().map(|place| (place * of_places).abs()));
        let least = (sides().copied().fold(f64::INFINITY, f64::min) * of_sides).exp();
        (least >= NO_MATCH && SIDES_AWAY.contains(&(away / times))).then_some(least)
    })
}

/// The middle one of some values; 0 if there are none.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// A table of anchors and the targets it does not fit.
struct Mismatch {
    table: Index,
    targets: Range,
    /// Targets over anchors.
    ratio: f64,
    /// Whether it holds for every pair, rather than for the largest of both.
    is_of_all: bool,
}

impl Mismatch {
    fn factor(&self) -> f64 {
        self.ratio.max(1.0 / self.ratio)
    }
}

fn mismatches(view: &View<'_>) -> Vec<Mismatch> {
    let mut found = Vec::new();
    for (table, node) in view.nodes().filter(|(_, node)| is_table(node)) {
        for reader in view.descendants(table, 8) {
            let node_of_reader = view.node(reader);
            let [first, second] = node_of_reader.inputs[..] else { continue };
            let is_anchor = |index: Index| is_only_of(view, index, table);
            match node_of_reader.op.as_str() {
                // targets / anchors
                "div" if is_anchor(second) && is_targets(view, first, table) => {
                    let range = node_of_reader.range;
                    let ratio = if range.min >= NO_MATCH {
                        Some(range.min)
                    } else {
                        Some(range.max).filter(|max| *max > 0.0 && *max <= 1.0 / NO_MATCH)
                    };
                    let targets = view.node(first).range;
                    found.extend(ratio.map(|ratio| Mismatch { table, targets, ratio, is_of_all: true }));
                }
                // anchors * exp(predicted), compared with targets later on
                "mul" if is_anchor(first) || is_anchor(second) => {
                    let predicted = if is_anchor(first) { second } else { first };
                    let grows = view
                        .ancestors(predicted, 3)
                        .into_iter()
                        .chain([predicted])
                        .any(|at| view.node(at).op == "exp");
                    if !grows {
                        continue;
                    }
                    found.extend(compared_with(view, reader, table).into_iter().filter_map(|targets| {
                        let ratio = targets.abs_max() / node.range.abs_max();
                        let is_off = ratio >= NO_MATCH || ratio > 0.0 && ratio <= 1.0 / NO_MATCH;
                        is_off.then_some(Mismatch { table, targets, ratio, is_of_all: false })
                    }));
                }
                _ => {}
            }
        }
    }
    found
}

/// Whether a tensor may be a table of anchors: a few widths and heights, or boxes, handed over by the program.
fn is_table(node: &Node) -> bool {
    let count: u64 = node.shape.iter().product();
    let width = node.shape.iter().rev().find(|size| **size > 1).copied();
    node.role == Role::Data
        && node.inputs.is_empty()
        && node.dtype.contains("float")
        && matches!(width, Some(2 | 4))
        && (4..=4 * MOST_ANCHORS).contains(&count)
        && node.range.max > 0.0
}

/// Whether a tensor was made of the table alone.
fn is_only_of(view: &View<'_>, index: Index, table: Index) -> bool {
    index == table || view.data_behind(index) == [table] && view.is_of_data(index)
}

/// Whether a tensor was made of other data than the table, and of no weights.
fn is_targets(view: &View<'_>, index: Index, table: Index) -> bool {
    view.is_of_data(index) && !view.data_behind(index).contains(&table)
}

/// The targets that sizes are compared with: the other side of a difference, quotient or minimum.
fn compared_with(view: &View<'_>, sizes: Index, table: Index) -> Vec<Range> {
    let mut found = Vec::new();
    for at in view.descendants(sizes, 6) {
        let node = view.node(at);
        if matches!(node.op.as_str(), "sub" | "div" | "min" | "max" | "mask_where") {
            let others = node.inputs.iter().copied().filter(|&input| is_targets(view, input, table));
            found.extend(others.map(|input| view.node(input).range).filter(|range| range.count > 1));
        }
    }
    found
}
