//! Tables as text: comma-separated values and their kin.

use super::lines::Chunks;
use super::{Piece, Reader, Values};
use crate::columns::{Gather, Rows, Schema, Shape, TableId};
use crate::listing::{DataFile, Format};
use std::path::Path;
use std::sync::Arc;

/// What stands for nothing, besides nothing: what pandas takes for it.
const NOTHING: [&[u8]; 10] =
    [b"NA", b"N/A", b"n/a", b"null", b"NULL", b"None", b"#N/A", b"<NA>", b"#NA", b"#N/A N/A"];
/// More columns than these are a file of another kind.
const MOST_COLUMNS: usize = 1 << 16;

/// Reads a table, chunk by chunk.
pub(crate) struct Csv {
    chunks: Chunks,
    /// The first chunk, which the names of the columns were taken from.
    first: Option<Vec<u8>>,
    schema: Arc<Schema>,
    separator: u8,
}

/// How a table begins.
pub(crate) struct Head {
    pub(crate) names: Vec<String>,
    /// Between fields.
    pub(crate) separator: u8,
    /// Where the first row begins.
    pub(crate) begin: usize,
}

impl Head {
    /// By the first chunk of a file. `separator`: between fields; of `.csv` files a semicolon or tab as well, where the
    /// first line has more of them.
    fn of(first: &[u8], separator: u8) -> Result<Self, String> {
        if first.starts_with(&[0xff, 0xfe]) || first.starts_with(&[0xfe, 0xff]) {
            return Err("it is UTF-16; save it as UTF-8".to_owned());
        }
        let mark = if first.starts_with(&[0xef, 0xbb, 0xbf]) { 3 } else { 0 };
        let text = &first[mark..];
        let line = &text[..memchr::memchr(b'\n', text).unwrap_or(text.len())];
        let count = |separator: u8| memchr::memchr_iter(separator, line).count();
        let separator = match separator {
            b',' => [b',', b';', b'\t'].into_iter().rev().max_by_key(|one| count(*one)).unwrap_or(b','),
            separator => separator,
        };
        let (names, end) = names(text, separator)?;
        Ok(Self { names, separator, begin: mark + end })
    }
}

/// How a table in a file begins.
pub(crate) fn head(path: &Path, format: Format) -> Result<Head, String> {
    let separator = if format == Format::Tsv { b'\t' } else { b',' };
    let first = Chunks::new(path, Some(separator))?.next()?.unwrap_or_default();
    Head::of(&first, separator)
}

impl Csv {
    pub(crate) fn open(path: &Path, file: &DataFile, separator: u8) -> Result<Self, String> {
        let mut chunks = Chunks::new(path, Some(separator))?;
        let mut first = chunks.next()?.unwrap_or_default();
        let Head { names, separator, begin } = Head::of(&first, separator)?;
        first.drain(..begin);
        let schema =
            Schema { group: file.group.clone(), name: String::new(), columns: names, shape: Shape::Table };
        let chunks = chunks.of_fields(separator);
        Ok(Self { chunks, first: Some(first), schema: Arc::new(schema), separator })
    }
}

impl Reader for Csv {
    fn next(&mut self) -> Result<Option<Piece>, String> {
        let (mut chunk, is_first) = match self.first.take() {
            Some(first) => (Some(first), true),
            None => (self.chunks.next()?, false),
        };
        if is_first && chunk.as_ref().is_some_and(Vec::is_empty) {
            // All of it were the names.
            chunk = Some(self.chunks.next()?.unwrap_or_default());
        }
        let Some(chunk) = chunk else { return Ok(None) };
        let (schema, separator) = (self.schema.clone(), self.separator);
        Ok(Some(Box::new(move |to| {
            let layout = format!("text ({} columns)", schema.columns.len());
            let id = to.table(&schema, Some(layout));
            rows(to, id, &chunk, separator, schema.columns.len());
            if is_first && chunk.trim_ascii().is_empty() {
                to.note("empty-array", "it has no rows");
            }
            Ok(())
        })))
    }
}

/// The names of the columns, and where the rows begin: behind the first record, unless all of that are numbers.
fn names(chunk: &[u8], separator: u8) -> Result<(Vec<String>, usize), String> {
    let mut reader = reader(chunk, separator);
    let mut record = csv::ByteRecord::new();
    reader.read_byte_record(&mut record).map_err(|error| error.to_string())?;
    if record.len() > MOST_COLUMNS {
        return Err(format!("its first line has {} fields", record.len()));
    }
    let is_name = |field: &[u8]| number(field.trim_ascii()).is_none();
    if record.iter().any(is_name) {
        let mut names: Vec<String> =
            record.iter().map(|field| String::from_utf8_lossy(field.trim_ascii()).into_owned()).collect();
        for (number, name) in names.iter_mut().enumerate().filter(|(_, name)| name.is_empty()) {
            *name = number.to_string();
        }
        let end = reader.position().byte() as usize;
        // A line may end in two characters, the second of which is not read yet.
        let is_within = end > 0 && chunk[end - 1] == b'\r' && chunk.get(end) == Some(&b'\n');
        return Ok((names, end + usize::from(is_within)));
    }
    Ok(((0..record.len()).map(|number| number.to_string()).collect(), 0))
}

fn reader(chunk: &[u8], separator: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new().delimiter(separator).has_headers(false).flexible(true).from_reader(chunk)
}

/// Numbers of a column until they are handed on.
#[derive(Default)]
struct Numbers {
    values: Vec<f64>,
    rows: Vec<u32>,
    /// The row after the last that has something: cells between are missing, however many, which short rows of many columns
    /// cost nothing for.
    next: u32,
}

/// Goes through the rows of a chunk.
fn rows(to: &mut Gather<'_>, id: TableId, chunk: &[u8], separator: u8, columns: usize) {
    let mut numbers: Vec<Numbers> = (0..columns).map(|_| Numbers::default()).collect();
    let mut row = 0u32;
    let mut uneven = (0u64, String::new());
    {
        let mut field = |column: usize, row: u32, field: &[u8]| {
            if let Some(own) = numbers.get_mut(column) {
                let field = field.trim_ascii();
                match number(field) {
                    Some(value) => {
                        own.values.push(value);
                        own.rows.push(row);
                    }
                    None if field.is_empty() || NOTHING.contains(&field) => return,
                    None => to.text(id, column, row.into(), &String::from_utf8_lossy(field)),
                }
                to.missing_rows(id, column, own.next.into()..row.into());
                own.next = row + 1;
            }
        };
        let mut ended = |row: u32, fields: usize| {
            if fields != columns {
                uneven.0 += 1;
                if uneven.0 == 1 {
                    uneven.1 = format!("row {row} of a chunk has {fields} fields of {columns}");
                }
            }
        };
        if memchr::memchr(b'"', chunk).is_none() {
            for line in chunk.split(|byte| *byte == b'\n') {
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if line.is_empty() {
                    continue;
                }
                let mut fields = 0;
                for text in line.split(|byte| *byte == separator) {
                    field(fields, row, text);
                    fields += 1;
                }
                ended(row, fields);
                row += 1;
            }
        } else {
            let mut reader = reader(chunk, separator);
            let mut record = csv::ByteRecord::new();
            while matches!(reader.read_byte_record(&mut record), Ok(true)) {
                record.iter().enumerate().for_each(|(column, text)| field(column, row, text));
                ended(row, record.len());
                row += 1;
            }
        }
    }
    for (column, own) in numbers.iter().enumerate() {
        to.missing_rows(id, column, own.next.into()..row.into());
        if own.values.is_empty() {
            continue;
        }
        let is_whole = own.rows.len() == row as usize;
        let rows = if is_whole { Rows::From(0) } else { Rows::Listed(0, &own.rows) };
        to.cells(id, column, Values::F64(&own.values), rows);
    }
    to.rows(id, row.into());
    if uneven.0 > 0 {
        to.note("unreadable-file", format!("{} rows have another number of fields; {}", uneven.0, uneven.1));
    }
}

/// What stands in a field.
pub(crate) enum Field {
    Number(f64),
    Nothing,
    Text,
}

/// What stands in a field, as data frames read it.
pub(crate) fn cell(field: &[u8]) -> Field {
    let field = field.trim_ascii();
    match number(field) {
        Some(value) => Field::Number(value),
        None if field.is_empty() || NOTHING.contains(&field) => Field::Nothing,
        None => Field::Text,
    }
}

/// The number that a field holds.
pub(crate) fn number(field: &[u8]) -> Option<f64> {
    match field.first()? {
        b'0'..=b'9' | b'-' | b'+' | b'.' | b'n' | b'N' | b'i' | b'I' => fast_float2::parse(field).ok(),
        b't' | b'T' if field.eq_ignore_ascii_case(b"true") => Some(1.0),
        b'f' | b'F' if field.eq_ignore_ascii_case(b"false") => Some(0.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_numbers_as_data_frames_read_them() {
        for (field, value) in
            [("1", 1.0), ("-2.5e3", -2500.0), ("+4", 4.0), (".5", 0.5), ("inf", f64::INFINITY), ("True", 1.0)]
        {
            assert_eq!(number(field.as_bytes()), Some(value), "{field}");
        }
        assert!(number(b"NaN").is_some_and(f64::is_nan) && number(b"nan").is_some_and(f64::is_nan));
        for field in ["", "NA", "1,5", "12 kg", "#DIV/0!", "none"] {
            assert_eq!(number(field.as_bytes()), None, "{field}");
        }
    }

    #[test]
    fn a_first_line_of_numbers_is_a_row() {
        assert_eq!(names(b"a, b\n1,2\n", b',').unwrap(), (vec!["a".to_owned(), "b".to_owned()], 5));
        assert_eq!(names(b"1,2\n3,4\n", b',').unwrap(), (vec!["0".to_owned(), "1".to_owned()], 0));
    }
}
