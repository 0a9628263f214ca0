//! Valid files with a few bytes changed: none makes a scan panic, hang, or take much memory.

use crate::make::{Cells, Random, Type, dirty};
use crate::write::{
    arrow, batch, csv, gzip, json_lines, npy, parquet, put, row_major, safetensors, tar, torch, zip,
};
use crate::{CAUGHT, scan_path, scan_within};
use denan_data::Options;
use image::{DynamicImage, ImageFormat};
use std::io::Cursor;
use std::path::Path;
use zip::CompressionMethod;

/// Bytes that no file may take: batches and pages that say that they are large are given that much.
const MOST_MEMORY: usize = 1100 << 20;
/// Changes of each file.
const CHANGES: usize = 100;

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A small file at least of each format.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let (columns, _) = dirty(24, 1, Type::F64, Cells::Texts);
    let (nulls, _) = dirty(24, 2, Type::F32, Cells::Nothing);
    let nulls = batch(&nulls, Type::F32);
    let shape = [24, columns.len()];
    let values = row_major(&columns);
    let arrays: [(&str, Type, &[usize], &[f64]); 2] =
        [("x", Type::F32, &shape, &values), ("y", Type::Bf16, &[24], &columns[0].values)];
    let array = npy(Type::F64, &shape, &values);
    let entries = [("x.npy", array.clone()), ("y.npy", npy(Type::F16, &[24], &columns[0].values))];
    let image: DynamicImage =
        image::RgbImage::from_fn(17, 9, |x, y| image::Rgb([x * 9, y * 20, x * y].map(|level| level as u8)))
            .into();
    let members = [
        ("0.png".to_owned(), encoded(&image, ImageFormat::Png)),
        ("0.npy".to_owned(), array.clone()),
        ("0.cls".to_owned(), b"3".to_vec()),
        (format!("{}/1.npy", "long".repeat(40)), array.clone()),
    ];
    let hdf5 = |name: &str| {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)).unwrap()
    };
    vec![
        ("x.npy", array),
        ("x.npz", zip(CompressionMethod::Deflated, &entries)),
        ("stored.npz", zip(CompressionMethod::Stored, &entries)),
        ("x.safetensors", safetensors(&arrays)),
        ("x.pt", torch(&arrays)),
        ("t.csv", csv(&columns, ',')),
        ("t.csv.gz", gzip(&csv(&columns, ','))),
        ("t.tsv.zst", zstd::encode_all(&csv(&columns, '\t')[..], 1).unwrap()),
        ("t.jsonl", json_lines(&columns)),
        ("t.parquet", parquet(&nulls, 10)),
        ("t.arrow", arrow(&nulls, 10, true, false)),
        ("t.feather", arrow(&nulls, 10, true, true)),
        ("stream.arrow", arrow(&nulls, 10, false, false)),
        ("compressed.arrow", arrow(&nulls, 10, false, true)),
        ("old.h5", hdf5("old.h5")),
        ("new.h5", hdf5("new.h5")),
        ("t.tar", tar(&members)),
        ("t.tar.gz", gzip(&tar(&members))),
        ("x.jpg", encoded(&image, ImageFormat::Jpeg)),
        ("x.png", encoded(&image, ImageFormat::Png)),
        ("x.bmp", encoded(&image, ImageFormat::Bmp)),
        ("x.tiff", encoded(&image, ImageFormat::Tiff)),
        ("x.webp", encoded(&image, ImageFormat::WebP)),
        ("x.gif", encoded(&image, ImageFormat::Gif)),
    ]
}

/// A few bytes are others, numbers are extreme, parts are cut, doubled or moved.
fn changed(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + random.below(4) {
        if bytes.is_empty() {
            break;
        }
        // Headers are at the ends.
        let at = match random.below(4) {
            0 => random.below(bytes.len().min(256)),
            1 => bytes.len() - 1 - random.below(bytes.len().min(512)),
            _ => random.below(bytes.len()),
        };
        let end = (at + 1 + random.below(24)).min(bytes.len());
        match random.below(8) {
            0..3 => bytes[at] = random.next() as u8,
            3 => bytes[at] ^= 1 << random.below(8),
            4 => {
                let extreme =
                    [0, 1, u64::MAX, i64::MAX as u64, 1 << 31, 0xffff_ffff, 1 << 40][random.below(7)];
                let size = [1, 2, 4, 8][random.below(4)].min(bytes.len() - at);
                bytes[at..at + size].copy_from_slice(&extreme.to_le_bytes()[..size]);
            }
            5 => drop(bytes.drain(at..end)),
            6 => {
                let part = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, part);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}

#[test]
fn no_changed_file_does_harm() {
    let folder = tempfile::tempdir().unwrap();
    let random = &mut Random(2024);
    let mut caught = Vec::new();
    for (name, whole) in files() {
        let path = folder.path().join(name);
        for number in 0..CHANGES {
            std::fs::write(&path, changed(&whole, random)).unwrap();
            let result = scan_within(&path, &Options::default(), MOST_MEMORY).unwrap();
            if result.findings.iter().any(|found| found.message.contains(CAUGHT)) {
                caught.push((name, number));
            }
        }
        std::fs::remove_file(&path).unwrap();
    }
    // Those of the libraries that decode; they are told as files that cannot be read.
    println!("{} panics were caught: {caught:?}", caught.len());
}

const VOC: &str = "<annotation><filename>a.bmp</filename><size><width>64</width><height>48</height></size><object>\
    <name>cell</name><bndbox><xmin>9</xmin><ymin>2</ymin><xmax>19</xmax><ymax>8</ymax></bndbox></object></annotation>";
const COCO: &str = "{\"images\": [{\"id\": 1, \"file_name\": \"a.bmp\", \"width\": 64, \"height\": 48}], \
    \"categories\": [{\"id\": 7, \"name\": \"cell\"}], \
    \"annotations\": [{\"image_id\": 1, \"category_id\": 7, \"bbox\": [4.5, 5, NaN, 20]}]}";
const YOLO: &str = "0 0.5 0.5 0.25 0.5\n1 0.5 0.5 1 1\n";

#[test]
fn no_changed_labels_do_harm() {
    let random = &mut Random(7);
    let image: DynamicImage = image::RgbImage::new(64, 48).into();
    let image = encoded(&image, ImageFormat::Bmp);
    for (name, images, text) in [
        ("Annotations/a.xml", "JPEGImages", VOC),
        ("annotations/instances_train2017.json", "train2017", COCO),
        ("labels/a.txt", "images", YOLO),
    ] {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), &format!("{images}/a.bmp"), &image);
        for _ in 0..CHANGES {
            put(folder.path(), name, &changed(text.as_bytes(), random));
            // Where no label is left there is an error, which says so.
            if let Err(error) = scan_path(folder.path(), &Options::default()) {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn no_random_bytes_do_harm() {
    let folder = tempfile::tempdir().unwrap();
    let random = &mut Random(99);
    for (name, whole) in files() {
        let path = folder.path().join(name);
        for number in 0..20 {
            let count = random.below(600);
            let mut bytes: Vec<u8> = (0..count).map(|_| random.next() as u8).collect();
            // Behind the beginning of a valid file as well.
            if number % 2 == 0 {
                bytes.splice(0..0, whole[..whole.len().min(16)].iter().copied());
            }
            std::fs::write(&path, bytes).unwrap();
            scan_path(&path, &Options::default()).unwrap();
        }
        std::fs::remove_file(&path).unwrap();
    }
}

/// Writes the valid files for the targets in `fuzz`.
#[test]
#[ignore = "it writes files for fuzzing"]
fn seeds_for_fuzzing() {
    let folder = std::env::var_os("DENAN_FUZZ_SEEDS").expect("DENAN_FUZZ_SEEDS says where to");
    let put =
        |target: &str, name: &str, bytes: &[u8]| put(Path::new(&folder), &format!("{target}/{name}"), bytes);
    for (name, bytes) in files() {
        let target = match name.split('.').next_back() {
            Some("npy") => "npy",
            Some("npz") => "npz",
            Some("safetensors") => "safetensors",
            Some("pt") => "pt",
            Some("csv") => "csv",
            Some("jsonl") => "json_lines",
            Some("parquet") => "parquet",
            Some("arrow" | "feather") => "arrow",
            Some("h5") => "hdf5",
            Some("tar") => "tar",
            Some("gz" | "zst") => continue,
            _ => "image",
        };
        put(target, name, &bytes);
    }
    put("voc", "a.xml", VOC.as_bytes());
    put("coco", "a.json", COCO.as_bytes());
    put("yolo", "a.txt", YOLO.as_bytes());
}
