//! Dirty sets in which every fault is planted and listed, and their clean twins: what is planted is found, and nothing else.

use denan_data::{Task, scan};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A fault as a finding: check, end of the file's path, number of the box.
type Fault = (&'static str, &'static str, Option<u64>);

/// An image like no other: a BMP.
fn image(path: &Path, width: u32, height: u32) {
    let name = path.file_stem().unwrap().as_encoded_bytes();
    let seed = name.iter().fold(1u32, |seed, byte| seed.wrapping_mul(31).wrapping_add((*byte).into()));
    let pixels = image::RgbImage::from_fn(width, height, |x, y| {
        image::Rgb([x, y, x + y].map(|part| ((part + 1).wrapping_mul(seed) % 251) as u8))
    });
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    pixels.save(path).unwrap();
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn found(folder: &Path) -> BTreeSet<(String, String, Option<u64>)> {
    let result = scan(&Task::new(&[folder.to_owned()]), &|_, _| ()).unwrap();
    let findings = result.findings.iter();
    let own: BTreeSet<_> = findings
        .map(|found| {
            let file = Path::new(&*found.file).file_name().unwrap().to_string_lossy().into_owned();
            (found.rule.to_owned(), file, found.labelled_box)
        })
        .collect();
    let total: u64 = result.rules.iter().map(|rule| rule.count).sum();
    assert_eq!(total, result.findings.len() as u64, "totals are exact");
    own
}

fn check(folder: &TempDir, planted: &[Fault]) {
    let planted = planted.iter().map(|(rule, file, number)| (rule.to_string(), file.to_string(), *number));
    assert_eq!(found(folder.path()), planted.collect());
}

/// An annotation of VOC of an image of 64 x 48.
fn voc(folder: &Path, name: &str, boxes: &[[&str; 4]]) {
    let mut text = format!(
        "<annotation><filename>{name}.bmp</filename><size><width>64</width><height>48</height></size>"
    );
    for [xmin, ymin, xmax, ymax] in boxes {
        text += &format!(
            "<object><name>cell</name><bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax>\
             <ymax>{ymax}</ymax></bndbox></object>"
        );
    }
    write(&folder.join(format!("Annotations/{name}.xml")), &(text + "</annotation>"));
}

const GOOD: [&str; 4] = ["4", "5", "20", "30"];

fn clean_voc() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a", "b", "c"] {
        // One that counts pixels from 1 and ends at the last, and one that fills the image.
        voc(folder.path(), name, &[GOOD, ["1", "1", "64", "48"], ["0", "0", "64", "48"]]);
        image(&folder.path().join(format!("JPEGImages/{name}.bmp")), 64, 48);
    }
    // Stored from its top.
    image(&folder.path().join("JPEGImages/c.bmp"), 64, 48);
    voc(folder.path(), "empty", &[]);
    image(&folder.path().join("JPEGImages/empty.bmp"), 64, 48);
    folder
}

#[test]
fn a_clean_set_of_voc_is_clean() {
    check(&clean_voc(), &[]);
}

#[test]
fn every_fault_of_a_voc_set_is_found_and_nothing_else() {
    let folder = clean_voc();
    let path = folder.path();
    voc(
        path,
        "d",
        &[
            GOOD,
            ["9", "5", "9", "30"],
            ["4", "7", "20", "7"],
            ["30", "5", "20", "30"],
            ["nan", "5", "20", "30"],
            ["4", "5", "70", "30"],
            ["-9", "5", "20", "30"],
            ["4", "5", "5", "30"],
            GOOD,
        ],
    );
    image(&path.join("JPEGImages/d.bmp"), 64, 48);
    voc(path, "turned", &[GOOD]);
    image(&path.join("JPEGImages/turned.bmp"), 48, 64);
    voc(path, "lost", &[GOOD]);
    image(&path.join("JPEGImages/extra.bmp"), 64, 48);
    voc(path, "hollow", &[GOOD]);
    write(&path.join("JPEGImages/hollow.bmp"), "");
    voc(path, "torn", &[GOOD]);
    write(&path.join("JPEGImages/torn.bmp"), "no image");
    write(&path.join("Annotations/cut.xml"), "<annotation><filename>a.bmp</filename><obj");
    check(
        &folder,
        &[
            ("degenerate-box", "d.xml", Some(1)),
            ("degenerate-box", "d.xml", Some(2)),
            ("inverted-box", "d.xml", Some(3)),
            ("non-finite-box", "d.xml", Some(4)),
            ("box-outside-image", "d.xml", Some(5)),
            ("box-outside-image", "d.xml", Some(6)),
            ("tiny-box", "d.xml", Some(7)),
            ("duplicate-box", "d.xml", Some(8)),
            ("image-size", "turned.xml", None),
            ("missing-image", "lost.xml", None),
            ("missing-label", "extra.bmp", None),
            ("unreadable-image", "hollow.bmp", None),
            ("unreadable-image", "torn.bmp", None),
            ("unreadable-label", "cut.xml", None),
        ],
    );
}

fn coco(folder: &Path, annotations: &str) {
    let text = format!(
        "{{\"images\": [{{\"id\": 1, \"file_name\": \"a.bmp\", \"width\": 64, \"height\": 48}},\
         {{\"id\": 2, \"file_name\": \"b.bmp\", \"width\": 64, \"height\": 48}}],\
         \"categories\": [{{\"id\": 7, \"name\": \"cell\"}}], \"annotations\": [{annotations}]}}"
    );
    write(&folder.join("annotations/instances_train2017.json"), &text);
    for name in ["a", "b"] {
        image(&folder.join(format!("train2017/{name}.bmp")), 64, 48);
    }
}

fn annotation(image: u32, sides: &str) -> String {
    format!("{{\"image_id\": {image}, \"category_id\": 7, \"bbox\": {sides}}}")
}

#[test]
fn every_fault_of_a_coco_set_is_found_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let good = [
        annotation(1, "[0, 0, 64, 48]"),
        annotation(2, "[4.5, 5, 10.25, 20]"),
        annotation(2, "[4, 5, 10, 20]"),
    ];
    coco(folder.path(), &good.join(","));
    check(&folder, &[]);
    let bad = [
        annotation(1, "[4, 5, 0, 20]"),
        annotation(1, "[4, 5, 10, -3]"),
        annotation(1, "[4, 5, NaN, 3]"),
        annotation(2, "[60, 5, 10, 20]"),
        annotation(2, "[4, 5, 10, 0.5]"),
        annotation(2, "[4, 5, 10, 20]"),
        annotation(9, "[4, 5, 10, 20]"),
    ];
    coco(folder.path(), &[&good[..], &bad].concat().join(","));
    fs::remove_file(folder.path().join("train2017/a.bmp")).unwrap();
    let file = "instances_train2017.json";
    check(
        &folder,
        &[
            ("degenerate-box", file, Some(3)),
            ("inverted-box", file, Some(4)),
            ("non-finite-box", file, Some(5)),
            ("box-outside-image", file, Some(6)),
            ("tiny-box", file, Some(7)),
            ("duplicate-box", file, Some(8)),
            ("unreadable-label", file, None),
            ("missing-image", file, None),
        ],
    );
}

#[test]
fn every_fault_of_a_yolo_set_is_found_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for name in ["a", "b"] {
        write(&path.join(format!("labels/{name}.txt")), "0 0.5 0.5 0.25 0.5\n1 0.5 0.5 1 1\n");
        image(&path.join(format!("images/{name}.bmp")), 64, 48);
    }
    check(&folder, &[]);
    let bad = "0 0.5 0.5 0.25 0.5\n0 0.5 0.5 0 0.5\n0 0.9 0.5 0.5 0.5\n0 0.5 0.5 0.01 0.5\n0 0.5 0.5 0.25 0.5\n0 0.5 oh 0.1 0.1\n";
    write(&path.join("labels/c.txt"), bad);
    image(&path.join("images/c.bmp"), 64, 48);
    image(&path.join("images/extra.bmp"), 64, 48);
    write(&path.join("labels/torn.txt"), "0 0.5 0.5 0.25 0.5\n");
    write(&path.join("images/torn.bmp"), "no image");
    // Its header is not read, which says nothing against it.
    write(&path.join("labels/raw.txt"), "0 0.5 0.5 0.25 0.5\n");
    write(&path.join("images/raw.dng"), "whatever");
    check(
        &folder,
        &[
            ("unreadable-image", "torn.bmp", None),
            ("degenerate-box", "c.txt", Some(1)),
            ("box-outside-image", "c.txt", Some(2)),
            ("tiny-box", "c.txt", Some(3)),
            ("duplicate-box", "c.txt", Some(4)),
            ("unreadable-label", "c.txt", None),
            ("missing-label", "extra.bmp", None),
        ],
    );
}

#[test]
fn images_of_one_name_go_with_the_labels_of_their_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (part, side) in [("train", 64), ("val", 32)] {
        write(&path.join(format!("labels/{part}/a.txt")), "0 0.5 0.5 0.25 0.5\n");
        image(&path.join(format!("images/{part}/a.bmp")), side, side);
    }
    check(&folder, &[]);
    let folder = tempfile::tempdir().unwrap();
    for (year, width) in [("VOC2007", 64), ("VOC2012", 32)] {
        let path = folder.path().join(year);
        let size = format!("<size><width>{width}</width><height>48</height></size>");
        write(
            &path.join("Annotations/a.xml"),
            &format!("<annotation><filename>a.bmp</filename>{size}</annotation>"),
        );
        image(&path.join("JPEGImages/a.bmp"), width, 48);
    }
    check(&folder, &[]);
}

#[test]
fn images_of_another_set_beside_this_one_are_none_of_its() {
    let folder = clean_voc();
    image(&folder.path().join("images/other.bmp"), 8, 8);
    let only = folder.path().join("set");
    fs::create_dir(&only).unwrap();
    for part in ["Annotations", "JPEGImages"] {
        fs::rename(folder.path().join(part), only.join(part)).unwrap();
    }
    assert_eq!(found(&only), BTreeSet::new());
    // Of a folder of labels the images are those beside it.
    let result = scan(&Task::new(&[only.join("Annotations")]), &|_, _| ()).unwrap();
    assert_eq!((result.images, result.findings.len()), (4, 0));
}

#[test]
fn without_images_what_needs_them_is_left_out_and_told() {
    let folder = tempfile::tempdir().unwrap();
    voc(folder.path(), "a", &[GOOD]);
    let result = scan(&Task::new(&[folder.path().to_owned()]), &|_, _| ()).unwrap();
    assert!(result.findings.is_empty());
    assert_eq!(result.unchecked, ["image-size", "missing-image", "missing-label"]);
}

#[test]
fn a_real_set_has_its_two_boxes_without_an_area_and_another_none() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !data.join("bccd").is_dir() {
        eprintln!("skipped: there is no {}", data.display());
        return;
    }
    let bccd = found(&data.join("bccd"));
    let degenerate: Vec<_> = bccd.iter().filter(|(rule, ..)| rule == "degenerate-box").collect();
    assert_eq!(degenerate.len(), 2, "{bccd:?}");
    assert_eq!(
        (degenerate[0].1.as_str(), degenerate[1].1.as_str()),
        ("BloodImage_00338.xml", "BloodImage_00343.xml")
    );
    assert_eq!(found(&data.join("raccoon")), BTreeSet::new());
}
