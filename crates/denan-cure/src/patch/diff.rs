//! Patches as unified diffs.

use denan_finding::{Hunk, Patch};
use std::fmt::Write as _;
use std::ops::Range;

/// Lines around a change that `git apply` needs to trust it.
const CONTEXT_LINES: usize = 3;

/// The patch as a unified diff without context beyond its own lines.
///
/// `patch -p1` takes it as it is, `git apply` with `--unidiff-zero`;
/// [`unified_diff_in`] gives one that `git apply` takes without an option.
pub fn unified_diff(patch: &Patch) -> String {
    let mut text = header(patch);
    let mut grown = 0;
    for hunk in patch.hunks() {
        grown = render(&mut text, hunk.line as usize, grown, &lines(&hunk), false);
    }
    text
}

/// The patch as a unified diff with three lines of context out of `source`, the text of the unpatched file.
///
/// Returns `None` if `source` does not hold the patch's lines where the patch says.
pub fn unified_diff_in(patch: &Patch, source: &str) -> Option<String> {
    let all: Vec<&str> = source.lines().collect();
    // The patch's lines carry no carriage returns; a file that has them needs them back.
    let has_carriage_returns = source.contains("\r\n");
    let ends_without_newline = !source.is_empty() && !source.ends_with('\n');

    let hunks = patch.hunks();
    let places: Option<Vec<Range<usize>>> = hunks.iter().map(|hunk| place(hunk, &all)).collect();
    let places = places?;
    let (mut text, mut grown, mut at) = (header(patch), 0, 0);
    while at < hunks.len() {
        let above = places[at].start.saturating_sub(CONTEXT_LINES);
        let kept = |from: usize, to: usize| all[from..to].iter().map(|text| Line { sign: ' ', text });
        let mut lines: Vec<Line> = kept(above, places[at].start).collect();
        lines.extend(self::lines(&hunks[at]));
        // Hunks whose contexts meet are one.
        while at + 1 < hunks.len() && places[at + 1].start <= places[at].end + 2 * CONTEXT_LINES {
            lines.extend(kept(places[at].end, places[at + 1].start));
            at += 1;
            lines.extend(self::lines(&hunks[at]));
        }
        let end = places[at].end;
        let below = all.len().min(end + CONTEXT_LINES);
        lines.extend(kept(end, below));
        let mut own = String::new();
        grown = render(&mut own, above + 1, grown, &lines, has_carriage_returns);
        if below == all.len() && ends_without_newline {
            mark_missing_newline(&mut own, &lines);
        }
        text.push_str(&own);
        at += 1;
    }
    Some(text)
}

/// The text of a file after the patch.
///
/// Returns `None` if `source`, the text before it, does not hold the patch's lines where the patch says.
pub fn applied(patch: &Patch, source: &str) -> Option<String> {
    let all: Vec<&str> = source.lines().collect();
    let end = if source.contains("\r\n") { "\r\n" } else { "\n" };
    let mut lines: Vec<&str> = Vec::new();
    let mut at = 0;
    let hunks = patch.hunks();
    for hunk in &hunks {
        let place = place(hunk, &all)?;
        lines.extend(all.get(at..place.start)?);
        lines.extend(
            (!hunk.after.is_empty() || hunk.before.is_empty())
                .then(|| hunk.after.split('\n'))
                .into_iter()
                .flatten(),
        );
        at = place.end;
    }
    lines.extend(all.get(at..)?);
    let last = if source.ends_with('\n') { end } else { "" };
    Some(lines.join(end) + last)
}

/// Indices of the lines that a hunk changes, if they are as it says.
fn place(hunk: &Hunk, all: &[&str]) -> Option<Range<usize>> {
    let before: Vec<&str> = hunk.before.split('\n').collect();
    let first = (hunk.line as usize).checked_sub(1)?;
    let place = first..first + before.len();
    (all.get(place.clone())? == before.as_slice()).then_some(place)
}

struct Line<'a> {
    sign: char,
    text: &'a str,
}

/// A hunk's own lines: those that stay, those that go, those that come.
fn lines(hunk: &Hunk) -> Vec<Line<'_>> {
    let before: Vec<&str> = hunk.before.split('\n').collect();
    let (mut lines, mut at) = (Vec::new(), 0);
    let mut put = |sign, texts: &[_]| lines.extend(texts.iter().map(|&text| Line { sign, text }));
    for change in hunk.changes() {
        put(' ', &before[at..change.kept_before]);
        put('-', &change.before);
        put('+', &change.after);
        at = change.kept_before + change.before.len();
    }
    put(' ', &before[at..]);
    lines
}

fn header(patch: &Patch) -> String {
    let file = patch.file.trim_start_matches('/');
    format!("--- a/{file}\n+++ b/{file}\n")
}

/// Adds a hunk that begins at a line of the old file; `grown` is by how many lines the new one is longer before it.
/// Returns the same for what comes after it.
fn render(
    text: &mut String,
    first_line: usize,
    grown: isize,
    lines: &[Line<'_>],
    carriage_returns: bool,
) -> isize {
    let old = lines.iter().filter(|line| line.sign != '+').count();
    let new = lines.iter().filter(|line| line.sign != '-').count();
    let moved = first_line.saturating_add_signed(grown);
    writeln!(text, "@@ -{} +{} @@", extent(first_line, old), extent(moved, new))
        .expect("writing to a string cannot fail");
    for line in lines {
        let end = if carriage_returns { "\r\n" } else { "\n" };
        write!(text, "{}{}{end}", line.sign, line.text).expect("writing to a string cannot fail");
    }
    grown + new as isize - old as isize
}

/// An empty part is said to lie behind the line before it.
fn extent(first_line: usize, count: usize) -> String {
    match count {
        0 => format!("{},0", first_line.saturating_sub(1)),
        1 => first_line.to_string(),
        _ => format!("{first_line},{count}"),
    }
}

/// Adds git's remark after the last line of the old and of the new file.
fn mark_missing_newline(text: &mut String, lines: &[Line<'_>]) {
    const REMARK: &str = "\\ No newline at end of file\n";
    if lines.last().is_some_and(|line| line.sign == ' ') {
        text.push_str(REMARK);
        return;
    }
    let header = 1;
    let mut out: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for sign in ['+', '-'] {
        if let Some(last) = lines.iter().rposition(|line| line.sign == sign) {
            out.insert(header + last + 1, REMARK.to_owned());
        }
    }
    *text = out.concat();
}
