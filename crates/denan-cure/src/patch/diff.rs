//! Patches as unified diffs.

use denan_finding::Patch;
use std::fmt::Write as _;

/// Lines around a change that `git apply` needs to trust it.
const CONTEXT_LINES: usize = 3;

/// The patch as a unified diff without context beyond its own lines.
///
/// `patch -p1` takes it as it is, `git apply` with `--unidiff-zero`;
/// [`unified_diff_in`] gives one that `git apply` takes without an option.
pub fn unified_diff(patch: &Patch) -> String {
    render(&patch.file, patch.line as usize, &lines(patch), false)
}

/// The patch as a unified diff with three lines of context out of `source`, the text of the unpatched file.
///
/// Returns `None` if `source` does not hold the patch's lines where the patch says.
pub fn unified_diff_in(patch: &Patch, source: &str) -> Option<String> {
    let all: Vec<&str> = source.lines().collect();
    let before: Vec<&str> = patch.before.split('\n').collect();
    let first = (patch.line as usize).checked_sub(1)?;
    let end = first + before.len();
    if all.get(first..end)? != before.as_slice() {
        return None;
    }
    // The patch's lines carry no carriage returns; a file that has them needs them back.
    let has_carriage_returns = source.contains("\r\n");
    let ends_without_newline = !source.is_empty() && !source.ends_with('\n');

    let above = first.saturating_sub(CONTEXT_LINES);
    let below = all.len().min(end + CONTEXT_LINES);
    let mut lines: Vec<Line> = all[above..first].iter().map(|text| Line { sign: ' ', text }).collect();
    lines.extend(self::lines(patch));
    lines.extend(all[end..below].iter().map(|text| Line { sign: ' ', text }));

    let mut text = render(&patch.file, above + 1, &lines, has_carriage_returns);
    if below == all.len() && ends_without_newline {
        mark_missing_newline(&mut text, &lines);
    }
    Some(text)
}

struct Line<'a> {
    sign: char,
    text: &'a str,
}

/// The patch's own lines: those that stay, those that go, those that come.
fn lines(patch: &Patch) -> Vec<Line<'_>> {
    let before: Vec<&str> = patch.before.split('\n').collect();
    let (mut lines, mut at) = (Vec::new(), 0);
    let mut put = |sign, texts: &[_]| lines.extend(texts.iter().map(|&text| Line { sign, text }));
    for change in patch.changes() {
        put(' ', &before[at..change.kept_before]);
        put('-', &change.before);
        put('+', &change.after);
        at = change.kept_before + change.before.len();
    }
    put(' ', &before[at..]);
    lines
}

fn render(file: &str, first_line: usize, lines: &[Line<'_>], carriage_returns: bool) -> String {
    let file = file.trim_start_matches('/');
    let old = lines.iter().filter(|line| line.sign != '+').count();
    let new = lines.iter().filter(|line| line.sign != '-').count();
    let mut text = format!(
        "--- a/{file}\n+++ b/{file}\n@@ -{} +{} @@\n",
        extent(first_line, old),
        extent(first_line, new)
    );
    for line in lines {
        let end = if carriage_returns { "\r\n" } else { "\n" };
        write!(text, "{}{}{end}", line.sign, line.text).expect("writing to a string cannot fail");
    }
    text
}

fn extent(first_line: usize, count: usize) -> String {
    if count == 1 { first_line.to_string() } else { format!("{first_line},{count}") }
}

/// Adds git's remark after the last line of the old and of the new file.
fn mark_missing_newline(text: &mut String, lines: &[Line<'_>]) {
    const REMARK: &str = "\\ No newline at end of file\n";
    if lines.last().is_some_and(|line| line.sign == ' ') {
        text.push_str(REMARK);
        return;
    }
    let header = 3;
    let mut out: Vec<String> = text.split_inclusive('\n').map(str::to_owned).collect();
    for sign in ['+', '-'] {
        if let Some(last) = lines.iter().rposition(|line| line.sign == sign) {
            out.insert(header + last + 1, REMARK.to_owned());
        }
    }
    *text = out.concat();
}
