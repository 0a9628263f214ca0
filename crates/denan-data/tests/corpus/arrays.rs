//! Arrays: npy, npz, safetensors, files of PyTorch, HDF5.

use crate::faults::{Fault, check, check_clean, four_classes};
use crate::make::{Cells, Column, Random, Type, clean, dirty};
use crate::write::{bytes, npy, npy_of, put, row_major, safetensors, torch, zip};
use denan_data::Options;
use std::path::Path;
use zip::CompressionMethod;

/// The columns of features, and the labels.
fn parts(mut columns: Vec<Column>) -> (Vec<Column>, Column) {
    let labels = columns.pop().unwrap();
    (columns, labels)
}

/// Where an array of features and one of labels lie: their file, and their name in it.
type Places = [(&'static str, Option<&'static str>); 2];

/// Writes features and labels in a format, and says where they are.
fn put_arrays(folder: &Path, format: &str, kind: Type, columns: &[Column], labels: &Column) -> Places {
    let rows = labels.values.len();
    let shape: [&[usize]; 2] = [&[rows, columns.len()], &[rows]];
    let values = row_major(columns);
    match format {
        "npy" | "npy_big_endian" | "npy_fortran" => {
            let raw = bytes(kind, &values);
            let size = raw.len() / values.len();
            let descr = |order: char| format!("{order}f{size}");
            let file = match format {
                "npy_big_endian" => {
                    let swapped: Vec<u8> =
                        raw.chunks(size).flat_map(|value| value.iter().rev().copied()).collect();
                    npy_of(&descr('>'), false, shape[0], &swapped)
                }
                "npy_fortran" => {
                    let raw: Vec<u8> =
                        columns.iter().flat_map(|column| bytes(kind, &column.values)).collect();
                    npy_of(&descr('<'), true, shape[0], &raw)
                }
                _ => npy(kind, shape[0], &values),
            };
            put(folder, "x.npy", &file);
            let wide: Vec<u8> =
                labels.values.iter().flat_map(|label| (*label as i64).to_le_bytes()).collect();
            put(folder, "y.npy", &npy_of("<i8", false, shape[1], &wide));
            [("x.npy", None), ("y.npy", None)]
        }
        "npz" | "npz_deflated" => {
            let method =
                if format == "npz" { CompressionMethod::Stored } else { CompressionMethod::Deflated };
            let narrow: Vec<u8> = labels.values.iter().map(|label| *label as u8).collect();
            let entries =
                [("x.npy", npy(kind, shape[0], &values)), ("y.npy", npy_of("|u1", false, shape[1], &narrow))];
            put(folder, "set.npz", &zip(method, &entries));
            [("set.npz", Some("x")), ("set.npz", Some("y"))]
        }
        "safetensors" => {
            let arrays = [("x", kind, shape[0], &values[..]), ("y", Type::F32, shape[1], &labels.values)];
            put(folder, "set.safetensors", &safetensors(&arrays));
            [("set.safetensors", Some("x")), ("set.safetensors", Some("y"))]
        }
        _ => {
            let arrays = [("x", kind, shape[0], &values[..]), ("y", Type::F64, shape[1], &labels.values)];
            put(folder, "set.pt", &torch(&arrays));
            [("set.pt", Some("x")), ("set.pt", Some("y"))]
        }
    }
}

const FORMATS: [(&str, &[Type]); 7] = [
    ("npy", &[Type::F16, Type::F32, Type::F64]),
    ("npy_big_endian", &[Type::F16, Type::F32, Type::F64]),
    ("npy_fortran", &[Type::F16, Type::F32, Type::F64]),
    ("npz", &[Type::F32, Type::F64]),
    ("npz_deflated", &[Type::F16, Type::F64]),
    ("safetensors", &[Type::F16, Type::Bf16, Type::F32, Type::F64]),
    ("torch", &[Type::F16, Type::Bf16, Type::F32, Type::F64]),
];

/// Faults of a table as those of arrays, whose columns are numbered.
fn of_arrays(faults: Vec<Fault>, columns: &[Column], places: Places) -> Vec<Fault> {
    let number = |name: &str| columns.iter().position(|column| column.name == name);
    let of_array = |fault: Fault| {
        let is_label = fault.is_of(&["label-out-of-range", "missing-class"]);
        let (file, table) = places[usize::from(is_label)];
        let fault = fault.file(file).renamed(|name| number(name).map(|number| number.to_string()));
        match table {
            Some(table) => fault.table(table),
            None => fault,
        }
    };
    faults.into_iter().map(of_array).collect()
}

#[test]
fn clean_arrays_are_clean() {
    for (format, kinds) in FORMATS {
        for kind in kinds {
            for (rows, seed) in [(20, 1), (130, 2), (4000, 3)] {
                let folder = tempfile::tempdir().unwrap();
                let (columns, labels) = parts(clean(rows, seed, *kind));
                put_arrays(folder.path(), format, *kind, &columns, &labels);
                let result = check_clean(folder.path());
                assert_eq!((result.samples, result.tables.len()), (rows as u64, 2), "{format}");
            }
        }
    }
}

#[test]
fn every_fault_of_an_array_is_found_and_nothing_else() {
    for (format, kinds) in FORMATS {
        for kind in kinds {
            for (rows, seed) in [(60, 1), (3000, 2)] {
                let folder = tempfile::tempdir().unwrap();
                let (columns, faults) = dirty(rows, seed, *kind, Cells::Numbers);
                let (columns, labels) = parts(columns);
                let places = put_arrays(folder.path(), format, *kind, &columns, &labels);
                check(folder.path(), &four_classes(), &of_arrays(faults, &columns, places));
            }
        }
    }
}

#[test]
fn a_large_clean_array_is_clean() {
    let folder = tempfile::tempdir().unwrap();
    let (columns, labels) = parts(clean(100_000, 11, Type::F32));
    put_arrays(folder.path(), "npy", Type::F32, &columns, &labels);
    check_clean(folder.path());
}

#[test]
fn values_of_arrays_of_one_to_four_dimensions_have_their_samples_and_channels() {
    let shapes: [(&[usize], &[Option<&str>]); 5] = [
        (&[300], &[None]),
        (&[50, 6], &[Some("0"), Some("1"), Some("2"), Some("3"), Some("4"), Some("5")]),
        (&[20, 9, 8], &[None]),
        (&[20, 3, 6, 5], &[Some("0"), Some("1"), Some("2")]),
        (&[20, 6, 5, 3], &[Some("0"), Some("1"), Some("2")]),
    ];
    for (shape, columns) in shapes {
        for kind in [Type::F16, Type::F32, Type::F64] {
            let random = &mut Random(shape.len() as u64);
            let count: usize = shape.iter().product();
            let mut values: Vec<f64> = (0..count).map(|_| kind.round(random.normal())).collect();
            let folder = tempfile::tempdir().unwrap();
            put(folder.path(), "x.npy", &npy(kind, shape, &values));
            check_clean(folder.path());
            let row: usize = shape[1..].iter().product();
            // Of samples with the channel first, and last.
            let inner = if shape.len() == 4 && shape[1] == 3 { 30 } else { 1 };
            let mut planted = Vec::new();
            for (at, value) in [(count / 7, f64::NAN), (count / 2, f64::NEG_INFINITY), (count - 1, 3e4)] {
                values[at] = kind.round(value);
                let rule = if value.is_finite() { "outlier-sample" } else { "non-finite-input" };
                let fault = Fault::new(rule).file("x.npy").at(at / row).value(values[at]);
                planted.push(match columns[at % row / inner % columns.len()] {
                    Some(column) => fault.column(column),
                    None => fault,
                });
            }
            put(folder.path(), "x.npy", &npy(kind, shape, &values));
            check(folder.path(), &Options::default(), &planted);
        }
    }
}

#[test]
fn arrays_of_integers_are_read_as_what_they_are() {
    fn write<T: Copy>(folder: &Path, descr: &str, make: impl Fn(usize) -> T, bytes: impl Fn(T) -> Vec<u8>) {
        let all: Vec<u8> = (0..400).flat_map(|row| bytes(make(row))).collect();
        put(folder, "x.npy", &npy_of(descr, false, &[400], &all));
        let result = check_clean(folder);
        let [column] = &result.columns[..] else { panic!("{descr}") };
        assert_eq!((column.min, column.max, column.count), (0.0, 96.0, 400), "{descr}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path, "|u1", |row| (row % 97) as u8, |value| value.to_le_bytes().into());
    write(path, "|i1", |row| (row % 97) as i8, |value| value.to_le_bytes().into());
    write(path, "<i2", |row| (row % 97) as i16, |value| value.to_le_bytes().into());
    write(path, ">i2", |row| (row % 97) as i16, |value| value.to_be_bytes().into());
    write(path, "<u2", |row| (row % 97) as u16, |value| value.to_le_bytes().into());
    write(path, "<i4", |row| (row % 97) as i32, |value| value.to_le_bytes().into());
    write(path, ">u4", |row| (row % 97) as u32, |value| value.to_be_bytes().into());
    write(path, "<i8", |row| (row % 97) as i64, |value| value.to_le_bytes().into());
    write(path, ">u8", |row| (row % 97) as u64, |value| value.to_be_bytes().into());
}

#[test]
fn labels_that_do_not_count_are_none_of_the_classes_and_no_fault() {
    let shape = [40usize, 6];
    let mut labels: Vec<i64> = (0..240).map(|at| if at % 41 == 0 { -100 } else { at % 4 }).collect();
    let raw = |labels: &[i64]| labels.iter().flat_map(|label| label.to_le_bytes()).collect::<Vec<_>>();
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "labels.npy", &npy_of("<i8", false, &shape, &raw(&labels)));
    check(folder.path(), &four_classes(), &[]);
    // Two samples of nothing else, and one label out of range.
    labels[30..36].fill(-100);
    labels[234..240].fill(-100);
    labels[100] = 4;
    labels[101] = -1;
    put(folder.path(), "labels.npy", &npy_of("<i8", false, &shape, &raw(&labels)));
    let fault = |rule, row, value: f64| Fault::new(rule).file("labels.npy").at(row).value(value);
    let planted = [
        fault("no-valid-target", 5, -100.0),
        fault("no-valid-target", 39, -100.0),
        fault("label-out-of-range", 16, 4.0).column("4"),
        fault("label-out-of-range", 16, -1.0).column("5"),
    ];
    check(folder.path(), &four_classes(), &planted);
}

#[test]
fn empty_and_truncated_arrays_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let values: Vec<f64> = (0..300).map(|at| f64::from(at % 17)).collect();
    let whole = npy(Type::F32, &[100, 3], &values);
    put(path, "cut.npy", &whole[..whole.len() - 100]);
    put(path, "cut_header.npy", &whole[..40]);
    put(path, "hollow.npy", &npy(Type::F64, &[0, 3], &[]));
    put(path, "nothing.npy", b"");
    let entries = [("a.npy", whole.clone()), ("none.npy", npy(Type::F32, &[3, 0], &[]))];
    let archive = zip(CompressionMethod::Stored, &entries);
    put(path, "set.npz", &archive);
    put(path, "cut_set.npz", &archive[..archive.len() - 50]);
    let tensors = safetensors(&[("x", Type::Bf16, &[100, 3], &values)]);
    put(path, "cut.safetensors", &tensors[..tensors.len() - 10]);
    let tensors = torch(&[("x", Type::F32, &[100, 3], &values)]);
    put(path, "cut.pt", &tensors[..tensors.len() - 10]);
    let unreadable = |file: &str| Fault::new("unreadable-file").file(file);
    let planted = [
        unreadable("cut.npy"),
        unreadable("cut_header.npy"),
        Fault::new("empty-array").file("hollow.npy"),
        unreadable("nothing.npy"),
        Fault::new("empty-array").file("set.npz"),
        unreadable("cut_set.npz"),
        unreadable("cut.safetensors"),
        unreadable("cut.pt"),
    ];
    check(path, &Options::default(), &planted);
}

#[test]
fn files_of_hdf5_are_gone_through() {
    for name in ["old.h5", "new.h5"] {
        let bytes =
            std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), name, &bytes);
        let result = check_clean(folder.path());
        let count = |table: &str| {
            let columns = result.columns.iter();
            columns.filter(|column| column.table.ends_with(table)).map(|column| column.count).sum::<u64>()
        };
        assert_eq!((count(":train/x"), count(":gzip"), count(":half"), count(":one")), (21, 21, 21, 1));
        // A NaN among those that are not compressed: 20 as a float32.
        let mut bytes = bytes;
        let last = [18f32, 19.0, 20.0].iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
        let at = bytes.windows(12).position(|window| window == last).unwrap();
        bytes[at + 8..at + 12].copy_from_slice(&f32::NAN.to_le_bytes());
        put(folder.path(), name, &bytes);
        // It has two names.
        let fault = Fault::new("non-finite-input").file(name).at(6).column("2").value(f64::NAN);
        let planted = [fault.clone().table("train/x"), fault.table("again")];
        check(folder.path(), &Options::default(), &planted);
    }
}

#[test]
fn files_of_samples_that_drift_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let random = &mut Random(9);
    for number in 0..12 {
        let mut values: Vec<f64> = (0..3 * 5 * 4).map(|_| random.normal()).collect();
        let (kind, shape): (_, [usize; 3]) = match number {
            4 => (Type::F64, [3, 5, 4]),
            7 => (Type::F32, [3, 4, 5]),
            _ => (Type::F32, [3, 5, 4]),
        };
        if number == 9 {
            values[21] = f64::NAN;
        }
        put(folder.path(), &format!("sample_{number:02}.npy"), &npy(kind, &shape, &values));
    }
    let of = |rule, number: usize| Fault::new(rule).file(&format!("sample_{number:02}.npy"));
    let planted = [
        of("dtype-drift", 4),
        of("shape-drift", 7),
        of("non-finite-input", 9).at(0).column("1").value(f64::NAN),
    ];
    check(folder.path(), &Options::default(), &planted);
}
