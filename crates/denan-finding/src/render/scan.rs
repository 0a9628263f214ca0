//! What is wrong with a data set: for people by check, as a line each, as JSON.

use super::page::{Ink, Page, Text, text};
use super::{Format, json};
use crate::number::{count, counted};
use crate::scan::{ScanFinding, ScanResult, Severity};

/// What hangs below a heading starts in this column.
const INDENT: &str = "    ";
/// Findings of a check that are told one by one.
const MOST_FINDINGS: usize = 8;
/// Classes that are named.
const MOST_CLASSES: usize = 8;

/// The result as text. `color` and `width` are those of the terminal.
pub fn render_scan(result: &ScanResult, format: Format, color: bool, width: usize) -> String {
    match format {
        Format::Full => full(result, color, width),
        Format::Concise => concise(result, color),
        Format::Json => json::document("denan/scan/v1", result),
    }
}

/// A line per finding: file, box, severity, check, message.
fn concise(result: &ScanResult, color: bool) -> String {
    let mut page = Page::new(color, usize::MAX);
    for found in &result.findings {
        let line = place(found)
            .add(Ink::Plain, &format!(": {}[{}] {}", found.severity.as_str(), found.rule, found.message));
        page.paragraph((Ink::Plain, ""), &line);
    }
    page.finish()
}

fn place(found: &ScanFinding) -> Text {
    let class = found.class.as_ref().map(|class| format!(" ({class})")).unwrap_or_default();
    let number = found.labelled_box.map(|number| format!(" box {number}{class}")).unwrap_or_default();
    Text::new().add_whole(Ink::Plain, &found.file).add(Ink::Plain, &number)
}

fn full(result: &ScanResult, color: bool, width: usize) -> String {
    let mut page = Page::new(color, width);
    let mut first: Option<&str> = None;
    // What breaks trainings comes first, in the order of the checks.
    for severity in [Severity::Error, Severity::Warning] {
        for rule in result.rules.iter().filter(|rule| rule.severity == severity && rule.count > 0) {
            first = first.or(Some(&rule.rule));
            let ink = if severity == Severity::Error { Ink::Error } else { Ink::Warning };
            let line = Text::new()
                .add(ink, severity.as_str())
                .add(Ink::Bold, &format!(": {} {}", count(rule.count), rule.title))
                .add(Ink::Faint, &format!(" ({})", rule.rule));
            page.hanging((Ink::Plain, ""), severity.as_str().len() + 2, &line);
            let own = result.findings.iter().filter(|found| found.rule == rule.rule);
            for found in own.take(MOST_FINDINGS) {
                page.paragraph(
                    (Ink::Plain, INDENT),
                    &place(found).add(Ink::Plain, &format!(": {}", found.message)),
                );
            }
            if let Some(more) = rule.count.checked_sub(MOST_FINDINGS as u64).filter(|more| *more > 0) {
                let more = format!("and {} more; --format json has all", count(more));
                page.paragraph((Ink::Plain, INDENT), &text(Ink::Faint, &more));
            }
            page.blank();
        }
    }
    summary(&mut page, result, first);
    page.finish()
}

fn summary(page: &mut Page, result: &ScanResult, first: Option<&str>) {
    let files = match result.images {
        0 => "no image files".to_owned(),
        images => counted(images, "image file", "image files"),
    };
    let of = format!(
        "{} with {} and {files}, {}",
        counted(result.samples, "label", "labels"),
        counted(result.boxes, "box", "boxes"),
        result.format
    );
    let line = match first {
        Some(_) => text(Ink::Plain, &of),
        None => Text::new().add(Ink::Good, "clean").add(Ink::Plain, &format!(": {of}")),
    };
    page.paragraph((Ink::Plain, ""), &line);
    let class = |class: &crate::scan::ClassCount| format!("{} {}", class.class, count(class.count));
    let mut classes: Vec<String> = result.classes.iter().take(MOST_CLASSES).map(class).collect();
    if let Some(more) = result.classes.len().checked_sub(MOST_CLASSES).filter(|more| *more > 0) {
        classes.push(format!("{more} more"));
    }
    if !classes.is_empty() {
        page.paragraph(
            (Ink::Plain, ""),
            &text(Ink::Faint, &format!("boxes of each class: {}", classes.join(", "))),
        );
    }
    if !result.unchecked.is_empty() {
        let unchecked =
            format!("not checked, since no image files were found: {}", result.unchecked.join(", "));
        page.paragraph((Ink::Plain, ""), &text(Ink::Faint, &unchecked));
    }
    if let Some(first) = first {
        let next = Text::new()
            .add(Ink::Help, "next")
            .add(Ink::Plain, &format!(": denan explain {first} (what this is, and how it is cured)"));
        page.paragraph((Ink::Plain, ""), &next);
    }
}
