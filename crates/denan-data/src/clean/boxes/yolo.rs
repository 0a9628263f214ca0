//! YOLO: lines are cut, numbers in them replaced.

use super::{Edit, Repair, Repairs, edited, number};
use crate::labels::corners_of_line;
use std::ops::Range;

/// The file with its repairs, and how many of these there were.
pub(super) fn written(bytes: &[u8], repairs: &Repairs) -> (Vec<u8>, usize) {
    let mark = if bytes.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
    let mut out = bytes[..mark].to_vec();
    let (mut index, mut done) = (0, 0);
    for line in bytes[mark..].split_inclusive(|byte| *byte == b'\n') {
        let text = String::from_utf8_lossy(line);
        if text.trim().is_empty() {
            out.extend_from_slice(line);
            continue;
        }
        let repair = repairs.get(&index);
        index += 1;
        done += usize::from(repair.is_some());
        match repair {
            None => out.extend_from_slice(line),
            Some(Repair { after: None, .. }) => {}
            Some(repair @ Repair { after: Some(after), .. }) => {
                out.extend(edited(line, edits(&text, repair, after)));
            }
        }
    }
    (out, done)
}

/// The changes of a line.
fn edits(line: &str, repair: &Repair, after: &[f64; 4]) -> Vec<Edit> {
    let tokens: Vec<(Range<usize>, &str)> = tokens(line).collect();
    let numbers: Vec<f64> = tokens.iter().filter_map(|(_, token)| token.parse().ok()).collect();
    let mut edits = Vec::new();
    if numbers.len() < 5 || numbers.len() != tokens.len() {
        return edits;
    }
    let mut set = |position: usize, new: f64| {
        let (at, old) = &tokens[position];
        if old.parse() != Ok(new) {
            edits.push((at.clone(), number(old, new)));
        }
    };
    let [width, height] = repair.numbers.unit;
    let in_pixels =
        |[xmin, ymin, xmax, ymax]: [f64; 4]| [xmin * width, ymin * height, xmax * width, ymax * height];
    // With keypoints behind it, a box has as many numbers as a polygon.
    let is_polygon =
        numbers.len() > 5 && corners_of_line(&numbers, false).map(in_pixels) == Some(repair.before);
    if is_polygon {
        for axis in repair.moved(after) {
            for (position, value) in numbers.iter().enumerate().skip(1 + axis).step_by(2) {
                set(position, value.clamp(0.0, 1.0));
            }
        }
        return edits;
    }
    for axis in repair.moved(after) {
        let [centre, side] = repair.numbers.of(after, axis);
        set(1 + axis, centre);
        set(3 + axis, side);
    }
    edits
}

/// The words of a line and where they stand.
fn tokens(line: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    line.split_whitespace().map(|token| {
        let start = token.as_ptr().addr() - line.as_ptr().addr();
        (start..start + token.len(), token)
    })
}
