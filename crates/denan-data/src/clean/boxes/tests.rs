//! Label files before and after, in every format.

use super::*;
use crate::checks::{LABEL_CHECKS, Looked};
use crate::images::Images;
use crate::labels;
use proptest::prelude::*;
use std::path::PathBuf;
use tempfile::TempDir;

/// A data set of one label file and its image of 100 x 50 pixels.
struct Set {
    folder: TempDir,
    name: &'static str,
}

impl Set {
    fn new(name: &'static str, content: impl AsRef<[u8]>) -> Self {
        let set = Self { folder: tempfile::tempdir().unwrap(), name };
        for folder in [set.at("before"), set.at("after")] {
            fs::create_dir(&folder).unwrap();
            image::GrayImage::new(100, 50).save(folder.join("a.png")).unwrap();
        }
        fs::write(set.file("before"), content).unwrap();
        set
    }

    fn at(&self, folder: &str) -> PathBuf {
        self.folder.path().join(folder)
    }

    fn file(&self, folder: &str) -> PathBuf {
        self.at(folder).join(self.name)
    }

    /// What was changed: `0 degenerate-box drop-box`.
    fn clean(&self, actions: &Actions) -> Vec<String> {
        let labels = labels::read(&[self.at("before")]).unwrap();
        let repaired = Repaired::new(&labels, actions);
        assert!(repaired.has(&self.file("before")) && !repaired.has(&self.at("before").join("a.png")));
        let mut audit = Audit::new(&self.at("audit.jsonl"), false).unwrap();
        repaired.write(&self.file("before"), Some(&self.file("after")), &mut audit).unwrap();
        audit.close().unwrap();
        let told = fs::read_to_string(self.at("audit.jsonl")).unwrap();
        let changes = told.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        changes
            .map(|change| {
                let said = format!("{} {} {}", change["box"], text(&change["rule"]), text(&change["action"]));
                let [before, after] = [text(&change["before"]), text(&change["after"])];
                if after.is_empty() { said } else { format!("{said}: {before} -> {after}") }
            })
            .collect()
    }

    fn written(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.file("after")).unwrap()).into_owned()
    }

    /// What the checks of boxes find in the copy.
    fn left(&self) -> Vec<String> {
        let paths = [self.at("after")];
        let (labels, images) = (labels::read(&paths).unwrap(), Images::of_labels(&paths));
        let looked = Looked { labels: &labels, images: &images };
        let mut left = Vec::new();
        for check in LABEL_CHECKS
            .iter()
            .filter(|check| check.names()[0].ends_with("-box") || check.names()[0] == "box-outside-image")
        {
            check.look(&looked, &mut |found| left.push(format!("{}: {}", check.names()[0], found.message)));
        }
        left
    }
}

fn check(name: &'static str, before: &str, after: &str, told: &[&str]) {
    let set = Set::new(name, before);
    assert_eq!(set.clean(&Actions::default()), told);
    assert_eq!(set.written(), after);
    assert_eq!(set.left(), [""; 0]);
}

fn with(actions: &[(&str, Action)]) -> Actions {
    let mut all = Actions::default();
    actions.iter().for_each(|(check, action)| all.set(check, *action).unwrap());
    all
}

const VOC: &str = "\u{feff}<?xml version=\"1.0\"?>\r\n<!-- by hand -->\r\n<annotation verified='yes'>
\t<filename>a.png</filename>
\t<size><width>100</width><height>50</height><depth>3</depth></size>
\t<!-- one -->
\t<object>
\t\t<name>caf\u{e9} &amp; bar</name><pose/>
\t\t<bndbox> <ymin> 10 </ymin><xmin>5</xmin><ymax>20</ymax><xmax>9.5</xmax> </bndbox>
\t</object>
\t<!-- two --><object><name>b</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>5</xmax><ymax>9</ymax></bndbox></object>\r
\t<object><name>no box</name></object>\r
\t<object>
\t\t<name>b</name>
\t\t<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>nan</xmax><ymax>9</ymax></bndbox>
\t</object>
\t<object><name>c</name><bndbox>
\t\t<xmin>-3</xmin><ymin>40.5</ymin><xmax> 120 </xmax><ymax>60.50</ymax></bndbox><difficult>1</difficult></object>
\t<object><name>d</name><bndbox><xmin>30</xmin><ymin>5</ymin><xmax>20</xmax><ymax>9</ymax></bndbox></object>\r
\t<object><name>d</name><bndbox><xmin>20</xmin><ymin>5</ymin><xmax>30</xmax><ymax>9</ymax></bndbox></object>
\t<object><name>e</name><bndbox><xmin>200</xmin><ymin>5</ymin><xmax>210</xmax><ymax>9</ymax></bndbox></object>
</annotation>
<!-- the end -->";

#[test]
fn objects_of_voc_are_cut_and_clamped_in_place() {
    let cut = |text: String, from: &str, to: &str| {
        assert_eq!(text.matches(from).count(), 1, "{from}");
        text.replace(from, to)
    };
    let after = cut(
        VOC.to_owned(),
        "<object><name>b</name><bndbox><xmin>5</xmin><ymin>5</ymin><xmax>5</xmax><ymax>9</ymax></bndbox></object>",
        "",
    );
    let after = cut(
        after,
        "\r\n\t<object>\n\t\t<name>b</name>\n\t\t<bndbox><xmin>5</xmin><ymin>5</ymin><xmax>nan</xmax><ymax>9</ymax></bndbox>\n\t</object>",
        "",
    );
    let after = cut(
        after,
        "<xmin>-3</xmin><ymin>40.5</ymin><xmax> 120 </xmax><ymax>60.50<",
        "<xmin>0</xmin><ymin>40.5</ymin><xmax> 100 </xmax><ymax>50.0<",
    );
    let after = cut(
        after,
        "\r\n\t<object><name>d</name><bndbox><xmin>20</xmin><ymin>5</ymin><xmax>30</xmax><ymax>9</ymax></bndbox></object>",
        "",
    );
    let after =
        cut(after, "<xmin>30</xmin><ymin>5</ymin><xmax>20<", "<xmin>20</xmin><ymin>5</ymin><xmax>30<");
    let after = cut(
        after,
        "\n\t<object><name>e</name><bndbox><xmin>200</xmin><ymin>5</ymin><xmax>210</xmax><ymax>9</ymax></bndbox></object>",
        "",
    );
    check(
        "a.xml",
        VOC,
        &after,
        &[
            "1 degenerate-box drop-box",
            "3 non-finite-box drop-box",
            "4 box-outside-image clamp-box: x -3 to 120, y 40.5 to 60.5 -> x 0 to 100, y 40.5 to 50",
            "5 inverted-box clamp-box: x 30 to 20, y 5 to 9 -> x 20 to 30, y 5 to 9",
            "6 duplicate-box drop-box",
            "7 box-outside-image drop-box",
        ],
    );
}

#[test]
fn voc_that_is_not_utf8_is_changed_in_the_right_places() {
    let xml = |class: &[u8], max: &[u8]| {
        [b"<annotation><folder>\xe9\xff</folder><size><width>100</width><height>50</height></size><object><name>".as_slice(), class,
         b"</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>", max, b"</xmax><ymax>9</ymax></bndbox></object></annotation>"].concat()
    };
    let set = Set::new("a.xml", xml(b"caf\xe9", b"104"));
    assert_eq!(set.clean(&Actions::default()).len(), 1);
    assert_eq!(fs::read(set.file("after")).unwrap(), xml(b"caf\xe9", b"100"));
}

#[test]
fn a_broken_voc_file_keeps_its_rest() {
    let bad = "<annotation><object><name>a</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>1</xmax><ymax>2</ymax></bndbox></object>";
    check(
        "a.xml",
        &format!("{bad}<object><name>b</nam"),
        "<annotation><object><name>b</nam",
        &["0 degenerate-box drop-box"],
    );
}

const COCO: &str = r#"{"info": {"annotations": [{"bbox": [0, 0, 0, 0]}], "note": "\"annotations\": [\\"},
 "annotations": [
  {"id": 1, "image_id": 7, "category_id": 1, "bbox": [ 5, 5, 0, 9 ], "area": 0},
  {"bbox": [90.50,10,20,20.5], "area": 410.0, "segmentation": [], "id": 2, "image_id": 7, "category_id": 1, "score": 1e-05},
  {"id": 3, "image_id": 7, "category_id": 1, "bbox": [5, 5, NaN, 9], "area": NaN} ,
  {"id": 4, "image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "text": "], [\u0022"},
  {"id": 5, "image_id": 7, "category_id": 1,
   "bbox": [
     60.3,
     40,
     50.1,
     20
   ],
   "area": 1002, "segmentation": [[60.3, 40, 110.4, 40, 110.4, 60]], "x": {"bbox": 1}},
  {"id": 6, "category_id": 1, "bbox": [0, 0, 0, 0]},
  {"id": 7, "image_id": 7, "category_id": 1, "bbox": [4, 2, -3, 4], "area": -12},
  {"id": 8, "image_id": 7, "category_id": 2, "bbox": [20, 2, -3, 4], "area": 5}
  ],
 "images": [{"id": 7, "file_name": "a.png", "width": 100, "height": 50}],
 "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "NaN"}]}
"#;

#[test]
fn annotations_of_coco_are_cut_and_clamped_in_place() {
    let after = r#"{"info": {"annotations": [{"bbox": [0, 0, 0, 0]}], "note": "\"annotations\": [\\"},
 "annotations": [
  {"bbox": [90.50,10,9.5,20.5], "area": 194.75, "segmentation": [], "id": 2, "image_id": 7, "category_id": 1, "score": 1e-05},
  {"id": 4, "image_id": 7, "category_id": 1, "bbox": [1, 2, 3, 4], "area": 12, "text": "], [\u0022"},
  {"id": 5, "image_id": 7, "category_id": 1,
   "bbox": [
     60.3,
     40,
     39.7,
     10
   ],
   "area": 1002, "segmentation": [[60.3, 40, 110.4, 40, 110.4, 60]], "x": {"bbox": 1}},
  {"id": 6, "category_id": 1, "bbox": [0, 0, 0, 0]},
  {"id": 8, "image_id": 7, "category_id": 2, "bbox": [17, 2, 3, 4], "area": 5}
  ],
 "images": [{"id": 7, "file_name": "a.png", "width": 100, "height": 50}],
 "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "NaN"}]}
"#;
    check(
        "a.json",
        COCO,
        after,
        &[
            "0 degenerate-box drop-box",
            "1 box-outside-image clamp-box: x 90.5 to 110.5, y 10 to 30.5 -> x 90.5 to 100, y 10 to 30.5",
            "2 non-finite-box drop-box",
            "4 box-outside-image clamp-box: x 60.3 to 110.4, y 40 to 60 -> x 60.3 to 100, y 40 to 50",
            "6 duplicate-box drop-box",
            "7 inverted-box clamp-box: x 20 to 17, y 2 to 6 -> x 17 to 20, y 2 to 6",
        ],
    );
}

#[test]
fn what_stands_between_annotations_goes_with_them() {
    let of = |annotations: &str| {
        format!(
            r#"{{"images":[{{"id":1,"width":100,"height":50}}],"annotations":[{annotations}],"categories":[]}}"#
        )
    };
    let bad = r#"{"image_id":1,"bbox":[1,1,0,1]}"#;
    let good = |x: u32| format!(r#"{{"image_id":1,"bbox":[{x},1,1,1]}}"#);
    let [one, two] = [good(1), good(2)];
    for (before, after) in [
        (format!(" {bad} "), " ".to_owned()),
        (format!("{bad},{bad}"), String::new()),
        (format!("\n  {one},\n  {bad}\n "), format!("\n  {one}\n ")),
        (format!("\n  {bad},\n  {one}\n "), format!("\n  {one}\n ")),
        (format!("{one}, {bad},{bad} ,{two}"), format!("{one},{two}")),
    ] {
        let set = Set::new("a.json", of(&before));
        set.clean(&Actions::default());
        assert_eq!(set.written(), of(&after));
    }
}

#[test]
fn a_coco_file_that_is_cut_keeps_its_rest() {
    let images = r#"{"images": [{"id": 7, "width": 100, "height": 50}], "#;
    let from = COCO.find(" \"annotations\": [\n").unwrap();
    for end in (from..COCO.find("\"images\"").unwrap()).step_by(3) {
        let cut = &COCO[from..end];
        let set = Set::new("a.json", format!("{images}{cut}"));
        set.clean(&Actions::default());
        let written = set.written();
        assert!(written.starts_with(images), "{written}");
        // An annotation that is there to its end may have gone with its line.
        let is_whole = cut.trim_end().ends_with(['}', ',']);
        assert!(is_whole || written.ends_with(cut.rsplit('\n').next().unwrap()), "{cut}\n{written}");
    }
}

#[test]
fn lines_of_yolo_are_cut_and_clamped_in_place() {
    let before = "\u{feff}0 0.5 0.5 0.20 0.2\r\n\r\n \t1  .9 0.5\t0.3 .25 \r\n2 0.5 0.5 0 0.2\r\nx\r\n2 nan 0.5 0.1 0.2\r\n0 0.5 0.5 0.2 0.2\n\
                  3 0.5 0.5 -0.25 0.2\n4 -0.05 0.1 0.1 1.2 1.04 1.5 .9 .5\n5 1.5 1.5 0.1 0.1\n6 1.0 0.5 0.1 0.2";
    let after = "\u{feff}0 0.5 0.5 0.20 0.2\r\n\r\n \t1  0.875 0.5\t0.25 .25 \r\nx\r\n\
                 3 0.5 0.5 0.25 0.2\n4 0 0.1 0.1 1.0 1.0 1.0 .9 .5\n6 0.975 0.5 0.05 0.2";
    let after = after.replace("4 0 0.1", "4 0.0 0.1");
    check(
        "a.txt",
        before,
        &after,
        &[
            "1 box-outside-image clamp-box: x 75 to 105, y 18.75 to 31.25 -> x 75 to 100, y 18.75 to 31.25",
            "2 degenerate-box drop-box",
            "4 non-finite-box drop-box",
            "5 duplicate-box drop-box",
            "6 inverted-box clamp-box: x 62.5 to 37.5, y 20 to 30 -> x 37.5 to 62.5, y 20 to 30",
            "7 box-outside-image clamp-box: x -5 to 104, y 5 to 75 -> x 0 to 100, y 5 to 50",
            "8 box-outside-image drop-box",
            "9 box-outside-image clamp-box: x 95 to 105, y 20 to 30 -> x 95 to 100, y 20 to 30",
        ],
    );
}

#[test]
fn keypoints_behind_a_box_stay() {
    let set = Set::new("a.txt", "0 0.9 0.5 0.3 0.2 1.05 0.5\n");
    for folder in ["before", "after"] {
        fs::write(set.at(folder).join("data.yaml"), "names: [a]\nkpt_shape: [1, 2]\n").unwrap();
    }
    set.clean(&Actions::default());
    assert_eq!(set.written(), "0 0.875 0.5 0.25 0.2 1.05 0.5\n");
}

#[test]
fn a_label_file_without_boxes_left_stays_there() {
    let set = Set::new("a.txt", "0 0.5 0.5 0 0\n");
    assert_eq!(set.clean(&Actions::default()), ["0 degenerate-box drop-box"]);
    assert_eq!(set.written(), "");
}

#[test]
fn clean_files_stay_byte_for_byte() {
    let coco = r#"{ "images":[{"id":1,"width":100,"height":50}],"annotations": [ {"image_id":1,"bbox":[1,1,2.50,9]} ] ,"x":NaN}"#;
    let voc = "<annotation><object><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>09.0</xmax><ymax>9</ymax></bndbox></object>\n\n</annotation>\r\n";
    for (name, text) in [("a.xml", voc), ("a.json", coco), ("a.txt", "0 .5 .5 1e-1  .1\r\n\n1 0.50 0.5 1 1")]
    {
        check(name, text, text, &[]);
        // Even where each box is gone through.
        let file = text.as_bytes();
        let none = Repairs::new();
        let mut out = Vec::new();
        coco::write(file, &mut out, &none).unwrap();
        assert_eq!(out, file);
        assert_eq!(voc::written(file, &none).0, file);
        assert_eq!(yolo::written(file, &none).0, file);
    }
}

#[test]
fn each_box_goes_stays_or_is_repaired_as_is_asked_for() {
    let all = "0 0.5 0.5 0 0.2\n1 0.4 0.5 -0.3 0.2\n2 0.9 0.5 0.3 0.2\n3 0.5 0.5 0.01 0.2\n4 .1 .1 .1 .1\n4 .1 .1 .1 .1\n5 nan .1 .1 .1\n";
    let checks = [
        "degenerate-box",
        "inverted-box",
        "box-outside-image",
        "tiny-box",
        "duplicate-box",
        "non-finite-box",
    ];
    for (action, told) in [(Action::Keep, 0), (Action::Drop, 6), (Action::Impute, 6), (Action::Clip, 6)] {
        let set = Set::new("a.txt", all);
        let changes = set.clean(&with(&checks.map(|check| (check, action))));
        assert_eq!(changes.len(), told, "{action:?}");
        let dropped = changes.iter().filter(|change| change.ends_with("drop-box")).count();
        assert_eq!(dropped, if action == Action::Clip { 4 } else { told }, "{action:?}");
        match action {
            Action::Keep => assert_eq!(set.written(), all),
            Action::Clip => {
                assert_eq!(set.written(), "1 0.4 0.5 0.3 0.2\n2 0.875 0.5 0.25 0.2\n4 .1 .1 .1 .1\n")
            }
            _ => assert_eq!(set.written(), "4 .1 .1 .1 .1\n"),
        }
    }
}

#[test]
fn a_file_is_known_by_each_of_its_paths() {
    let set = Set::new("a.txt", "0 0.5 0.5 0 0.2\n");
    let labels = labels::read(&[set.at("before")]).unwrap();
    let repaired = Repaired::new(&labels, &Actions::default());
    assert!(repaired.has(&set.at("after").join("../before/a.txt")));
    assert!(!repaired.has(&set.file("after")));
}

#[test]
fn nothing_is_written_where_only_the_audit_is_told() {
    let set = Set::new("a.txt", "0 0.5 0.5 0 0.2\n");
    let labels = labels::read(&[set.at("before")]).unwrap();
    let mut audit = Audit::new(&set.at("audit.jsonl"), false).unwrap();
    Repaired::new(&labels, &Actions::default()).write(&set.file("before"), None, &mut audit).unwrap();
    audit.close().unwrap();
    assert!(!set.file("after").exists());
    assert_eq!(fs::read_to_string(set.at("audit.jsonl")).unwrap().lines().count(), 1);
}

#[test]
fn a_file_that_has_changed_meanwhile_is_told() {
    for (name, before, after) in [
        ("a.txt", "0 0.5 0.5 0 0.2\n".to_owned(), ""),
        ("a.xml", VOC.to_owned(), "<annotation/>"),
        ("a.json", COCO.to_owned(), "{}"),
    ] {
        let set = Set::new(name, before);
        let labels = labels::read(&[set.at("before")]).unwrap();
        fs::write(set.file("before"), after).unwrap();
        let mut audit = Audit::new(&set.at("audit.jsonl"), true).unwrap();
        let repaired = Repaired::new(&labels, &Actions::default());
        let written = repaired.write(&set.file("before"), Some(&set.file("after")), &mut audit);
        assert!(written.unwrap_err().contains("has changed"), "{name}");
    }
}

/// Boxes with few corners, so that many are the same, and in tenths, which are no binary fractions.
fn boxes() -> impl Strategy<Value = Vec<[f64; 4]>> {
    let number = |most: i32| (-2..most).prop_map(|tens| f64::from(tens) * 10.1);
    prop::collection::vec([number(13), number(8), number(13), number(8)], 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_has_no_finding_and_is_clean_at_once(boxes in boxes()) {
        let voc = |[xmin, ymin, xmax, ymax]: &[f64; 4]| format!(
            "<object><name>a</name><bndbox><xmin>{xmin}</xmin><ymin>{ymin}</ymin><xmax>{xmax}</xmax><ymax>{ymax}</ymax></bndbox></object>"
        );
        let coco = |[xmin, ymin, xmax, ymax]: &[f64; 4]| {
            format!(r#"{{"image_id":1,"bbox":[{xmin},{ymin},{},{}]}}"#, xmax - xmin, ymax - ymin)
        };
        let yolo = |[xmin, ymin, xmax, ymax]: &[f64; 4]| {
            let (x, y) = ((xmin + xmax) / 200.0, (ymin + ymax) / 100.0);
            format!("0 {x} {y} {} {}\n", (xmax - xmin) / 100.0, (ymax - ymin) / 50.0)
        };
        let coco: Vec<String> = boxes.iter().map(coco).collect();
        let actions = with(&[("tiny-box", Action::Drop)]);
        for (name, text) in [
            ("a.xml", format!("<annotation><size><width>100</width><height>50</height></size>{}</annotation>", boxes.iter().map(voc).collect::<String>())),
            ("a.json", format!(r#"{{"images":[{{"id":1,"width":100,"height":50}}],"annotations":[{}]}}"#, coco.join(","))),
            ("a.txt", format!("0 0.123 0.1 0.1 0.1\n{}", boxes.iter().map(yolo).collect::<String>())),
        ] {
            let set = Set::new(name, text);
            set.clean(&actions);
            prop_assert_eq!(set.left(), [""; 0], "{}", set.written());
            let again = Set::new(name, set.written());
            prop_assert_eq!(again.clean(&actions), [""; 0]);
            prop_assert_eq!(again.written(), set.written());
        }
    }
}
