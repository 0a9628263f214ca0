//! Writes arrays and tables, one function per format.

use crate::make::{Column, Type};
use arrow_array::{ArrayRef, Float16Array, Float32Array, Float64Array, RecordBatch};
use half::f16;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// Rows of these columns, value by value.
pub(crate) fn row_major(columns: &[Column]) -> Vec<f64> {
    let rows = columns.first().map_or(0, |column| column.values.len());
    (0..rows).flat_map(|row| columns.iter().map(move |column| column.values[row])).collect()
}

fn tuple(shape: &[usize]) -> String {
    let sizes: Vec<String> = shape.iter().map(|size| format!("{size},")).collect();
    format!("({})", sizes.join(" "))
}

/// A `.npy` file of bytes as they lie in memory.
pub(crate) fn npy_of(descr: &str, is_fortran: bool, shape: &[usize], bytes: &[u8]) -> Vec<u8> {
    let order = if is_fortran { "True" } else { "False" };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {}, }}", tuple(shape));
    while (10 + header.len() + 1) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), bytes].concat()
}

pub(crate) fn bytes(kind: Type, values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| kind.bytes(*value)).collect()
}

pub(crate) fn npy(kind: Type, shape: &[usize], values: &[f64]) -> Vec<u8> {
    let descr = match kind {
        Type::F16 => "<f2",
        Type::F32 => "<f4",
        Type::F64 => "<f8",
        Type::Bf16 => panic!("numpy has no bfloat16"),
    };
    npy_of(descr, false, shape, &bytes(kind, values))
}

/// A ZIP archive of these entries.
pub(crate) fn zip(method: CompressionMethod, entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        archive.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// A safetensors file of arrays: name, type, shape, values.
pub(crate) fn safetensors(arrays: &[(&str, Type, &[usize], &[f64])]) -> Vec<u8> {
    let mut header = serde_json::Map::new();
    let mut data = Vec::new();
    for (name, kind, shape, values) in arrays {
        let start = data.len();
        data.extend(bytes(*kind, values));
        let dtype = match kind {
            Type::F16 => "F16",
            Type::Bf16 => "BF16",
            Type::F32 => "F32",
            Type::F64 => "F64",
        };
        let info = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [start, data.len()]});
        header.insert((*name).to_owned(), info);
    }
    let header = serde_json::to_vec(&header).unwrap();
    [&(header.len() as u64).to_le_bytes()[..], &header, &data].concat()
}

/// A file of `torch.save` with a dictionary of tensors.
pub(crate) fn torch(arrays: &[(&str, Type, &[usize], &[f64])]) -> Vec<u8> {
    let text = |text: &str| [&b"X"[..], &(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let int = |int: usize| [&b"\x8a\x08"[..], &(int as i64).to_le_bytes()].concat();
    let ints = |all: &[usize]| -> Vec<u8> {
        [b"(".to_vec(), all.iter().flat_map(|size| int(*size)).collect(), b"t".to_vec()].concat()
    };
    let mut pickle = b"\x80\x02}(".to_vec();
    let mut entries = Vec::new();
    for (number, (name, kind, shape, values)) in arrays.iter().enumerate() {
        let storage = match kind {
            Type::F16 => "HalfStorage",
            Type::Bf16 => "BFloat16Storage",
            Type::F32 => "FloatStorage",
            Type::F64 => "DoubleStorage",
        };
        let strides: Vec<usize> = (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect();
        pickle.extend(text(name));
        pickle.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        pickle.extend(text("storage"));
        pickle.extend(format!("ctorch\n{storage}\n").into_bytes());
        pickle.extend([text(&number.to_string()), text("cpu"), int(values.len()), b"tQ".to_vec()].concat());
        pickle.extend([int(0), ints(shape), ints(&strides), b"\x89".to_vec()].concat());
        pickle.extend(b"ccollections\nOrderedDict\n(tRtR");
        entries.push((format!("x/data/{number}"), bytes(*kind, values)));
    }
    pickle.extend(b"u.");
    let mut all = vec![("x/data.pkl", pickle), ("x/byteorder", b"little".to_vec())];
    all.extend(entries.iter().map(|(name, bytes)| (&**name, bytes.clone())));
    zip(CompressionMethod::Stored, &all)
}

/// A table as text.
pub(crate) fn csv(columns: &[Column], separator: char) -> Vec<u8> {
    let mut out = Vec::new();
    let names: Vec<&str> = columns.iter().map(|column| &*column.name).collect();
    writeln!(out, "{}", names.join(&separator.to_string())).unwrap();
    for row in 0..columns[0].values.len() {
        for (number, column) in columns.iter().enumerate() {
            if number > 0 {
                write!(out, "{separator}").unwrap();
            }
            match column.odd.get(&row) {
                Some(None) => {}
                Some(Some(text)) => write!(out, "\"{text}\"").unwrap(),
                None => write!(out, "{:?}", column.values[row]).unwrap(),
            }
        }
        writeln!(out).unwrap();
    }
    out
}

/// An object in each line, as Python's `json` writes it.
pub(crate) fn json_lines(columns: &[Column]) -> Vec<u8> {
    let mut out = Vec::new();
    for row in 0..columns[0].values.len() {
        let cells = columns.iter().map(|column| {
            let value = match column.odd.get(&row) {
                Some(None) => "null".to_owned(),
                Some(Some(text)) => format!("\"{text}\""),
                None => match column.values[row] {
                    value if value.is_nan() => "NaN".to_owned(),
                    f64::INFINITY => "Infinity".to_owned(),
                    f64::NEG_INFINITY => "-Infinity".to_owned(),
                    value => format!("{value:?}"),
                },
            };
            format!("\"{}\": {value}", column.name)
        });
        writeln!(out, "{{{}}}", cells.collect::<Vec<_>>().join(", ")).unwrap();
    }
    out
}

/// Columns as a batch of Arrow.
pub(crate) fn batch(columns: &[Column], kind: Type) -> RecordBatch {
    let arrays = columns.iter().map(|column| {
        let cells = column.values.iter().enumerate();
        let cells = cells.map(|(row, value)| (!column.odd.contains_key(&row)).then_some(*value));
        let array: ArrayRef = match kind {
            Type::F64 => Arc::new(cells.collect::<Float64Array>()),
            Type::F32 => Arc::new(cells.map(|cell| cell.map(|value| value as f32)).collect::<Float32Array>()),
            _ => Arc::new(Float16Array::from_iter(cells.map(|cell| cell.map(f16::from_f64)))),
        };
        (column.name.clone(), array, true)
    });
    RecordBatch::try_from_iter_with_nullable(arrays).unwrap()
}

pub(crate) fn parquet(batch: &RecordBatch, rows_of_group: usize) -> Vec<u8> {
    let properties = parquet::file::properties::WriterProperties::builder()
        .set_compression(parquet::basic::Compression::SNAPPY)
        .set_max_row_group_row_count(Some(rows_of_group))
        .build();
    let mut out = Vec::new();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(&mut out, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    out
}

/// An Arrow file, or a stream, of batches of so many rows.
pub(crate) fn arrow(batch: &RecordBatch, rows: usize, is_file: bool, is_compressed: bool) -> Vec<u8> {
    let compression = is_compressed.then_some(arrow_ipc::CompressionType::ZSTD);
    let options = arrow_ipc::writer::IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let slices = (0..batch.num_rows()).step_by(rows);
    let slices = slices.map(|first| batch.slice(first, rows.min(batch.num_rows() - first)));
    let schema = batch.schema();
    if is_file {
        let mut to =
            arrow_ipc::writer::FileWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
        slices.for_each(|slice| to.write(&slice).unwrap());
        to.into_inner().unwrap()
    } else {
        let mut to =
            arrow_ipc::writer::StreamWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
        slices.for_each(|slice| to.write(&slice).unwrap());
        to.into_inner().unwrap()
    }
}

/// A tar file of these members.
pub(crate) fn tar(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    archive.into_inner().unwrap()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(bytes).unwrap();
    to.finish().unwrap()
}

/// Puts a file into a folder, which is made.
pub(crate) fn put(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}
