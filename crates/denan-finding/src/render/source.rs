//! A line of the user's source in the manner of rustc, with carets under the call.

use super::Style;
use super::page::{Ink, Page, Text};
use super::words::file_line_column;
use crate::escape::escape;
use denan_record::model::Place;
use std::ops::Range;
use unicode_width::UnicodeWidthStr;

/// A place to show.
pub(super) struct Shown<'a> {
    pub(super) place: &'a Place,
    /// Names the call may go by in the source; see [`names_of`].
    pub(super) op: &'a str,
    /// What to say below the carets.
    pub(super) label: &'a str,
}

/// Columns of line numbers, so that several places share one gutter.
pub(super) fn gutter_width(lines: impl IntoIterator<Item = u32>) -> usize {
    lines.into_iter().map(|line| line.to_string().len()).max().unwrap_or(1)
}

/// Draws `-->`, the line and the carets; the first place gets the arrow, later ones `:::`.
pub(super) fn draw(page: &mut Page, shown: &Shown<'_>, gutter: usize, arrow: &str, style: &Style) {
    let indent = " ".repeat(gutter);
    let place = file_line_column(shown.place, style.sources);
    let arrow = format!("{indent}{arrow} ");
    let Some(line) = style.sources.line(&shown.place.file, shown.place.line) else {
        let place = Text::new().add_whole(Ink::Plain, &place).add(Ink::Plain, ": ");
        page.paragraph((Ink::Gutter, &arrow), &place.add(Ink::Error, shown.label));
        return;
    };
    page.line(&[(Ink::Gutter, &arrow), (Ink::Plain, &escape(&place))]);
    let bar = format!("{indent} |");
    let line = line.trim_end();
    let call = find_call(line, shown.place.column, shown.op);
    let room = page.width().saturating_sub(gutter + 3).max(20);
    let window = Window::new(line, call, room);
    page.line(&[(Ink::Gutter, &bar)]);
    let number = format!("{:>gutter$} |", shown.place.line);
    page.line(&[(Ink::Gutter, &number), (Ink::Plain, " "), (Ink::Plain, &window.text)]);
    let label = shown.label;
    let Some((start, length)) = window.carets else {
        page.line(&[(Ink::Gutter, &bar), (Ink::Error, &format!(" {label}"))]);
        return;
    };
    let carets = format!(" {}{}", " ".repeat(start), "^".repeat(length));
    if start + length + 1 + label.width() <= room {
        page.line(&[(Ink::Gutter, &bar), (Ink::Error, &format!("{carets} {label}"))]);
    } else {
        page.line(&[(Ink::Gutter, &bar), (Ink::Error, &carets)]);
        let left = " ".repeat(room.saturating_sub(label.width()).min(start));
        page.line(&[(Ink::Gutter, &bar), (Ink::Error, &format!(" {left}{label}"))]);
    }
}

/// A source line fit for a terminal: tabs widened, the rest escaped.
pub(super) fn clean(line: &str) -> String {
    escape(&line.replace('\t', "    ")).into_owned()
}

/// The part of a source line that fits, escaped, tabs widened.
struct Window {
    text: String,
    /// Column and length of the carets in `text`.
    carets: Option<(usize, usize)>,
}

impl Window {
    fn new(line: &str, call: Option<Range<usize>>, room: usize) -> Self {
        let call = call.unwrap_or(0..0);
        let (before, inside, after) =
            (clean(&line[..call.start]), clean(&line[call.clone()]), clean(&line[call.end..]));
        let (before, after) = fit(before, &inside, after, room);
        let carets = (!inside.is_empty()).then(|| (before.width(), inside.width()));
        Self { text: format!("{before}{inside}{after}"), carets }
    }
}

/// Cuts a line that is too wide, around the call and between words.
fn fit(before: String, inside: &str, after: String, room: usize) -> (String, String) {
    let total = before.width() + inside.width() + after.width();
    if total <= room {
        return (before, after);
    }
    let indent = before.len() - before.trim_start().len();
    if total - indent <= room {
        return (before[indent..].to_owned(), after);
    }
    let before = &before[indent..];
    let spare = room.saturating_sub(inside.width() + 2);
    let left = before.width().min(spare.saturating_sub(after.width()).max(spare / 2));
    let right = spare - left.min(spare);
    let before = if before.width() <= left {
        before.to_owned()
    } else {
        let start = before
            .char_indices()
            .map(|(at, _)| at)
            .find(|at| before[*at..].width() <= left && starts_word(before, *at))
            .unwrap_or(before.len());
        format!("…{}", before[start..].trim_start())
    };
    let after = if after.width() <= right {
        after
    } else {
        let end = after
            .char_indices()
            .map(|(at, _)| at)
            .rfind(|at| after[..*at].width() <= right && starts_word(&after, *at))
            .unwrap_or(0);
        format!("{}…", after[..end].trim_end())
    };
    (before, after)
}

/// Whether no name or number is cut in two here.
fn starts_word(text: &str, at: usize) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    !(text[..at].ends_with(is_part) && text[at..].starts_with(is_part))
}

/// Where the line calls `op`: the call at or after `column` (1-based, 0 if unknown), or the only one.
fn find_call(line: &str, column: u32, op: &str) -> Option<Range<usize>> {
    let (names, operators) = names_of(op);
    let mut calls: Vec<_> = names.iter().flat_map(|name| calls_of(line, name)).collect();
    calls.sort_by_key(|call| call.start);
    if calls.is_empty() {
        calls = operators.iter().flat_map(|sign| signs(line, sign)).collect();
        calls.sort_by_key(|call| call.start);
    }
    let at = (column > 0).then(|| line.char_indices().nth(column as usize - 1).map(|(at, _)| at)).flatten();
    match at {
        Some(at) => {
            calls.iter().find(|call| call.end > at).or(calls.last()).cloned().or_else(|| name_at(line, at))
        }
        None if calls.len() == 1 => calls.pop(),
        None => None,
    }
}

/// Names and operators by which a program may call an operation.
fn names_of(op: &str) -> (Vec<String>, &'static [&'static str]) {
    let (others, operators): (&[&str], &[&str]) = match op {
        "add" => (&[], &["+"]),
        "sub" => (&[], &["-"]),
        "mul" => (&["multiply"], &["*"]),
        "div" => (&["divide", "true_divide"], &["/"]),
        "matmul" => (&["mm", "bmm", "dot", "linear"], &["@"]),
        "neg" => (&["negative"], &["-"]),
        "pow" | "powf" | "powi" => (&["pow", "powf", "powi", "powf_scalar", "powi_scalar"], &["**"]),
        "recip" | "reciprocal" => (&["recip", "reciprocal"], &["/"]),
        _ => (&[], &[]),
    };
    let mut names = vec![op.to_owned(), format!("{op}_"), format!("{op}_scalar")];
    names.extend(others.iter().map(|name| (*name).to_owned()));
    (names, operators)
}

/// Every call of `name`: the whole name, with its arguments behind it.
fn calls_of(line: &str, name: &str) -> Vec<Range<usize>> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name)
        .map(|(start, _)| start..start + name.len())
        .filter(|call| !name.is_empty() && !line[..call.start].ends_with(is_name))
        .filter(|call| {
            let rest = line[call.end..].trim_start();
            rest.starts_with('(') || rest.starts_with("::<")
        })
        .collect()
}

/// Every `sign` that is no part of a longer operator, arrow, path or comment.
fn signs(line: &str, sign: &str) -> Vec<Range<usize>> {
    let is_sign = |c: char| "+-*/@=<>!%&|".contains(c);
    line.match_indices(sign)
        .map(|(start, _)| start..start + sign.len())
        .filter(|found| {
            let rest = &line[found.end..];
            !line[..found.start].ends_with(is_sign) && (!rest.starts_with(is_sign) || rest.starts_with('='))
        })
        .collect()
}

/// The name that starts at this byte.
fn name_at(line: &str, at: usize) -> Option<Range<usize>> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let end = line[at..].find(|c| !is_name(c)).map_or(line.len(), |length| at + length);
    (end > at && !line[..at].ends_with(is_name)).then_some(at..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, column: u32, op: &str, expected: Option<&str>) {
        let found = find_call(line, column, op);
        let carets = found.map(|call| " ".repeat(call.start) + &"^".repeat(call.len()));
        assert_eq!(carets.as_deref(), expected, "\n{line}");
    }

    #[test]
    fn the_call_is_found_by_its_name() {
        let line = "let y = log_softmax(x).log();";
        check(line, 0, "log", Some("                       ^^^"));
        check("y = torch.sqrt(x)", 0, "sqrt", Some("          ^^^^"));
        check("x.log_()", 0, "log", Some("  ^^^^"));
        check("// the log of x", 0, "log", None);
    }

    #[test]
    fn of_several_calls_the_column_decides() {
        let line = "a.log() + b.log()";
        check(line, 0, "log", None);
        check(line, 3, "log", Some("  ^^^"));
        check(line, 13, "log", Some("            ^^^"));
        check(line, 9, "log", Some("            ^^^"));
    }

    #[test]
    fn operators_stand_for_calls() {
        check("let r = a / b; // ratio", 0, "div", Some("          ^"));
        check("r = a // b", 0, "div", None);
        check("fn f(a: T) -> T { a - b }", 0, "sub", Some("                    ^"));
        check("x /= n", 0, "div", Some("  ^"));
        check("y = x ** 0.5", 0, "powf", Some("      ^^"));
    }

    #[test]
    fn an_unknown_name_falls_back_to_what_stands_at_the_column() {
        check("let loss = criterion.forward(x, y);", 22, "log", Some("                     ^^^^^^^"));
        check("    )", 5, "log", None);
        check("", 9, "log", None);
    }

    #[test]
    fn carets_stand_below_wide_letters_and_tabs() {
        let line = "\tbild_画像.log()";
        let window = Window::new(line, find_call(line, 0, "log"), 70);
        assert_eq!(window.text, "    bild_画像.log()");
        assert_eq!(window.carets, Some((14, 3)));
    }

    #[test]
    fn a_long_line_is_cut_around_the_call_between_words() {
        let line = "    let loss = first_long_name(a, b) + weights.clone().log() * other_name(c, 1234);";
        let call = find_call(line, 0, "log");
        let window = Window::new(line, call, 40);
        assert_eq!(window.text, "…weights.clone().log() * other_name(c,…");
        let (start, length) = window.carets.unwrap();
        let carets: String = window.text.chars().skip(start).take(length).collect();
        assert_eq!(carets, "log");
        for room in 20..100 {
            let window = Window::new(line, find_call(line, 0, "log"), room);
            assert!(window.text.width() <= room, "{room}: {}", window.text);
        }
    }
}
