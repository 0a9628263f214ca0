//! Folders of images, and tar files of samples.

use crate::faults::{Fault, check, check_clean, four_classes};
use crate::make::{Random, Type};
use crate::write::{gzip, npy, put, tar};
use denan_data::Options;
use image::{DynamicImage, ImageFormat};
use std::io::Cursor;

/// A photograph of sorts: a gradient under noise.
fn photograph(seed: u64, width: u32, height: u32) -> DynamicImage {
    let random = &mut Random(seed);
    let slope = 1 + random.below(3) as u32;
    image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([x * slope, y * 2, x + y].map(|level| (level + random.below(90) as u32).min(255) as u8))
    })
    .into()
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

const FORMATS: [(&str, ImageFormat); 5] = [
    ("jpg", ImageFormat::Jpeg),
    ("png", ImageFormat::Png),
    ("bmp", ImageFormat::Bmp),
    ("tiff", ImageFormat::Tiff),
    ("webp", ImageFormat::WebP),
];

#[test]
fn clean_folders_of_images_are_clean() {
    for (extension, format) in FORMATS {
        for kind in 0..3 {
            let folder = tempfile::tempdir().unwrap();
            for seed in 0..20 {
                let image = photograph(seed, 30 + seed as u32 % 3, 20);
                let image = match (kind, extension) {
                    (1, "jpg" | "png" | "bmp" | "tiff") => image.to_luma8().into(),
                    (2, "png" | "tiff") => image.to_rgb16().into(),
                    _ => image,
                };
                put(
                    folder.path(),
                    &format!("class{}/{seed}.{extension}", seed % 2),
                    &encoded(&image, format),
                );
            }
            let result = check_clean(folder.path());
            assert_eq!((result.samples, result.images), (20, 20));
        }
    }
}

#[test]
fn every_fault_of_a_folder_of_images_is_found_and_nothing_else() {
    for (extension, format) in FORMATS {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let name = |number: u64| format!("{number:02}.{extension}");
        let image = |number: u64| encoded(&photograph(number, 33, 21), format);
        (0..16).for_each(|number| put(path, &name(number), &image(number)));
        put(path, &name(16), &image(3));
        put(path, &name(17), &image(5));
        put(path, &name(18), b"");
        put(path, &name(19), b"<html>404</html>");
        let whole = image(40);
        put(path, &name(20), &whole[..whole.len() * 2 / 3]);
        let of = |rule, number| Fault::new(rule).file(&name(number));
        let mut planted = vec![
            of("duplicate-sample", 16),
            of("duplicate-sample", 17),
            of("unreadable-image", 18),
            of("unreadable-image", 19),
            of("unreadable-image", 20),
        ];
        if extension != "webp" {
            put(path, &name(21), &encoded(&photograph(21, 33, 21).to_luma8().into(), format));
            planted.push(of("image-mode", 21));
        }
        if ["png", "tiff"].contains(&extension) {
            put(path, &name(22), &encoded(&photograph(22, 33, 21).to_rgb16().into(), format));
            put(path, &name(23), &encoded(&photograph(23, 33, 21).to_luma16().into(), format));
            planted.extend([of("image-mode", 22), of("image-mode", 23)]);
        }
        check(path, &Options::default(), &planted);
    }
}

#[test]
fn an_image_without_a_channel_has_a_constant_one() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 0..6 {
        let mut image = photograph(seed, 30, 20).to_rgb8();
        image.pixels_mut().for_each(|pixel| pixel.0[2] = 0);
        put(folder.path(), &format!("{seed}.png"), &encoded(&image.into(), ImageFormat::Png));
    }
    let fault = Fault::new("constant-feature").file("0.png and 5 like it").table("8-bit RGB").column("B");
    check(folder.path(), &Options::default(), &[fault]);
}

/// A set as WebDataset has it: a picture, features and a class of each sample.
fn samples(count: usize, dirty: bool) -> (Vec<(String, Vec<u8>)>, Vec<Fault>) {
    let mut members = Vec::new();
    let mut faults = Vec::new();
    let random = &mut Random(8);
    for number in 0..count {
        let key = format!("train/{number:04}");
        let mut values: Vec<f64> = (0..6).map(|_| random.normal()).collect();
        let mut picture = encoded(&photograph(number as u64, 20, 16), ImageFormat::Jpeg);
        let mut class = (number % 4).to_string();
        match number {
            _ if !dirty => {}
            5 => {
                values[2] = f64::NAN;
                let fault = Fault::new("non-finite-input").at(5).column("2").value(f64::NAN);
                faults.push(fault.table("npy"));
            }
            7 => {
                class = "9".to_owned();
                faults.push(Fault::new("label-out-of-range").at(7).column("cls").value(9.0).table("cls"));
            }
            9 => {
                picture.truncate(100);
                faults.push(Fault::new("unreadable-image"));
            }
            11 => {
                picture = encoded(&photograph(1, 20, 16).to_luma8().into(), ImageFormat::Jpeg);
                faults.push(Fault::new("image-mode"));
            }
            13 => {
                class = "cat".to_owned();
                faults.push(Fault::new("text-in-numbers").at(13).column("cls").text("cat").table("cls"));
            }
            15 => faults.push(Fault::new("incomplete-sample")),
            17 => {
                picture = encoded(&photograph(16, 20, 16), ImageFormat::Jpeg);
                faults.push(Fault::new("duplicate-sample").at(17));
            }
            _ => {}
        }
        members.push((format!("{key}.jpg"), picture));
        members.push((format!("{key}.x.npy"), npy(Type::F32, &[6], &values)));
        if !(dirty && number == 15) {
            members.push((format!("{key}.cls"), class.into_bytes()));
        }
        members.push((format!("{key}.json"), b"{\"source\": \"web\"}".to_vec()));
    }
    (members, faults)
}

#[test]
fn a_clean_tar_file_is_clean() {
    for count in [20, 60] {
        let bytes = tar(&samples(count, false).0);
        let compressed = gzip(&bytes);
        for (name, bytes) in
            [("train-000.tar", &bytes), ("compressed.tar.gz", &compressed), ("compressed.tgz", &compressed)]
        {
            let folder = tempfile::tempdir().unwrap();
            put(folder.path(), name, bytes);
            let result = check_clean(folder.path());
            assert_eq!(result.samples, count as u64);
        }
    }
}

#[test]
fn every_fault_of_a_tar_file_is_found_and_nothing_else() {
    for name in ["train.tar", "train.tar.gz"] {
        let folder = tempfile::tempdir().unwrap();
        let (members, faults) = samples(60, true);
        let bytes = tar(&members);
        put(folder.path(), name, &if name.ends_with("gz") { gzip(&bytes) } else { bytes });
        let faults: Vec<Fault> = faults.into_iter().map(|fault| fault.file(name)).collect();
        check(folder.path(), &four_classes(), &faults);
    }
}

#[test]
fn a_tar_file_that_ends_early_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = tar(&samples(30, false).0);
    put(folder.path(), "train.tar", &bytes[..40_000]);
    let result = crate::faults::result(folder.path(), &Options::default());
    assert!(result.findings.iter().any(|found| found.rule == "unreadable-file"), "{:?}", result.findings);
    assert!(result.samples > 5);
}
