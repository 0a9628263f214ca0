//! What was done to a data set: for people by check, as JSON.

use super::page::{Ink, Page, Text, text};
use super::{Format, json};
use crate::clean::{CleanResult, RuleChanges};
use crate::number::counted;

/// Files that are named.
const MOST_FILES: usize = 8;

/// The result as text. `color` and `width` are those of the terminal.
pub fn render_clean(result: &CleanResult, format: Format, color: bool, width: usize) -> String {
    match format {
        Format::Full => full(result, color, width),
        Format::Concise => concise(result),
        Format::Json => json::document("denan/clean/v1", result),
    }
}

/// A line per check.
fn concise(result: &CleanResult) -> String {
    result.changes.iter().map(|change| format!("{}: {}\n", change.rule, said(change))).collect()
}

/// `3 rows left out, 1 value replaced`.
fn said(change: &RuleChanges) -> String {
    let parts = [
        (change.rows, "row left out", "rows left out"),
        (change.values, "value replaced", "values replaced"),
        (change.boxes, "box left out or repaired", "boxes left out or repaired"),
        (change.files, "file left out", "files left out"),
    ];
    let parts =
        parts.iter().filter(|(count, ..)| *count > 0).map(|(count, one, many)| counted(*count, one, many));
    parts.collect::<Vec<_>>().join(", ")
}

fn full(result: &CleanResult, color: bool, width: usize) -> String {
    let mut page = Page::new(color, width);
    for change in &result.changes {
        let line = Text::new().add(Ink::Bold, &said(change)).add(Ink::Faint, &format!(" ({})", change.rule));
        page.paragraph((Ink::Plain, ""), &line);
    }
    if result.changes.is_empty() {
        page.paragraph((Ink::Plain, ""), &text(Ink::Good, "nothing was to be repaired"));
    }
    for why in result.not_cleaned.iter().take(MOST_FILES) {
        let line = Text::new().add(Ink::Warning, "not cleaned").add(Ink::Plain, &format!(": {why}"));
        page.hanging((Ink::Plain, ""), 4, &line);
    }
    for (table, normalization) in &result.normalization {
        let columns = counted(normalization.mean.len() as u64, "column", "columns");
        page.paragraph((Ink::Plain, ""), &text(Ink::Plain, &format!("normalised {table}: {columns}")));
    }
    match &result.into {
        Some(into) => {
            let files = counted(result.files, "file", "files");
            page.paragraph((Ink::Plain, ""), &text(Ink::Plain, &format!("{files} in {into}")));
        }
        None => page.paragraph((Ink::Plain, ""), &text(Ink::Plain, "nothing was written (--dry-run)")),
    }
    if let Some(audit) = &result.audit {
        page.paragraph((Ink::Plain, ""), &text(Ink::Faint, &format!("every change: {audit}")));
    }
    if let Some(into) = &result.into {
        let next = Text::new().add(Ink::Help, "next").add(Ink::Plain, &format!(": denan scan {into}"));
        page.paragraph((Ink::Plain, ""), &next);
    }
    page.finish()
}
