//! JSON lines: an object or an array of numbers in each line.

use super::lines::Chunks;
use super::{Piece, Reader, Values};
use crate::columns::{Gather, Rows, Schema, Shape, TableId};
use crate::labels::PythonJson;
use crate::listing::DataFile;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// More columns than these are no columns: the keys are data.
const MOST_COLUMNS: usize = 1 << 14;
/// Lines of a chunk that are no JSON, after which the others are not read.
const MOST_BAD: usize = 1000;
/// An object within an object within …
const MOST_DEEP: usize = 32;

/// Reads JSON lines; the first chunk says which columns there are.
pub(crate) struct JsonLines {
    chunks: Chunks,
    first: Option<Vec<u8>>,
    columns: Arc<Columns>,
}

/// Columns by the path of their keys: `pose.x`, `embedding.0`.
struct Columns {
    schema: Arc<Schema>,
    positions: HashMap<String, usize>,
}

impl JsonLines {
    pub(crate) fn open(path: &Path, file: &DataFile) -> Result<Self, String> {
        let mut chunks = Chunks::new(path, None)?;
        let first = chunks.next()?;
        let mut positions = HashMap::new();
        let mut names = Vec::new();
        for line in lines(first.as_deref().unwrap_or_default()) {
            // What cannot be read is told when the chunk is gone through.
            let _ = read(line, &mut |path, _| {
                if !positions.contains_key(path) && names.len() < MOST_COLUMNS {
                    positions.insert(path.to_owned(), names.len());
                    names.push(path.to_owned());
                }
            });
        }
        let schema =
            Schema { group: file.group.clone(), name: String::new(), columns: names, shape: Shape::Table };
        Ok(Self { chunks, first, columns: Arc::new(Columns { schema: Arc::new(schema), positions }) })
    }
}

fn lines(chunk: &[u8]) -> impl Iterator<Item = &[u8]> {
    chunk.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

impl Reader for JsonLines {
    fn next(&mut self) -> Result<Option<Piece>, String> {
        let (chunk, is_first) = match self.first.take() {
            Some(first) => (Some(first), true),
            None => (self.chunks.next()?, false),
        };
        let Some(chunk) = chunk else { return Ok(None) };
        let columns = self.columns.clone();
        Ok(Some(Box::new(move |to| {
            let id = to.table(&columns.schema, None);
            rows(to, id, &chunk, &columns);
            if is_first && chunk.trim_ascii().is_empty() {
                to.note("empty-array", "it has no rows");
            }
            Ok(())
        })))
    }
}

fn rows(to: &mut Gather<'_>, id: TableId, chunk: &[u8], columns: &Columns) {
    let count = columns.schema.columns.len();
    let mut values: Vec<(Vec<f64>, Vec<u32>)> = vec![(Vec::new(), Vec::new()); count];
    let mut row = 0u32;
    // Of each column the row after the last that has something: cells between are missing.
    let mut next = vec![0u32; count];
    let mut bad = Bad::default();
    for line in lines(chunk) {
        if bad.rows.len() == MOST_BAD {
            // It is something else than JSON lines.
            bad.count += 1;
            row += 1;
            continue;
        }
        let read = read(line, &mut |path, cell| {
            let Some(&column) = columns.positions.get(path) else { return };
            if matches!(cell, Cell::Nothing) {
                return;
            }
            bad.missing(to, id, column, next[column]..row);
            next[column] = row + 1;
            match cell {
                Cell::Number(value) => {
                    values[column].0.push(value);
                    values[column].1.push(row);
                }
                Cell::Text(text) => to.text(id, column, row.into(), text),
                Cell::Nothing => {}
            }
        });
        if let Err(error) = read {
            bad.count += 1;
            bad.rows.push(row);
            if bad.count == 1 {
                bad.why = error;
            }
        }
        row += 1;
    }
    // From there on nothing was read.
    let end = if bad.rows.len() == MOST_BAD { bad.rows[MOST_BAD - 1] } else { row };
    for (column, next) in next.into_iter().enumerate() {
        bad.missing(to, id, column, next..end);
    }
    for (column, (values, rows)) in values.iter().enumerate().filter(|(_, (values, _))| !values.is_empty()) {
        to.cells(id, column, Values::F64(values), Rows::Listed(0, rows));
    }
    to.rows(id, row.into());
    if bad.count > 0 {
        to.note("unreadable-file", format!("{} lines are no JSON: {}", bad.count, bad.why));
    }
}

/// Lines of a chunk that are no JSON; nothing is missing in them.
#[derive(Default)]
struct Bad {
    count: u64,
    why: String,
    /// Their rows.
    rows: Vec<u32>,
}

impl Bad {
    /// Tells of the rows in which a column has nothing.
    fn missing(&self, to: &mut Gather<'_>, id: TableId, column: usize, rows: Range<u32>) {
        let first = self.rows.partition_point(|row| *row < rows.start);
        let mut start = rows.start;
        for bad in self.rows[first..].iter().copied().take_while(|row| *row < rows.end) {
            to.missing_rows(id, column, start.into()..bad.into());
            start = bad + 1;
        }
        to.missing_rows(id, column, start.into()..rows.end.into());
    }
}

/// What stands under a key.
pub(crate) enum Cell<'a> {
    Number(f64),
    Text(&'a str),
    Nothing,
}

/// Reads a line as Python's `json` writes it, and gives what stands at each path.
pub(crate) fn read(line: &[u8], tell: &mut dyn FnMut(&str, Cell<'_>)) -> Result<(), String> {
    let needs_quotes = memchr::memchr2(b'N', b'I', line).is_some();
    let mut walk = Walk { path: String::new(), deep: 0, tell };
    if needs_quotes {
        let reader = std::io::BufReader::new(PythonJson::new(line));
        let mut json = serde_json::Deserializer::from_reader(reader);
        walk.deserialize(&mut json).and_then(|()| json.end()).map_err(|error| error.to_string())
    } else {
        let mut json = serde_json::Deserializer::from_slice(line);
        walk.deserialize(&mut json).and_then(|()| json.end()).map_err(|error| error.to_string())
    }
}

/// A line with other values under some of its own keys, everything else as it is written; keys that it lacks come last.
pub(crate) fn with(line: &[u8], changes: &[(String, f64)]) -> Result<Vec<u8>, String> {
    struct Entries(Vec<(String, Box<RawValue>)>);
    impl<'de> serde::Deserialize<'de> for Entries {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            struct InOrder;
            impl<'de> Visitor<'de> for InOrder {
                type Value = Entries;
                fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                    to.write_str("an object")
                }
                fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                    let mut entries = Vec::new();
                    while let Some(entry) = map.next_entry()? {
                        entries.push(entry);
                    }
                    Ok(Entries(entries))
                }
            }
            from.deserialize_map(InOrder)
        }
    }
    let mut plain = String::new();
    std::io::Read::read_to_string(&mut PythonJson::new(line), &mut plain)
        .map_err(|error| error.to_string())?;
    let Entries(entries) = serde_json::from_str(&plain).map_err(|error| error.to_string())?;
    let mut text = String::from("{");
    for (number, (key, value)) in entries.iter().enumerate() {
        if number > 0 {
            text.push_str(", ");
        }
        let key_text = serde_json::to_string(key).map_err(|error| error.to_string())?;
        let changed = changes.iter().find(|(path, _)| path == key);
        // What is neither finite nor repaired stays as Python writes it.
        let value = match (changed, value.get()) {
            (Some((_, value)), _) => value.to_string(),
            (None, "\"NaN\"") => "NaN".to_owned(),
            (None, "\"Infinity\"") => "Infinity".to_owned(),
            (None, "\"-Infinity\"") => "-Infinity".to_owned(),
            (None, other) => other.to_owned(),
        };
        text.push_str(&format!("{key_text}: {value}"));
    }
    for (key, value) in changes.iter().filter(|(path, _)| entries.iter().all(|(key, _)| key != path)) {
        let comma = if text.len() > 1 { ", " } else { "" };
        let key = serde_json::to_string(key).map_err(|error| error.to_string())?;
        text.push_str(&format!("{comma}{key}: {value}"));
    }
    text.push('}');
    Ok(text.into_bytes())
}

/// Goes through a value and all values in it.
struct Walk<'a> {
    path: String,
    deep: usize,
    tell: &'a mut dyn FnMut(&str, Cell<'_>),
}

impl Walk<'_> {
    fn within<E: Error>(
        &mut self,
        key: &str,
        step: impl FnOnce(&mut Walk<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.deep == MOST_DEEP {
            return Err(E::custom(format!("it is nested more than {MOST_DEEP} deep")));
        }
        let before = self.path.len();
        if before > 0 {
            self.path.push('.');
        }
        self.path.push_str(key);
        self.deep += 1;
        let done = step(self);
        self.deep -= 1;
        self.path.truncate(before);
        done
    }

    fn number(&mut self, value: f64) {
        (self.tell)(&self.path, Cell::Number(value));
    }
}

impl<'de> DeserializeSeed<'de> for &mut Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Walk<'_> {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.number(f64::from(u8::from(value)));
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.number(value as f64);
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.number(value as f64);
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.number(value);
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        let number = match value {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        };
        (self.tell)(&self.path, number.map_or(Cell::Text(value), Cell::Number));
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        (self.tell)(&self.path, Cell::Nothing);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let mut number = 0usize;
        loop {
            let mut is_there = true;
            let key = number.to_string();
            self.within(&key, |walk| {
                is_there = items.next_element_seed(walk)?.is_some();
                Ok(())
            })?;
            if !is_there {
                return Ok(());
            }
            number += 1;
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        while let Some(key) = entries.next_key::<std::borrow::Cow<'_, str>>()? {
            self.within(&key, |walk| entries.next_value_seed(walk))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_by_their_path() {
        let mut told = Vec::new();
        let line =
            br#"{"x": 1, "pose": {"y": [2.5, NaN]}, "name": "a", "z": null, "ok": true, "w": -Infinity}"#;
        read(line, &mut |path, cell| {
            told.push(match cell {
                Cell::Number(value) => format!("{path}={value}"),
                Cell::Text(text) => format!("{path}={text:?}"),
                Cell::Nothing => format!("{path}="),
            });
        })
        .unwrap();
        assert_eq!(told, ["x=1", "pose.y.0=2.5", "pose.y.1=NaN", "name=\"a\"", "z=", "ok=1", "w=-inf"]);
        assert!(read(b"{\"x\": ", &mut |_, _| {}).is_err());
        let deep = "[".repeat(200);
        assert!(read(deep.as_bytes(), &mut |_, _| {}).is_err());
    }
}
