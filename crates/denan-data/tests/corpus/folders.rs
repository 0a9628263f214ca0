//! A folder of many formats, each with faults of its own.

use crate::faults::{Fault, check, check_clean};
use crate::make::{Cells, Column, Type, clean, dirty};
use crate::write::{
    arrow, batch, csv, gzip, json_lines, npy, parquet, put, row_major, safetensors, tar, torch, zip,
};
use denan_data::Options;
use std::path::Path;
use zip::CompressionMethod;

/// Writes one file at least of each format and says what is wrong with them.
pub(crate) fn mixed(folder: &Path, rows: usize, is_dirty: bool) -> Vec<Fault> {
    let mut planted = Vec::new();
    let mut seed = 40;
    let mut table = |name: &str, kind: Type, cells: Cells, writer: &dyn Fn(&[Column]) -> Vec<u8>| {
        seed += 1;
        let (columns, faults) =
            if is_dirty { dirty(rows, seed, kind, cells) } else { (clean(rows, seed, kind), Vec::new()) };
        put(folder, name, &writer(&columns));
        let file = name.rsplit('/').next().unwrap();
        // The number of classes is not given.
        let faults =
            faults.into_iter().filter(|fault| !fault.is_of(&["label-out-of-range", "missing-class"]));
        planted.extend(faults.map(|fault| fault.file(file)));
        if is_dirty {
            planted.push(Fault::new("missing-class").file(file).column("label").counts(6));
        }
    };
    table("a/t.csv", Type::F64, Cells::Texts, &|columns| csv(columns, ','));
    table("a/u.csv.gz", Type::F64, Cells::Texts, &|columns| gzip(&csv(columns, ',')));
    table("a/v.tsv", Type::F64, Cells::Texts, &|columns| csv(columns, '\t'));
    table("b/lines.jsonl", Type::F64, Cells::Texts, &json_lines);
    table("b/t.parquet", Type::F32, Cells::Nothing, &|columns| parquet(&batch(columns, Type::F32), rows / 5));
    table("b/t.arrow", Type::F64, Cells::Nothing, &|columns| {
        arrow(&batch(columns, Type::F64), rows / 3, true, true)
    });
    table("b/stream.arrow", Type::F16, Cells::Nothing, &|columns| {
        arrow(&batch(columns, Type::F16), rows / 4, false, false)
    });
    // Arrays, with a NaN each.
    let columns = clean(rows, 99, Type::F16);
    let shape = [rows, columns.len()];
    let mut values = row_major(&columns);
    if is_dirty {
        values[3 * columns.len() + 1] = f64::NAN;
    }
    let arrays: [(&str, Type, &[usize], &[f64]); 1] = [("x", Type::F16, &shape, &values)];
    put(folder, "c/set.safetensors", &safetensors(&arrays));
    put(folder, "c/set.pt", &torch(&arrays));
    put(
        folder,
        "c/set.npz",
        &zip(CompressionMethod::Deflated, &[("x.npy", npy(Type::F32, &shape, &values))]),
    );
    put(folder, "c/one.npy", &npy(Type::F64, &shape, &values));
    if is_dirty {
        let fault = |file: &str| Fault::new("non-finite-input").file(file).at(3).column("1").value(f64::NAN);
        planted.extend(["set.safetensors", "set.pt", "set.npz"].map(|file| fault(file).table("x")));
        planted.push(fault("one.npy"));
    }
    let mut members = Vec::new();
    for number in 0..30u8 {
        let picture = |number: u8| {
            let pixels = image::RgbImage::from_fn(9, 7, |x, y| {
                image::Rgb([x, y, x * y].map(|level| (level * 25) as u8 ^ number.wrapping_mul(7)))
            });
            let mut bytes = std::io::Cursor::new(Vec::new());
            image::DynamicImage::from(pixels).write_to(&mut bytes, image::ImageFormat::Png).unwrap();
            bytes.into_inner()
        };
        let mut bytes = picture(number);
        let values = [f64::from(number) / 40.0, f64::from(number % 3)];
        members.push((format!("{number}.png"), picture(number + 100)));
        members.push((format!("{number}.npy"), npy(Type::F32, &[2], &values)));
        put(folder, &format!("samples/sample-{number}.npy"), &npy(Type::F32, &[2], &values));
        if is_dirty && number == 4 {
            bytes.truncate(40);
            planted.push(Fault::new("unreadable-image").file("4.png"));
        }
        put(folder, &format!("photos/{number}.png"), &bytes);
    }
    if is_dirty {
        put(folder, "photos/4b.png", &std::fs::read(folder.join("photos/5.png")).unwrap());
        planted.push(Fault::new("duplicate-sample").file("5.png"));
        put(folder, "c/cut.npy", b"\x93NUMPY\x01\0");
        put(folder, "c/nothing.h5", b"");
        planted.extend(["cut.npy", "nothing.h5"].map(|file| Fault::new("unreadable-file").file(file)));
        members.remove(5);
        planted.push(Fault::new("incomplete-sample").file("train.tar"));
    }
    put(folder, "train.tar", &tar(&members));
    planted
}

#[test]
fn a_clean_folder_of_many_formats_is_clean() {
    for rows in [40, 700] {
        let folder = tempfile::tempdir().unwrap();
        mixed(folder.path(), rows, false);
        let result = check_clean(folder.path());
        assert!(result.format.split(", ").count() >= 10, "{}", result.format);
    }
}

#[test]
fn every_fault_of_a_folder_of_many_formats_is_found_and_nothing_else() {
    for rows in [160, 1200] {
        let folder = tempfile::tempdir().unwrap();
        let planted = mixed(folder.path(), rows, true);
        check(folder.path(), &Options::default(), &planted);
    }
}
