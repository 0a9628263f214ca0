//! Pascal VOC: `<object>` elements are cut, numbers in their `<bndbox>` replaced.

use super::{Edit, Repairs, edited, number};
use crate::labels::places_of_objects;
use std::borrow::Cow;
use std::ops::Range;

/// The file with its repairs, and how many of these there were.
pub(super) fn written(bytes: &[u8], repairs: &Repairs) -> (Vec<u8>, usize) {
    let mark = if bytes.starts_with("\u{feff}".as_bytes()) { 3 } else { 0 };
    let xml = as_ascii(&bytes[mark..]);
    let mut edits: Vec<Edit> = Vec::new();
    let mut done = 0;
    for (placed, index) in places_of_objects(&xml).into_iter().zip(0..) {
        let Some(repair) = repairs.get(&index) else { continue };
        done += 1;
        let Some(after) = repair.after else {
            edits.push((with_its_line(&xml, placed.element), String::new()));
            continue;
        };
        for (side, at) in placed.sides.into_iter().enumerate() {
            if after[side] != repair.before[side] && !at.is_empty() {
                let text = &xml[at.clone()];
                let old = text.trim();
                let start = at.end - text.trim_start().len();
                edits.push((start..start + old.len(), number(old, after[side])));
            }
        }
    }
    edits.iter_mut().for_each(|(at, _)| *at = at.start + mark..at.end + mark);
    (edited(bytes, edits), done)
}

/// The text with a character of one byte for each byte that is not UTF-8, so that all places stay.
fn as_ascii(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.into();
    }
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '_'));
    }
    text.into()
}

/// An element with the indentation before it and the end of the line before, if nothing else stands there.
fn with_its_line(xml: &str, element: Range<usize>) -> Range<usize> {
    let before = xml[..element.start].trim_end_matches([' ', '\t']);
    let line = before.strip_suffix('\n').map(|before| before.strip_suffix('\r').unwrap_or(before));
    line.map_or(element.start, str::len)..element.end
}
