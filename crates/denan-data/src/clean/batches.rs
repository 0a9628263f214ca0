//! Parquet and Arrow files, written anew batch by batch.

use super::audit::{Audit, Change};
use super::repair::{Cell, Fate, Repairs, TableRepair};
use super::rows::{ALL, OfFile};
use super::{Job, create};
use crate::columns::Rows;
use crate::listing::{DataFile, Format};
use crate::readers::{Values, arrow, batch};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type,
    UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, FixedSizeListArray, Float64Array, GenericListArray, OffsetSizeTrait,
    PrimitiveArray, RecordBatch, StructArray,
};
use arrow_ipc::writer::{FileWriter, StreamWriter};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema, SchemaRef};
use arrow_select::filter::filter_record_batch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::Arc;

/// Batches of a file.
struct Batches {
    schema: SchemaRef,
    batches: Box<dyn Iterator<Item = Result<RecordBatch, String>>>,
    /// Of Parquet.
    properties: Option<WriterProperties>,
    is_stream: bool,
}

fn open(file: &DataFile) -> Result<Batches, String> {
    if file.format == Format::Arrow {
        let (schema, batches, is_stream) = arrow::batches(&file.path)?;
        return Ok(Batches { schema, batches, properties: None, is_stream });
    }
    let open = File::open(&file.path).map_err(|error| error.to_string())?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(open).map_err(|error| error.to_string())?;
    let metadata = builder.metadata();
    let compression =
        metadata.row_groups().first().and_then(|group| Some(group.columns().first()?.compression()));
    let rows = metadata.row_groups().iter().map(|group| group.num_rows()).max().unwrap_or(0);
    let properties = WriterProperties::builder()
        .set_compression(compression.unwrap_or(parquet::basic::Compression::SNAPPY))
        .set_max_row_group_row_count(usize::try_from(rows).ok().filter(|rows| *rows > 0))
        .build();
    let schema = builder.schema().clone();
    let batches = builder.build().map_err(|error| error.to_string())?;
    let batches = Box::new(batches.map(|batch| batch.map_err(|error| error.to_string())));
    Ok(Batches { schema, batches, properties: Some(properties), is_stream: false })
}

/// Finds the rows that are left out.
pub(super) fn collect(file: &DataFile, repairs: &Repairs, drops: &mut OfFile<'_>) -> Result<(), String> {
    let Some(repair) = repairs.table(&file.group, "") else { return Ok(()) };
    let Batches { schema, batches, .. } = open(file)?;
    let (columns, _) = batch::schema(schema.fields(), file);
    let kinds = batch::kinds(schema.fields());
    let about = |(name, kind): (&String, &DataType)| {
        let is_of_file = schema.field_with_name(name).is_ok_and(|field| field.data_type() == kind);
        Some(Place { column: repair.position(name)?, is_written: is_written(kind), is_of_file })
    };
    let columns = columns.columns.iter().zip(&kinds).map(about).collect();
    let mut wrong = Wrong { repair, columns, dropped: BTreeMap::new() };
    let mut before = 0;
    for batch in batches {
        let batch = batch?;
        batch::hand_over(&mut wrong, &batch, before);
        before += batch.num_rows() as u64;
    }
    drops.add_all(ALL, wrong.dropped);
    Ok(())
}

/// Takes in the rows that are left out.
struct Wrong<'a> {
    repair: &'a TableRepair,
    columns: Vec<Option<Place>>,
    dropped: BTreeMap<u64, &'static str>,
}

/// What a column is.
#[derive(Clone, Copy)]
struct Place {
    /// Its position among the repaired ones.
    column: usize,
    /// Whether its values can be replaced.
    is_written: bool,
    /// Whether it is one of the file, and not the field of a structure or the item of a list.
    is_of_file: bool,
}

impl Wrong<'_> {
    fn look(&mut self, column: usize, row: u64, cell: Cell) {
        let Some(Place { column, is_written, is_of_file }) = self.columns[column] else { return };
        // Of a list or structure that is null there is no value that could be replaced.
        let is_written = is_written && (is_of_file || !matches!(cell, Cell::Missing));
        let check = match self.repair.fate(column, cell) {
            Fate::Set(_, check) if !is_written => Some(check),
            fate => fate.drops(),
        };
        if let Some(check) = check {
            self.dropped.entry(row).or_insert(check);
        }
    }
}

impl batch::Sink for Wrong<'_> {
    fn cells(&mut self, column: usize, values: Values<'_>, rows: Rows<'_>) {
        values.each(|position, value| self.look(column, rows.of(position), Cell::Number(value)));
    }

    fn missing(&mut self, column: usize, row: u64) {
        self.look(column, row, Cell::Missing);
    }
}

/// Whether the numbers of a column of this type are written anew.
fn is_written(kind: &DataType) -> bool {
    kind.is_integer() || kind.is_floating()
}

/// The numbers of a column; nothing of another kind.
fn numbers(array: &ArrayRef) -> Option<Vec<Option<f64>>> {
    macro_rules! of {
        ($type:ty, $to:expr) => {
            array.as_primitive::<$type>().iter().map(|value| value.map($to)).collect()
        };
    }
    Some(match array.data_type() {
        DataType::Float16 => of!(Float16Type, half::f16::to_f64),
        DataType::Float32 => of!(Float32Type, f64::from),
        DataType::Float64 => of!(Float64Type, |value| value),
        DataType::Int8 => of!(Int8Type, f64::from),
        DataType::Int16 => of!(Int16Type, f64::from),
        DataType::Int32 => of!(Int32Type, f64::from),
        DataType::Int64 => of!(Int64Type, |value| value as f64),
        DataType::UInt8 => of!(UInt8Type, f64::from),
        DataType::UInt16 => of!(UInt16Type, f64::from),
        DataType::UInt32 => of!(UInt32Type, f64::from),
        DataType::UInt64 => of!(UInt64Type, |value| value as f64),
        _ => return None,
    })
}

/// A column of this type with these numbers.
fn array_of(kind: &DataType, numbers: Vec<Option<f64>>) -> ArrayRef {
    macro_rules! of {
        ($type:ty, $from:expr) => {
            Arc::new(numbers.into_iter().map(|value| value.map($from)).collect::<PrimitiveArray<$type>>())
        };
    }
    match kind {
        DataType::Float16 => of!(Float16Type, half::f16::from_f64),
        DataType::Float32 => of!(Float32Type, |value| value as f32),
        DataType::Int8 => of!(Int8Type, |value| value.round() as i8),
        DataType::Int16 => of!(Int16Type, |value| value.round() as i16),
        DataType::Int32 => of!(Int32Type, |value| value.round() as i32),
        DataType::Int64 => of!(Int64Type, |value| value.round() as i64),
        DataType::UInt8 => of!(UInt8Type, |value| value.round() as u8),
        DataType::UInt16 => of!(UInt16Type, |value| value.round() as u16),
        DataType::UInt32 => of!(UInt32Type, |value| value.round() as u32),
        DataType::UInt64 => of!(UInt64Type, |value| value.round() as u64),
        _ => Arc::new(numbers.into_iter().collect::<Float64Array>()),
    }
}

/// Where batches are written.
enum Out {
    None,
    Parquet(Box<ArrowWriter<std::io::BufWriter<File>>>),
    File(FileWriter<std::io::BufWriter<File>>),
    Stream(StreamWriter<std::io::BufWriter<File>>),
}

/// Writes a file anew.
pub(super) fn write(job: Job<'_>, audit: &mut Audit) -> Result<(), String> {
    let Job { file, repairs, drops, to } = job;
    let Some(repair) = repairs.table(&file.group, "") else { return super::copy(&file.path, to) };
    let Batches { schema, batches, properties, is_stream } = open(file)?;
    let schema = becomes(&schema, repair);
    let say = |error: arrow_schema::ArrowError| error.to_string();
    let mut out = match (to, properties) {
        (None, _) => Out::None,
        (Some(to), Some(properties)) => {
            let writer = ArrowWriter::try_new(create(to)?, schema.clone(), Some(properties));
            Out::Parquet(Box::new(writer.map_err(|error| error.to_string())?))
        }
        (Some(to), None) if is_stream => {
            Out::Stream(StreamWriter::try_new(create(to)?, &schema).map_err(say)?)
        }
        (Some(to), None) => Out::File(FileWriter::try_new(create(to)?, &schema).map_err(say)?),
    };
    let mut before = 0;
    for batch in batches {
        let batch = batch?;
        let rows = batch.num_rows() as u64;
        let keep: Vec<bool> = (0..rows).map(|row| drops.of(ALL, before + row).is_none()).collect();
        for (row, keep) in keep.iter().enumerate() {
            if let (false, Some(check)) = (keep, drops.of(ALL, before + row as u64)) {
                audit.tell(&Change::of_row(&file.path, before + row as u64, check, "drop-row"));
            }
        }
        let source = batch.schema();
        let places: Vec<Option<u32>> = (0..).zip(&keep).map(|(row, keep)| keep.then_some(row)).collect();
        let mut anew = Anew {
            repair,
            tell: &mut |column, row, check, from, after| {
                audit.tell(&Change {
                    column: Some(column.to_owned()),
                    before: Some(from),
                    after: Some(after),
                    ..Change::of_row(&file.path, before + u64::from(row), check, "replace")
                });
            },
        };
        let pairs = source.fields().iter().zip(batch.columns()).zip(schema.fields());
        let columns = pairs.map(|((field, array), becomes)| {
            anew.array(field.name(), array, becomes.data_type(), &places).map_err(say)
        });
        let columns = columns.collect::<Result<Vec<ArrayRef>, String>>()?;
        let whole = RecordBatch::try_new(schema.clone(), columns).map_err(say)?;
        let left = filter_record_batch(&whole, &BooleanArray::from(keep)).map_err(say)?;
        match &mut out {
            Out::None => {}
            Out::Parquet(writer) => writer.write(&left).map_err(|error| error.to_string())?,
            Out::File(writer) => writer.write(&left).map_err(say)?,
            Out::Stream(writer) => writer.write(&left).map_err(say)?,
        }
        before += rows;
    }
    match out {
        Out::None => Ok(()),
        Out::Parquet(writer) => writer.close().map(|_| ()).map_err(|error| error.to_string()),
        Out::File(mut writer) => writer.finish().map_err(say),
        Out::Stream(mut writer) => writer.finish().map_err(say),
    }
}

/// The schema of what is written: integers that are normalised become floats.
fn becomes(schema: &SchemaRef, repair: &TableRepair) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| field_becomes(field.name(), field, repair));
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// What becomes of a field; `path`: its name, after that of the structure it is in.
fn field_becomes(path: &str, field: &FieldRef, repair: &TableRepair) -> FieldRef {
    let item = |item: &FieldRef| field_becomes(path, item, repair);
    let kind = match field.data_type() {
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| {
                let path = format!("{path}.{}", field.name());
                field_becomes(&path, field, repair)
            });
            DataType::Struct(fields.collect())
        }
        DataType::List(of) => DataType::List(item(of)),
        DataType::LargeList(of) => DataType::LargeList(item(of)),
        DataType::FixedSizeList(of, size) => DataType::FixedSizeList(item(of), *size),
        kind if kind.is_integer() && repair.position(path).is_some_and(|own| repair.is_normalised(own)) => {
            DataType::Float64
        }
        kind => kind.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(kind))
}

/// Arrays with their numbers repaired and normalised; what is not repaired stays as it is.
struct Anew<'a> {
    repair: &'a TableRepair,
    /// Takes a change in: column, row, check, and what stood and stands there.
    tell: &'a mut dyn FnMut(&str, u32, &'static str, String, String),
}

impl Anew<'_> {
    /// `rows`: that of each item, if it is not left out and lies in nothing that is null.
    fn array(
        &mut self,
        path: &str,
        array: &ArrayRef,
        becomes: &DataType,
        rows: &[Option<u32>],
    ) -> Result<ArrayRef, ArrowError> {
        let there = |item: usize| rows[item].filter(|_| !array.is_null(item));
        match (array.data_type(), becomes) {
            (DataType::Struct(_), DataType::Struct(fields)) => {
                let own = array.as_struct();
                let rows: Vec<Option<u32>> = (0..array.len()).map(there).collect();
                let columns = fields.iter().zip(own.columns()).map(|(field, column)| {
                    self.array(&format!("{path}.{}", field.name()), column, field.data_type(), &rows)
                });
                let columns = columns.collect::<Result<Vec<_>, _>>()?;
                if columns.is_empty() {
                    return Ok(array.clone());
                }
                Ok(Arc::new(StructArray::try_new(fields.clone(), columns, own.nulls().cloned())?))
            }
            (DataType::List(_), DataType::List(item)) => self.lists::<i32>(path, array, item, &there),
            (DataType::LargeList(_), DataType::LargeList(item)) => {
                self.lists::<i64>(path, array, item, &there)
            }
            (DataType::FixedSizeList(..), DataType::FixedSizeList(item, size)) => {
                let own = array.as_fixed_size_list();
                let each = *size as usize;
                let ends = |list: usize| list * each..(list + 1) * each;
                let rows =
                    rows_of_items(own.values().len(), (0..own.len()).map(|list| (ends(list), there(list))));
                let values = self.array(path, own.values(), item.data_type(), &rows)?;
                Ok(Arc::new(FixedSizeListArray::try_new(item.clone(), *size, values, own.nulls().cloned())?))
            }
            _ => Ok(self.numbers(path, array, becomes, rows)),
        }
    }

    /// `row_of`: that of each list.
    fn lists<O: OffsetSizeTrait>(
        &mut self,
        path: &str,
        array: &ArrayRef,
        item: &FieldRef,
        row_of: &dyn Fn(usize) -> Option<u32>,
    ) -> Result<ArrayRef, ArrowError> {
        let own = array.as_list::<O>();
        let ends = |list: usize| own.offsets()[list].as_usize()..own.offsets()[list + 1].as_usize();
        let rows = rows_of_items(own.values().len(), (0..own.len()).map(|list| (ends(list), row_of(list))));
        let values = self.array(path, own.values(), item.data_type(), &rows)?;
        let (offsets, nulls) = (own.offsets().clone(), own.nulls().cloned());
        Ok(Arc::new(GenericListArray::try_new(item.clone(), offsets, values, nulls)?))
    }

    fn numbers(
        &mut self,
        path: &str,
        array: &ArrayRef,
        becomes: &DataType,
        rows: &[Option<u32>],
    ) -> ArrayRef {
        let Some(column) = self.repair.position(path) else { return array.clone() };
        let Some(mut values) = numbers(array) else { return array.clone() };
        let mut is_changed = array.data_type() != becomes;
        for (value, row) in values.iter_mut().zip(rows) {
            let Some(row) = *row else { continue };
            let cell = value.map_or(Cell::Missing, Cell::Number);
            if let Fate::Set(after, check) = self.repair.fate(column, cell) {
                let before = value.map_or_else(|| "null".to_owned(), |value| value.to_string());
                (self.tell)(path, row, check, before, after.to_string());
                *value = Some(after);
                is_changed = true;
            }
            if self.repair.is_normalised(column) {
                *value = value.map(|value| self.repair.normalised(column, value));
                is_changed = true;
            }
        }
        if is_changed { array_of(becomes, values) } else { array.clone() }
    }
}

/// The row of each of so many items, of lists that each hold a range of them.
fn rows_of_items(
    items: usize,
    lists: impl Iterator<Item = (std::ops::Range<usize>, Option<u32>)>,
) -> Vec<Option<u32>> {
    let mut rows = vec![None; items];
    lists.for_each(|(range, row)| rows[range].fill(row));
    rows
}
