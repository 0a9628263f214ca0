//! Tables as text, written anew record by record: what is not repaired stays as it is written.

use super::Job;
use super::audit::{Audit, Change};
use super::out::Out;
use super::repair::{Action, Cell, Fate, Repairs, TableRepair};
use super::rows::{ALL, OfFile};
use crate::listing::{DataFile, Format};
use crate::readers::{csv as table, json_lines, lines};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};

/// The check of what cannot be read: lines that are no JSON, rows with more fields than columns.
const UNREADABLE: &str = "unreadable-file";

/// Finds the rows that are left out.
pub(super) fn collect(file: &DataFile, repairs: &Repairs, drops: &mut OfFile<'_>) -> Result<(), String> {
    let Some(repair) = repairs.table(&file.group, "") else { return Ok(()) };
    let mut dropped = BTreeMap::new();
    if file.format == Format::JsonLines {
        let mut row = 0;
        each_line(file, &mut |line| {
            if let Some(check) = json_fate(repair, line, repairs.action(UNREADABLE)) {
                dropped.insert(row, check);
            }
            row += 1;
            Ok(())
        })?;
    } else {
        let mut own = Table::open(file, repair)?;
        let mut row = 0;
        let drops_uneven = repairs.action(UNREADABLE) == Action::Drop;
        while own.next()? {
            let is_uneven = drops_uneven && own.record.len() > own.names.len();
            let check = own.cells().find_map(|(_, fate, _)| fate.drops());
            if let Some(check) = check.or(is_uneven.then_some(UNREADABLE)) {
                dropped.insert(row, check);
            }
            row += 1;
        }
    }
    drops.add_all(ALL, dropped);
    Ok(())
}

/// Writes a file anew.
pub(super) fn write(job: Job<'_>, audit: &mut Audit) -> Result<(), String> {
    let Job { file, repairs, drops, to } = job;
    let Some(repair) = repairs.table(&file.group, "") else { return super::copy(&file.path, to) };
    let say = |error: std::io::Error| error.to_string();
    let mut out = Out::create(&file.path, to)?;
    let change = |row: u64, rule: &str, action: &str| Change::of_row(&file.path, row, rule, action);
    if file.format == Format::JsonLines {
        let mut row = 0;
        each_line(file, &mut |line| {
            match drops.of(ALL, row) {
                Some(check) => audit.tell(&change(row, check, "drop-row")),
                None => {
                    let mut line = json_repaired(repair, line, &mut |column, check, before, after| {
                        audit.tell(&Change {
                            column: Some(column.to_owned()),
                            before: Some(before),
                            after: Some(after),
                            ..change(row, check, "replace")
                        });
                    })?;
                    line.push(b'\n');
                    out.write_all(&line).map_err(say)?;
                }
            }
            row += 1;
            Ok(())
        })?;
        return out.end().map_err(say);
    }
    let mut own = Table::open(file, repair)?;
    out.write_all(&own.header).map_err(say)?;
    let mut row = 0;
    while own.next()? {
        if let Some(check) = drops.of(ALL, row) {
            audit.tell(&change(row, check, "drop-row"));
            row += 1;
            continue;
        }
        let mut record = csv::ByteRecord::new();
        for (column, fate, field) in own.cells() {
            let after = match fate {
                Fate::Set(after, check) => {
                    audit.tell(&Change {
                        column: own.names.get(column).cloned(),
                        before: Some(String::from_utf8_lossy(field).into_owned()),
                        after: Some(after.to_string()),
                        ..change(row, check, "replace")
                    });
                    Some(after)
                }
                _ => None,
            };
            let number = || table::number(field.trim_ascii());
            let normalised = own.repair_of(column).filter(|column| repair.is_normalised(*column));
            match (after, normalised) {
                (after, Some(column)) => match after.or_else(number) {
                    Some(value) => record.push_field(repair.normalised(column, value).to_string().as_bytes()),
                    None => record.push_field(field),
                },
                (Some(after), None) => record.push_field(after.to_string().as_bytes()),
                (None, None) => record.push_field(field),
            }
        }
        let line = line_of(&record, own.separator, own.header.ends_with(b"\r\n"))?;
        out.write_all(&line).map_err(say)?;
        row += 1;
    }
    out.end().map_err(say)
}

/// A table of fields, record by record.
struct Table<'a> {
    reader: csv::Reader<Box<dyn Read + Send>>,
    record: csv::ByteRecord,
    /// What stands before the first row, as it is written.
    header: Vec<u8>,
    names: Vec<String>,
    separator: u8,
    repair: &'a TableRepair,
    positions: Vec<Option<usize>>,
}

impl<'a> Table<'a> {
    fn open(file: &DataFile, repair: &'a TableRepair) -> Result<Self, String> {
        let head = table::head(&file.path, file.format)?;
        let mut from = lines::open(&file.path)?;
        let mut header = vec![0; head.begin];
        from.read_exact(&mut header).map_err(|error| error.to_string())?;
        let reader = csv::ReaderBuilder::new()
            .delimiter(head.separator)
            .has_headers(false)
            .flexible(true)
            .from_reader(from);
        let positions = head.names.iter().map(|name| repair.position(name)).collect();
        let record = csv::ByteRecord::new();
        Ok(Self { reader, record, header, names: head.names, separator: head.separator, repair, positions })
    }

    /// Reads the next row; fields that are not there are empty.
    fn next(&mut self) -> Result<bool, String> {
        let is_there = self.reader.read_byte_record(&mut self.record).map_err(|error| error.to_string())?;
        while is_there && self.record.len() < self.names.len() {
            self.record.push_field(b"");
        }
        Ok(is_there)
    }

    fn repair_of(&self, column: usize) -> Option<usize> {
        self.positions.get(column).copied().flatten()
    }

    /// Each field with what becomes of it.
    fn cells(&self) -> impl Iterator<Item = (usize, Fate, &[u8])> {
        self.record.iter().enumerate().map(|(column, field)| {
            let fate = self.repair_of(column).map_or(Fate::Keep, |own| {
                let cell = match table::cell(field) {
                    table::Field::Number(value) => Cell::Number(value),
                    table::Field::Nothing => Cell::Missing,
                    table::Field::Text => Cell::Text,
                };
                self.repair.fate(own, cell)
            });
            (column, fate, field)
        })
    }
}

/// A record as a line of its own.
fn line_of(record: &csv::ByteRecord, separator: u8, is_crlf: bool) -> Result<Vec<u8>, String> {
    let mut line = Vec::new();
    let end = if is_crlf { csv::Terminator::CRLF } else { csv::Terminator::Any(b'\n') };
    let mut writer =
        csv::WriterBuilder::new().delimiter(separator).terminator(end).flexible(true).from_writer(&mut line);
    writer.write_byte_record(record).map_err(|error| error.to_string())?;
    writer.flush().map_err(|error| error.to_string())?;
    drop(writer);
    Ok(line)
}

/// Each line that is not blank, without its end.
fn each_line(file: &DataFile, take: &mut dyn FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
    let mut from = BufReader::new(lines::open(&file.path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        // What never ends is not held.
        let read = (&mut from).take(lines::MOST_RECORD as u64).read_until(b'\n', &mut line);
        match read.map_err(|error| error.to_string())? {
            0 => return Ok(()),
            lines::MOST_RECORD.. => return Err("a line has more than 64 MiB".to_owned()),
            _ if line.trim_ascii().is_empty() => {}
            _ => take(line.trim_ascii())?,
        }
    }
}

/// The check by which a line is left out.
fn json_fate(repair: &TableRepair, line: &[u8], unreadable: Action) -> Option<&'static str> {
    let mut dropped = None;
    let mut seen = vec![false; repair.columns()];
    let read = json_lines::read(line, &mut |path, cell| {
        let Some(column) = repair.position(path) else { return };
        seen[column] = true;
        let cell = match cell {
            json_lines::Cell::Number(value) => Cell::Number(value),
            json_lines::Cell::Nothing => Cell::Missing,
            json_lines::Cell::Text(_) => Cell::Text,
        };
        match repair.fate(column, cell) {
            Fate::DropRow(check) => dropped = dropped.or(Some(check)),
            // What stands within another value is not written anew by itself.
            Fate::Set(_, check) if path.contains('.') => dropped = dropped.or(Some(check)),
            _ => {}
        }
    });
    if read.is_err() {
        return (unreadable == Action::Drop).then_some(UNREADABLE);
    }
    dropped.or_else(|| {
        absent(repair, &seen).find_map(|(path, fate)| match fate {
            Fate::DropRow(check) => Some(check),
            Fate::Set(_, check) if path.contains('.') => Some(check),
            _ => None,
        })
    })
}

/// Keys that a line lacks, and what becomes of that.
fn absent<'a>(repair: &'a TableRepair, seen: &'a [bool]) -> impl Iterator<Item = (&'a str, Fate)> {
    let names = repair.names().filter(move |(_, column)| !seen[*column]);
    names.map(move |(name, column)| (name, repair.fate(column, Cell::Missing)))
}

/// A line with the values of its own keys repaired and normalised, in their order.
fn json_repaired(
    repair: &TableRepair,
    line: &[u8],
    tell: &mut dyn FnMut(&str, &'static str, String, String),
) -> Result<Vec<u8>, String> {
    let mut changes: Vec<(String, f64)> = Vec::new();
    let mut seen = vec![false; repair.columns()];
    let read = json_lines::read(line, &mut |path, cell| {
        let Some(column) = repair.position(path) else { return };
        seen[column] = true;
        let (cell, before, number) = match cell {
            json_lines::Cell::Number(value) => (Cell::Number(value), value.to_string(), Some(value)),
            json_lines::Cell::Nothing => (Cell::Missing, "null".to_owned(), None),
            json_lines::Cell::Text(text) => (Cell::Text, text.to_owned(), None),
        };
        let after = match repair.fate(column, cell) {
            Fate::Set(after, check) => {
                tell(path, check, before, after.to_string());
                Some(after)
            }
            _ => None,
        };
        match after.or(number) {
            Some(value) if repair.is_normalised(column) => {
                changes.push((path.to_owned(), repair.normalised(column, value)));
            }
            _ => changes.extend(after.map(|after| (path.to_owned(), after))),
        }
    });
    if read.is_err() {
        return Ok(line.to_vec());
    }
    for (path, fate) in absent(repair, &seen) {
        if let Fate::Set(after, check) = fate {
            tell(path, check, String::new(), after.to_string());
            let column = repair.position(path).unwrap_or_default();
            changes.push((path.to_owned(), repair.normalised(column, after)));
        }
    }
    if changes.is_empty() {
        return Ok(line.to_vec());
    }
    json_lines::with(line, &changes)
}
