//! Batches of Arrow columns: those of numbers, down to the fields of structures and the items of lists.

use super::Values;
use crate::columns::{BETWEEN_COLUMNS, Gather, OF_TYPE, Rows, Schema, Shape, TableId};
use crate::listing::DataFile;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Fields};
use std::sync::Arc;

/// The columns of a table that hold numbers, and what they are called.
pub(crate) fn schema(fields: &Fields, file: &DataFile) -> (Arc<Schema>, String) {
    let mut columns = Vec::new();
    let mut types = Vec::new();
    for field in fields {
        leaves(field.name(), field.data_type(), &mut |name, kind| {
            types.push(format!("{name}{OF_TYPE}{kind}"));
            columns.push(name.to_owned());
        });
    }
    let schema = Schema { group: file.group.clone(), name: String::new(), columns, shape: Shape::Table };
    let layout = format!("{} ({} columns)", types.join(BETWEEN_COLUMNS), schema.columns.len());
    (Arc::new(schema), layout)
}

/// The types of the columns of a [`schema`], in their order.
pub(crate) fn kinds(fields: &Fields) -> Vec<DataType> {
    let mut kinds = Vec::new();
    for field in fields {
        leaves(field.name(), field.data_type(), &mut |_, kind| kinds.push(kind.clone()));
    }
    kinds
}

/// Whether a column has numbers in it.
pub(super) fn has_numbers(name: &str, kind: &DataType) -> bool {
    let mut found = false;
    leaves(name, kind, &mut |_, _| found = true);
    found
}

fn leaves(name: &str, kind: &DataType, tell: &mut dyn FnMut(&str, &DataType)) {
    match kind {
        DataType::Struct(fields) => {
            fields
                .iter()
                .for_each(|field| leaves(&format!("{name}.{}", field.name()), field.data_type(), tell));
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            leaves(name, item.data_type(), tell);
        }
        kind if is_number(kind) => tell(name, kind),
        _ => {}
    }
}

fn is_number(kind: &DataType) -> bool {
    kind.is_numeric()
        && !matches!(kind, DataType::Decimal256(..) | DataType::Decimal32(..) | DataType::Decimal64(..))
        || *kind == DataType::Boolean
}

/// What takes the numbers of a batch.
pub(crate) trait Sink {
    /// Numbers of a column, by its position in the [`schema`], each with its row.
    fn cells(&mut self, column: usize, values: Values<'_>, rows: Rows<'_>);

    /// A cell without a number.
    fn missing(&mut self, column: usize, row: u64);
}

/// A table of a [`Gather`].
pub(super) struct Table<'a, 'b>(pub(super) &'a mut Gather<'b>, pub(super) TableId);

impl Sink for Table<'_, '_> {
    fn cells(&mut self, column: usize, values: Values<'_>, rows: Rows<'_>) {
        self.0.cells(self.1, column, values, rows);
    }

    fn missing(&mut self, column: usize, row: u64) {
        self.0.missing(self.1, column, row);
    }
}

/// Hands on the numbers of a batch, whose rows come after `row` others.
pub(crate) fn hand_over(to: &mut dyn Sink, batch: &RecordBatch, row: u64) {
    let mut column = 0;
    let items = Items { rows: &[], has_left_out: false, nulls: &[] };
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        go(&mut Going { to, column: &mut column, row }, field.data_type(), array, items);
    }
}

/// Where the numbers of a batch go.
struct Going<'a> {
    to: &'a mut dyn Sink,
    column: &'a mut usize,
    row: u64,
}

/// The row of an item of a list that is null: what lies there is nothing.
const LEFT_OUT: u32 = u32::MAX;

/// The items of a column.
#[derive(Clone, Copy)]
struct Items<'a> {
    /// The row of each item of a list; empty where each item is a row.
    rows: &'a [u32],
    /// Whether some of them are left out.
    has_left_out: bool,
    /// Whether each is in a structure that is null; empty where none is.
    nulls: &'a [bool],
}

impl Items<'_> {
    fn row(self, item: usize) -> u32 {
        if self.rows.is_empty() { item as u32 } else { self.rows[item] }
    }

    /// Whether an item of this array is null, or what it is in.
    fn is_null(self, array: &ArrayRef, item: usize) -> bool {
        array.is_null(item) || self.nulls.get(item).is_some_and(|is_null| *is_null)
    }
}

fn go(going: &mut Going<'_>, kind: &DataType, array: &ArrayRef, own: Items<'_>) {
    match kind {
        DataType::Struct(fields) => {
            let mut nulls = Vec::new();
            if array.null_count() > 0 {
                nulls.extend((0..array.len()).map(|item| own.is_null(array, item)));
            }
            let own = if nulls.is_empty() { own } else { Items { nulls: &nulls, ..own } };
            let fields = fields.iter().zip(array.as_struct().columns());
            fields.for_each(|(field, array)| go(going, field.data_type(), array, own));
        }
        DataType::List(item) => {
            let list = array.as_list::<i32>();
            let offsets: Vec<usize> = list.offsets().iter().map(|offset| *offset as usize).collect();
            items(going, item.data_type(), array, list.values(), &offsets, own);
        }
        DataType::LargeList(item) => {
            let list = array.as_list::<i64>();
            let offsets: Vec<usize> = list.offsets().iter().map(|offset| *offset as usize).collect();
            items(going, item.data_type(), array, list.values(), &offsets, own);
        }
        DataType::FixedSizeList(item, size) => {
            let list = array.as_fixed_size_list();
            let offsets: Vec<usize> = (0..=list.len()).map(|row| row * *size as usize).collect();
            items(going, item.data_type(), array, list.values(), &offsets, own);
        }
        DataType::Float16 => numbers::<Float16Type>(going, array, own, |values| Values::F16(values)),
        DataType::Float32 => numbers::<Float32Type>(going, array, own, |values| Values::F32(values)),
        DataType::Float64 => numbers::<Float64Type>(going, array, own, |values| Values::F64(values)),
        DataType::Int8 => numbers::<Int8Type>(going, array, own, |values| Values::I8(values)),
        DataType::Int16 => numbers::<Int16Type>(going, array, own, |values| Values::I16(values)),
        DataType::Int32 => numbers::<Int32Type>(going, array, own, |values| Values::I32(values)),
        DataType::Int64 => numbers::<Int64Type>(going, array, own, |values| Values::I64(values)),
        DataType::UInt8 => numbers::<UInt8Type>(going, array, own, |values| Values::U8(values)),
        DataType::UInt16 => numbers::<UInt16Type>(going, array, own, |values| Values::U16(values)),
        DataType::UInt32 => numbers::<UInt32Type>(going, array, own, |values| Values::U32(values)),
        DataType::UInt64 => numbers::<UInt64Type>(going, array, own, |values| Values::U64(values)),
        DataType::Boolean => {
            let bits = array.as_boolean();
            let values: Vec<u8> = bits.values().iter().map(u8::from).collect();
            cells(going, array, &values, own, |values| Values::U8(values));
        }
        DataType::Decimal128(_, scale) => {
            let unit = 10f64.powi(-i32::from(*scale));
            let values: Vec<f64> = array
                .as_primitive::<Decimal128Type>()
                .values()
                .iter()
                .map(|value| *value as f64 * unit)
                .collect();
            cells(going, array, &values, own, |values| Values::F64(values));
        }
        _ => {}
    }
}

/// The items of lists, each of which is of the row of its list; a list that is null is a missing value.
fn items(
    going: &mut Going<'_>,
    kind: &DataType,
    lists: &ArrayRef,
    values: &ArrayRef,
    offsets: &[usize],
    own: Items<'_>,
) {
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else { return };
    let mut columns = 0;
    leaves("", kind, &mut |_, _| columns += 1);
    let mut rows = Vec::with_capacity(last - first);
    let mut missing = Vec::new();
    let mut has_left_out = own.has_left_out;
    for (list, ends) in offsets.windows(2).enumerate() {
        let mut row = own.row(list);
        if own.is_null(lists, list) && row != LEFT_OUT {
            missing.push(row);
            has_left_out = true;
            row = LEFT_OUT;
        }
        rows.resize(ends[1] - first, row);
    }
    for column in 0..columns {
        for row in &missing {
            going.to.missing(*going.column + column, going.row + u64::from(*row));
        }
    }
    if rows.is_empty() {
        *going.column += columns;
        return;
    }
    let items = Items { rows: &rows, has_left_out, nulls: &[] };
    go(going, kind, &values.slice(*first, last - first), items);
}

fn numbers<T: ArrowPrimitiveType>(
    going: &mut Going<'_>,
    array: &ArrayRef,
    own: Items<'_>,
    wrap: impl for<'v> Fn(&'v [T::Native]) -> Values<'v>,
) {
    cells(going, array, array.as_primitive::<T>().values(), own, wrap);
}

fn cells<T: Copy>(
    going: &mut Going<'_>,
    array: &ArrayRef,
    values: &[T],
    own: Items<'_>,
    wrap: impl for<'v> Fn(&'v [T]) -> Values<'v>,
) {
    let Going { to, column, row } = going;
    let number = **column;
    **column += 1;
    if array.null_count() == 0 && own.nulls.is_empty() && !own.has_left_out {
        let rows = if own.rows.is_empty() { Rows::From(*row) } else { Rows::Listed(*row, own.rows) };
        to.cells(number, wrap(values), rows);
        return;
    }
    let mut there = Vec::with_capacity(values.len());
    let mut places = Vec::with_capacity(values.len());
    for (item, value) in values.iter().enumerate() {
        let place = own.row(item);
        if place == LEFT_OUT {
            continue;
        }
        if own.is_null(array, item) {
            to.missing(number, *row + u64::from(place));
        } else {
            there.push(*value);
            places.push(place);
        }
    }
    if !there.is_empty() {
        to.cells(number, wrap(&there), Rows::Listed(*row, &places));
    }
}
