//! Parquet and Arrow.

use crate::faults::{Fault, check, check_clean, four_classes};
use crate::make::{Cells, Column, Random, Type, clean, dirty};
use crate::write::{arrow, batch, parquet, put};
use arrow_array::builder::{FixedSizeListBuilder, Float64Builder, ListBuilder, StructBuilder};
use arrow_array::types::{Float64Type, Int32Type};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, PrimitiveArray,
    RecordBatch, StringArray, StructArray,
};
use arrow_schema::{DataType, Field, Fields};
use denan_data::Options;
use std::sync::Arc;

/// Files by the name of each.
fn files(batch: &RecordBatch) -> Vec<(&'static str, Vec<u8>)> {
    let rows = batch.num_rows() / 3 + 1;
    vec![
        ("t.parquet", parquet(batch, rows)),
        ("t.arrow", arrow(batch, rows, true, false)),
        ("t.feather", arrow(batch, rows, true, true)),
        ("stream.arrow", arrow(batch, rows, false, false)),
    ]
}

#[test]
fn clean_tables_are_clean() {
    for kind in [Type::F16, Type::F32, Type::F64] {
        for (rows, seed) in [(20, 1), (333, 2), (5000, 3)] {
            let batch = batch(&clean(rows, seed, kind), kind);
            for (name, bytes) in files(&batch) {
                let folder = tempfile::tempdir().unwrap();
                put(folder.path(), name, &bytes);
                assert_eq!(check_clean(folder.path()).samples, rows as u64, "{name}");
            }
        }
    }
}

#[test]
fn every_fault_of_a_table_is_found_and_nothing_else() {
    for kind in [Type::F16, Type::F32, Type::F64] {
        for (rows, seed) in [(50, 1), (3000, 2)] {
            let (columns, faults) = dirty(rows, seed, kind, Cells::Nothing);
            for (name, bytes) in files(&batch(&columns, kind)) {
                let folder = tempfile::tempdir().unwrap();
                put(folder.path(), name, &bytes);
                let faults: Vec<Fault> = faults.iter().map(|fault| fault.clone().file(name)).collect();
                check(folder.path(), &four_classes(), &faults);
            }
        }
    }
}

/// Columns of every kind that has numbers, and of some that have none. `dirty`: with faults.
fn nested(rows: usize, dirty: bool) -> (RecordBatch, Vec<Fault>) {
    let random = &mut Random(77);
    let mut normals = |count: usize| -> Vec<f64> { (0..count).map(|_| random.normal()).collect() };
    let mut faults = Vec::new();
    let mut fault = |rule, column: &str, row: usize, value: Option<f64>| {
        if dirty {
            let fault = Fault::new(rule).column(column).at(row);
            faults.push(match value {
                Some(value) => fault.value(value),
                None => fault,
            });
        }
        dirty
    };
    let (mut x, y) = (normals(rows), normals(rows));
    if fault("non-finite-input", "pose.x", 7, Some(f64::NAN)) {
        x[7] = f64::NAN;
    }
    let fields = Fields::from(vec![
        Field::new("x", DataType::Float64, true),
        Field::new("y", DataType::Float64, true),
    ]);
    let mut pose = StructBuilder::from_fields(fields, rows);
    // Whole structures that are null, as pyarrow writes them: their fields hold something that does not count.
    let is_null = |row: usize| dirty && row == 3;
    for row in 0..rows {
        for (field, values) in [&x, &y].into_iter().enumerate() {
            let value = if is_null(row) { 0.0 } else { values[row] };
            pose.field_builder::<Float64Builder>(field).unwrap().append_value(value);
        }
        pose.append(!is_null(row));
    }
    fault("missing-value", "pose.x", 3, None);
    fault("missing-value", "pose.y", 3, None);
    let mut list = ListBuilder::new(Float64Builder::new());
    let mut fixed = FixedSizeListBuilder::new(Float64Builder::new(), 4);
    for row in 0..rows {
        for value in normals(row % 5) {
            list.values().append_value(if dirty && row == 14 { f64::INFINITY } else { value });
        }
        list.append(!(dirty && row == 20));
        for value in normals(4) {
            fixed.values().append_value(value);
        }
        fixed.append(!(dirty && row == 21));
    }
    if dirty {
        faults.push(Fault::new("non-finite-input").column("list").at(14).value(f64::INFINITY).counts(4));
        faults.push(Fault::new("missing-value").column("list").at(20));
        faults.push(Fault::new("missing-value").column("fixed").at(21));
    }
    let count = |step: usize| (0..rows).map(move |row| (row * step % 23) as i64);
    let decimal = Decimal128Array::from_iter_values(count(3).map(|value| i128::from(value * 100 + 50)));
    let arrays: Vec<(&str, ArrayRef)> = vec![
        ("name", Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("n{row}"))))),
        ("pose", Arc::new(pose.finish())),
        ("list", Arc::new(list.finish())),
        ("fixed", Arc::new(fixed.finish())),
        ("price", Arc::new(decimal.with_precision_and_scale(10, 2).unwrap())),
        ("is_new", Arc::new(BooleanArray::from_iter((0..rows).map(|row| Some(row % 3 == 0))))),
        ("when", Arc::new(Date32Array::from_iter_values((0..rows).map(|row| 19_000 + row as i32)))),
        ("whole", Arc::new(Int64Array::from_iter_values(count(5)))),
        (
            "small",
            Arc::new(PrimitiveArray::<Int32Type>::from_iter_values(count(7).map(|value| value as i32))),
        ),
        ("real", Arc::new(PrimitiveArray::<Float64Type>::from_iter_values(normals(rows)))),
    ];
    (RecordBatch::try_from_iter(arrays).unwrap(), faults)
}

#[test]
fn numbers_within_structures_and_lists_are_gone_through() {
    for (name, bytes) in files(&nested(300, false).0) {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), name, &bytes);
        let result = check_clean(folder.path());
        let names: Vec<&str> = result.columns.iter().map(|column| &*column.name).collect();
        let expected = ["pose.x", "pose.y", "list", "fixed", "price", "is_new", "whole", "small", "real"];
        assert_eq!(names, expected, "{name}");
        let price = &result.columns[4];
        assert_eq!((price.min, price.max), (0.5, 22.5));
        assert_eq!(result.columns[3].count, 1200);
    }
}

#[test]
fn every_fault_within_structures_and_lists_is_found_and_nothing_else() {
    let (batch, faults) = nested(300, true);
    for (name, bytes) in files(&batch) {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), name, &bytes);
        let faults: Vec<Fault> = faults.iter().map(|fault| fault.clone().file(name)).collect();
        check(folder.path(), &Options::default(), &faults);
    }
}

#[test]
fn nulls_of_structures_within_lists_are_missing_as_well() {
    let fields = Fields::from(vec![Field::new("x", DataType::Float64, true)]);
    let x: ArrayRef = Arc::new(Float64Array::from_iter_values((0..40).map(f64::from)));
    let nulls = (0..40).map(|item| item != 11).collect::<Vec<_>>().into();
    let items = StructArray::new(fields.clone(), vec![x], Some(nulls));
    let item = Arc::new(Field::new("item", DataType::Struct(fields), true));
    let list = arrow_array::FixedSizeListArray::new(item, 2, Arc::new(items), None);
    assert_eq!(list.len(), 20);
    let batch = RecordBatch::try_from_iter([("points", Arc::new(list) as ArrayRef)]).unwrap();
    for (name, bytes) in files(&batch) {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), name, &bytes);
        let fault = Fault::new("missing-value").file(name).column("points.x").at(5);
        check(folder.path(), &Options::default(), &[fault]);
    }
}

#[test]
fn tables_without_rows_and_truncated_files_are_told() {
    let whole = batch(&clean(300, 1, Type::F32), Type::F32);
    let empty = whole.slice(0, 0);
    let mut stream = arrow_ipc::writer::StreamWriter::try_new(Vec::new(), &whole.schema()).unwrap();
    stream.write(&empty).unwrap();
    let mut one = arrow_ipc::writer::FileWriter::try_new(Vec::new(), &whole.schema()).unwrap();
    one.write(&empty).unwrap();
    for (name, bytes) in [
        ("t.parquet", parquet(&empty, 100)),
        ("t.arrow", arrow(&empty, 100, true, false)),
        ("one.arrow", one.into_inner().unwrap()),
        ("stream.arrow", arrow(&empty, 100, false, false)),
        ("stream.feather", stream.into_inner().unwrap()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), name, &bytes);
        check(folder.path(), &Options::default(), &[Fault::new("empty-array").file(name)]);
    }
    for (name, bytes) in files(&whole) {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), name, &bytes[..bytes.len() * 3 / 4]);
        check(folder.path(), &Options::default(), &[Fault::new("unreadable-file").file(name)]);
    }
}

#[test]
fn tables_of_other_types_than_those_beside_them_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let columns: Vec<Column> = clean(40, 3, Type::F32);
    for number in 0..5 {
        let kind = if number == 3 { Type::F64 } else { Type::F32 };
        put(folder.path(), &format!("part-{number}.parquet"), &parquet(&batch(&columns, kind), 100));
    }
    check(folder.path(), &Options::default(), &[Fault::new("dtype-drift").file("part-3.parquet")]);
}

#[test]
fn a_part_with_other_columns_is_named() {
    let folder = tempfile::tempdir().unwrap();
    for part in 0..5 {
        let mut columns = clean(40, part, Type::F32);
        if part == 2 {
            columns.remove(0);
        }
        let name = format!("part-{part}.parquet");
        put(folder.path(), &name, &parquet(&batch(&columns, Type::F32), 40));
    }
    check(folder.path(), &Options::default(), &[Fault::new("shape-drift").file("part-2.parquet")]);
}
