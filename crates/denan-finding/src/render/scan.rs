//! What is wrong with a data set: for people by check, as a line each, as JSON.

use super::page::{Ink, Page, Text, text};
use super::{Format, json};
use crate::number::{count, counted, float};
use crate::scan::{ColumnFigures, Normalization, ScanFinding, ScanResult, Severity, TableFigures};
use std::io::{self, Write};
use unicode_width::UnicodeWidthStr;

/// What hangs below a heading starts in this column.
const INDENT: &str = "    ";
/// Findings of a check that are told one by one.
const MOST_FINDINGS: usize = 8;
/// Classes that are named.
const MOST_CLASSES: usize = 8;
/// Tables whose columns are told.
const MOST_TABLES: usize = 12;
/// Columns that are told one by one, and letters of their names.
const MOST_COLUMNS: usize = 16;
const MOST_NAME: usize = 24;
/// Operations that would fail, which are told, …
const MOST_VERDICTS: usize = 8;
/// … each for no more than this share of the values.
const MOST_FAILING: f64 = 0.05;

/// The result as text. `color` and `width` are those of the terminal.
pub fn render_scan(result: &ScanResult, format: Format, color: bool, width: usize) -> String {
    match format {
        Format::Full => full(result, color, width),
        Format::Concise => concise(result, color),
        Format::Json => json::document("denan/scan/v1", result),
    }
}

/// Writes the result as the document `denan/scan/v1`, without all of it in memory.
///
/// # Errors
///
/// What the writer says.
pub fn write_scan(result: &ScanResult, to: &mut dyn Write) -> io::Result<()> {
    json::write_document("denan/scan/v1", result, to)
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
    let mut words = String::new();
    if let Some(table) = &found.table {
        words.push_str(&format!(" {table}"));
    }
    // Labels have a file of their own each.
    if let (Some(row), None) = (found.index, found.labelled_box) {
        let last = found.rows.map(|rows| format!(" to {}", row + rows - 1));
        words.push_str(&format!(
            " {} {row}{}",
            if last.is_some() { "rows" } else { "row" },
            last.unwrap_or_default()
        ));
    }
    for (kind, name) in [("column", &found.column), ("channel", &found.channel)] {
        if let Some(name) = name {
            words.push_str(&format!(" {kind} {name}"));
        }
    }
    if let Some(number) = found.labelled_box {
        let class = found.class.as_ref().map(|class| format!(" ({class})")).unwrap_or_default();
        words.push_str(&format!(" box {number}{class}"));
    }
    Text::new().add_whole(Ink::Plain, &found.file).add(Ink::Plain, &words)
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
            let own: Vec<&ScanFinding> =
                result.findings.iter().filter(|found| found.rule == rule.rule).collect();
            for found in own.iter().take(MOST_FINDINGS) {
                page.paragraph(
                    (Ink::Plain, INDENT),
                    &place(found).add(Ink::Plain, &format!(": {}", found.message)),
                );
            }
            if own.len() > MOST_FINDINGS {
                // A finding may be of several values.
                let more = match own.len() as u64 == rule.count {
                    true => format!("and {} more", count(rule.count - MOST_FINDINGS as u64)),
                    false => "and more".to_owned(),
                };
                page.paragraph(
                    (Ink::Plain, INDENT),
                    &text(Ink::Faint, &format!("{more}; --format json lists all")),
                );
            }
            page.blank();
        }
    }
    for table in result.tables.iter().take(MOST_TABLES) {
        figures(&mut page, result, table);
    }
    if let Some(more) = result.tables.len().checked_sub(MOST_TABLES).filter(|more| *more > 0) {
        let more = format!("and {} more; --format json has all", counted(more as u64, "table", "tables"));
        page.paragraph((Ink::Plain, ""), &text(Ink::Faint, &more));
        page.blank();
    }
    summary(&mut page, result, first);
    page.finish()
}

/// The columns of a table, what would fail in them, and with what they are normalised.
fn figures(page: &mut Page, result: &ScanResult, table: &TableFigures) {
    let columns: Vec<&ColumnFigures> =
        result.columns.iter().filter(|column| column.table == table.name).collect();
    if columns.is_empty() {
        return;
    }
    let files = if table.files > 1 {
        format!(" in {}", counted(table.files, "file", "files"))
    } else {
        String::new()
    };
    let unit = if table.full_scale.is_some() { ("image", "images") } else { ("row", "rows") };
    let kind = if table.has_channels { ("channel", "channels") } else { ("column", "columns") };
    let title = format!(
        ": {}, {}{files}",
        counted(table.rows, unit.0, unit.1),
        counted(columns.len() as u64, kind.0, kind.1)
    );
    page.paragraph((Ink::Plain, ""), &Text::new().add(Ink::Bold, &table.name).add(Ink::Plain, &title));
    let mut lines = vec![["", "mean", "std", "min", "~median", "max"].map(str::to_owned)];
    for column in columns.iter().take(MOST_COLUMNS) {
        let median = column.quantiles.get("0.5").copied();
        let numbers = [Some(column.mean), Some(column.std), Some(column.min), median, Some(column.max)];
        let mut line = [const { String::new() }; 6];
        line[0] = shortened(&column.name, MOST_NAME);
        for (cell, number) in line[1..].iter_mut().zip(numbers) {
            *cell = number.map_or_else(|| "-".to_owned(), float);
        }
        lines.push(line);
    }
    let widths: [usize; 6] =
        std::array::from_fn(|cell| lines.iter().map(|line| line[cell].width()).max().unwrap_or(0));
    for (number, line) in lines.iter().enumerate() {
        let mut text = format!("{INDENT}{}{}", line[0], " ".repeat(widths[0] - line[0].width()));
        for (cell, width) in line[1..].iter().zip(&widths[1..]) {
            text.push_str(&format!("{}{cell}", " ".repeat(2 + width - cell.width())));
        }
        page.line(&[(if number == 0 { Ink::Faint } else { Ink::Plain }, &text)]);
    }
    if let Some(more) = columns.len().checked_sub(MOST_COLUMNS).filter(|more| *more > 0) {
        let more = format!("and {} more; --format json has all", counted(more as u64, kind.0, kind.1));
        page.paragraph((Ink::Plain, INDENT), &text(Ink::Faint, &more));
    }
    // Dark pixels are no fault.
    if table.full_scale.is_none() {
        verdicts(page, result, &columns, kind.0);
    }
    normalization(page, table);
    page.blank();
}

/// What some operations would make of a few values.
fn verdicts(page: &mut Page, result: &ScanResult, columns: &[&ColumnFigures], kind: &str) {
    let of = |column: &ColumnFigures| match columns {
        [_] => column.table.clone(),
        _ => format!("{kind} {}", column.name),
    };
    let mut lines: Vec<String> = columns.iter().flat_map(|column| failing(column, &of(column))).collect();
    if lines.is_empty() {
        return;
    }
    let more = lines.len().saturating_sub(MOST_VERDICTS);
    lines.truncate(MOST_VERDICTS);
    if more > 0 {
        lines.push(format!("{more} more"));
    }
    let line = Text::new()
        .add(Ink::Faint, &format!("would fail in {}: ", result.dtype))
        .add(Ink::Plain, &lines.join("; "))
        .add(Ink::Faint, " (--op lists them)");
    page.hanging((Ink::Plain, INDENT), INDENT.len() + 2, &line);
}

/// `log of column 3 is -inf for 214 values`, of each operation that fails for a few of a column's values.
fn failing(column: &ColumnFigures, name: &str) -> Vec<String> {
    let finite = column.count - column.nan - column.posinf - column.neginf;
    let is_of_shares = column.min >= 0.0 && column.max <= 1.0;
    // Where many values fail the operation is not meant, and a logit is of shares only.
    let is_told = |operation: &str, failing: u64| {
        failing > 0
            && failing as f64 <= MOST_FAILING * finite as f64
            && (operation != "logit" || is_of_shares)
    };
    let failing = column.operations.iter().filter(|(operation, failing)| is_told(operation, **failing));
    failing
        .map(|(operation, failing)| {
            let what = match *operation {
                "log" if column.min >= 0.0 => "-inf",
                "sqrt" => "NaN",
                "1/x" | "exp" | "square" => "inf",
                _ => "not finite",
            };
            format!("{operation} of {name} is {what} for {}", counted(*failing, "value", "values"))
        })
        .collect()
}

/// The lines of code that normalise with these figures.
fn normalization(page: &mut Page, table: &TableFigures) {
    let Normalization { mean, std } = &table.normalization;
    if mean.is_empty() || mean.len() > MOST_COLUMNS {
        return;
    }
    let list = |numbers: &[f64]| {
        let numbers: Vec<String> = numbers.iter().map(|number| digits(*number)).collect();
        format!("[{}]", numbers.join(", "))
    };
    let (mean, std) = (list(mean), list(std));
    let lines = if table.full_scale.is_some() {
        [
            ("torchvision", format!("transforms.Normalize({mean}, {std})")),
            (
                "burn",
                format!(
                    "(x - Tensor::<1>::from_floats({mean}, &device).reshape([1, -1, 1, 1])) / Tensor::<1>::from_floats({std}, &device).reshape([1, -1, 1, 1])"
                ),
            ),
        ]
    } else if table.has_channels {
        [
            (
                "torch",
                format!("(x - torch.tensor({mean}).view(-1, 1, 1)) / torch.tensor({std}).view(-1, 1, 1)"),
            ),
            (
                "burn",
                format!(
                    "(x - Tensor::<1>::from_floats({mean}, &device).reshape([1, -1, 1, 1])) / Tensor::<1>::from_floats({std}, &device).reshape([1, -1, 1, 1])"
                ),
            ),
        ]
    } else {
        [
            ("torch", format!("(x - torch.tensor({mean})) / torch.tensor({std})")),
            (
                "burn",
                format!(
                    "(x - Tensor::<1>::from_floats({mean}, &device).unsqueeze()) / Tensor::<1>::from_floats({std}, &device).unsqueeze()"
                ),
            ),
        ]
    };
    for (engine, code) in lines {
        let line = Text::new().add(Ink::Faint, &format!("normalise, {engine}: ")).add(Ink::Plain, &code);
        page.hanging((Ink::Plain, INDENT), INDENT.len() + 2, &line);
    }
}

/// A number with six significant digits, as code has it.
fn digits(number: f64) -> String {
    if number == 0.0 {
        return "0.0".to_owned();
    }
    let rounded: f64 = format!("{number:.5e}").parse().unwrap_or(number);
    format!("{rounded:?}")
}

fn shortened(name: &str, most: usize) -> String {
    if name.width() <= most {
        return name.to_owned();
    }
    let mut short = String::new();
    for character in name.chars() {
        if short.width() + 2 > most {
            break;
        }
        short.push(character);
    }
    short + "…"
}

fn summary(page: &mut Page, result: &ScanResult, first: Option<&str>) {
    let mut of = Vec::new();
    if result.boxes > 0 || !result.classes.is_empty() {
        of.push(format!(
            "{} with {}",
            counted(result.samples, "label", "labels"),
            counted(result.boxes, "box", "boxes")
        ));
    } else {
        of.push(counted(result.samples, "sample", "samples"));
    }
    of.push(match result.images {
        0 => "no image files".to_owned(),
        images => counted(images, "image file", "image files"),
    });
    if result.images == 0 && result.unchecked.is_empty() {
        of.pop();
    }
    let of = format!("{}, {}", of.join(" and "), result.format);
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
    if let [first, more @ ..] = &result.unread[..] {
        let more = if more.is_empty() { String::new() } else { format!(", and {} more", more.len()) };
        page.paragraph((Ink::Plain, ""), &text(Ink::Faint, &format!("not read: {first}{more}")));
    }
    if let Some(first) = first {
        let next = Text::new()
            .add(Ink::Help, "next")
            .add(Ink::Plain, &format!(": denan explain {first} (what this is, and how it is cured)"));
        page.paragraph((Ink::Plain, ""), &next);
    }
}
