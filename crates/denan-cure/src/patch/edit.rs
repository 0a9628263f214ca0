//! Edits of a text's bytes, its lines, and patches of whole lines.

use denan_finding::{Hunk, Patch};
use std::ops::Range;

/// Hunks that lie this many lines apart or nearer are shown as one.
const NEAR_LINES: u32 = 2;

/// Bytes to replace, and what with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) range: Range<usize>,
    pub(super) text: String,
}

impl Edit {
    pub(super) fn replace(range: Range<usize>, text: impl Into<String>) -> Self {
        Self { range, text: text.into() }
    }

    /// Whether another edit changes the same bytes.
    pub(super) fn same_place(&self, other: &Self) -> bool {
        self.range == other.range
    }

    pub(super) fn insert(at: usize, text: impl Into<String>) -> Self {
        Self::replace(at..at, text)
    }
}

/// Where the lines of a text begin.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    starts: Vec<usize>,
    length: usize,
}

impl Lines {
    pub(super) fn of(text: &str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { starts, length: text.len() }
    }

    /// 1-based line of a byte.
    pub(super) fn line(&self, byte: usize) -> u32 {
        self.starts.partition_point(|start| *start <= byte) as u32
    }

    /// First byte of the line that holds a byte.
    pub(super) fn start_of(&self, byte: usize) -> usize {
        self.starts[self.line(byte) as usize - 1]
    }

    /// First byte behind the line that holds a byte, its line break included.
    pub(super) fn end_of(&self, byte: usize) -> usize {
        self.starts.get(self.line(byte) as usize).copied().unwrap_or(self.length)
    }

    /// Whether `byte` is at a 1-based line and column, which counts bytes.
    pub(super) fn is_at(&self, byte: usize, line: u32, column: u32) -> bool {
        let line_start = (line as usize).checked_sub(1).and_then(|index| self.starts.get(index));
        line_start.is_some_and(|start| start + column as usize == byte + 1)
    }

    /// All of the lines that hold some bytes.
    pub(super) fn whole(&self, range: &Range<usize>) -> Range<usize> {
        // An end just behind a line break belongs to the line before it.
        let last = if range.end > range.start { range.end - 1 } else { range.end };
        self.start_of(range.start)..self.end_of(last)
    }
}

/// The edits in order of their places.
///
/// # Errors
/// There are none, or two of them change the same bytes.
pub(super) fn sorted(mut edits: Vec<Edit>) -> Result<Vec<Edit>, String> {
    edits.sort_by_key(|edit| (edit.range.start, edit.range.end));
    if edits.is_empty() {
        return Err("nothing would change".to_owned());
    }
    if edits.windows(2).any(|pair| pair[0].range.end > pair[1].range.start) {
        return Err("two changes would overlap".to_owned());
    }
    Ok(edits)
}

/// The text after edits in order of their places.
pub(super) fn applied(text: &str, edits: &[Edit]) -> String {
    let mut after = String::with_capacity(text.len());
    let mut at = 0;
    for edit in edits {
        after.push_str(&text[at..edit.range.start]);
        after.push_str(&edit.text);
        at = edit.range.end;
    }
    after.push_str(&text[at..]);
    after
}

/// A patch of whole lines: `shown` tells for each of the sorted edits which bytes are shown with it.
pub(super) fn patch(
    file: String,
    text: &str,
    edits: &[Edit],
    shown: impl Fn(&Edit) -> Range<usize>,
) -> Patch {
    let lines = Lines::of(text);
    let mut hunks: Vec<(Range<usize>, Vec<Edit>)> = Vec::new();
    for edit in edits {
        let own = shown(edit);
        match hunks.last_mut() {
            Some((range, edits))
                if lines.line(own.start) <= lines.line(range.end.max(1) - 1) + NEAR_LINES =>
            {
                range.start = range.start.min(own.start);
                range.end = range.end.max(own.end);
                edits.push(edit.clone());
            }
            _ => hunks.push((own, vec![edit.clone()])),
        }
    }
    let mut hunks = hunks.into_iter().map(|(range, edits)| {
        let own: Vec<Edit> = edits
            .into_iter()
            .map(|edit| Edit { range: edit.range.start - range.start..edit.range.end - range.start, ..edit })
            .collect();
        let before = &text[range.clone()];
        Hunk {
            line: lines.line(range.start),
            before: without_line_ends(before),
            after: without_line_ends(&applied(before, &own)),
        }
    });
    let first = hunks.next().unwrap_or_default();
    Patch {
        file,
        line: first.line,
        before: first.before,
        after: first.after,
        more: hunks.collect(),
        ran: None,
    }
}

fn without_line_ends(lines: &str) -> String {
    lines.lines().collect::<Vec<_>>().join("\n")
}

/// Whether one path is the other with more folders in front.
pub(super) fn ends_alike(one: &str, other: &str) -> bool {
    let (longer, shorter) = if one.len() >= other.len() { (one, other) } else { (other, one) };
    let shorter = shorter.trim_start_matches("./");
    let longer = longer.replace('\\', "/");
    let shorter = shorter.replace('\\', "/");
    longer == shorter || longer.strip_suffix(shorter.as_str()).is_some_and(|head| head.ends_with('/'))
}

/// Text of a file of the tree, and its name there.
///
/// A training that ran in another folder records another prefix, so a file of the tree that ends
/// like it will do if there is only one.
pub(super) fn read(sources: &dyn super::SourceTree, file: &str) -> Option<(String, String)> {
    if let Some(text) = sources.read(file) {
        return Some((file.to_owned(), text));
    }
    let alike: Vec<String> = sources.files().into_iter().filter(|other| ends_alike(other, file)).collect();
    let [name] = <[String; 1]>::try_from(alike).ok()?;
    let text = sources.read(&name)?;
    Some((name, text))
}
