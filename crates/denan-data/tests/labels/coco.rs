use super::*;
use denan_data::labels::Format;

const SMALL: &str = r#"{
  "info": {"year": NaN},
  "annotations": [
    {"id": 5, "image_id": 2, "category_id": 18, "bbox": [10, 20.5, 30, 40], "iscrowd": 0, "area": 1,
     "segmentation": [[1, 2, 3, 4]]},
    {"id": 6, "image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "iscrowd": 1,
     "segmentation": {"counts": "abc", "size": [1, 2]}}
  ],
  "images": [
    {"id": 2, "file_name": "b.jpg", "width": 640, "height": 480},
    {"id": 1, "file_name": "a.jpg", "width": 100, "height": 50}
  ],
  "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}]
}"#;

fn one(json: impl AsRef<[u8]>) -> (LabelSet, Vec<String>) {
    let folder = folder(&[("a.json", json.as_ref())]);
    let set = read(folder.path());
    let problems = problems(folder.path(), &set);
    (set, problems)
}

/// A set of one image with these annotations.
fn with(annotations: &str) -> (LabelSet, Vec<String>) {
    one(format!(r#"{{"images": [{{"id": 1}}], "annotations": [{annotations}]}}"#))
}

#[test]
fn a_set_is_read_whatever_the_order_of_its_lists() {
    let (set, problems) = one(SMALL);
    assert_eq!((set.format, &*set.classes), (Format::Coco, &["dog".to_owned(), "person".to_owned()][..]));
    let [b, a] = &set.images[..] else { panic!("{set:?}") };
    assert_eq!(
        (b.image.as_deref(), b.size, a.size),
        (Some("b.jpg"), Some([640.0, 480.0]), Some([100.0, 50.0]))
    );
    assert_eq!(b.boxes[0].corners, [10.0, 20.5, 40.0, 60.5]);
    assert_eq!((b.boxes[0].class.as_deref(), b.boxes[0].is_crowd, b.boxes[0].index), (Some("dog"), false, 0));
    assert_eq!(
        (a.boxes[0].class.as_deref(), a.boxes[0].is_crowd, a.boxes[0].index),
        (Some("person"), true, 1)
    );
    assert_eq!(problems, [""; 0]);
}

#[test]
fn windows_and_a_byte_order_mark_change_nothing() {
    let (set, problems) = one(format!("\u{feff}{}", SMALL.replace('\n', "\r\n")));
    assert_eq!((boxes(&set), problems.len()), (boxes(&one(SMALL).0), 0));
}

#[test]
fn bad_boxes_are_kept_as_annotated() {
    let (set, problems) = with(
        r#"{"image_id": 1, "bbox": [5, 5, 0, 2]}, {"image_id": 1, "bbox": [5, 5, -2, 1e999]},
           {"image_id": 1, "bbox": [NaN, -Infinity, 1, 1]}"#,
    );
    let read = corners(&set);
    assert_eq!(read[..2], [[5.0, 5.0, 5.0, 7.0], [5.0, 5.0, 3.0, f64::INFINITY]]);
    assert!(read[2][0].is_nan() && read[2][2].is_nan() && read[2][1] == f64::NEG_INFINITY);
    assert_eq!(problems, [""; 0]);
}

#[test]
fn what_is_wrong_with_an_annotation_is_told_and_counts() {
    let (set, problems) = with(
        r#"{"id": 70, "image_id": 99, "bbox": [1, 1, 1, 1]}, {"id": "x", "image_id": 1, "bbox": [1, "2", 3, 4]}, 7,
           {"image_id": 1, "bbox": [1, 1, 1]}, {"id": 71, "image_id": 1}, {"id": 72, "image_id": 1, "bbox": null},
           {"id": 73, "bbox": [1, 1, 1, 1]}, {"id": 74, "image_id": 1, "category_id": 3, "bbox": [1, 1, 1, 1]}"#,
    );
    assert_eq!(
        boxes(&set).iter().map(|one| (one.index, one.class.as_deref())).collect::<Vec<_>>(),
        [(7, Some("3"))]
    );
    assert_eq!(
        problems,
        [
            "`DIR/a.json`, annotation `x`: its `bbox` is `[1, \\\"2\\\", 3, 4]` and not four numbers",
            "`DIR/a.json`, annotations[2]: is not read: invalid type: integer `7`, expected struct RawAnnotation",
            "`DIR/a.json`, annotations[3]: its `bbox` is `[1, 1, 1]` and not four numbers",
            "`DIR/a.json`, annotation 73: has no `image_id`",
            "`DIR/a.json`, annotation 70: belongs to image 99, which is not among `images`",
            "`DIR/a.json`, annotation 71: has no `bbox`, nor have 1 after it",
        ]
    );
}

#[test]
fn an_unknown_category_is_told_once_and_goes_by_its_number() {
    let json = SMALL.replace(r#"{"id": 18, "name": "dog"}, "#, "");
    let (set, problems) = one(json);
    assert_eq!(boxes(&set)[0].class.as_deref(), Some("18"));
    assert_eq!(problems, ["`DIR/a.json`, annotation 5: is of category 18, which is not among `categories`"]);
}

#[test]
fn ids_may_be_strings_and_images_twice() {
    let (set, problems) = one(
        r#"{"images": [{"id": "i", "file_name": "a"}, {"id": "i", "file_name": "b"}, {"file_name": "c"}],
            "annotations": [{"image_id": "i", "bbox": [1, 1, 1, 1]}]}"#,
    );
    assert_eq!(set.images.iter().map(|image| image.boxes.len()).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(
        problems,
        [
            "`DIR/a.json`, image 1: has the id i of an image before it",
            "`DIR/a.json`, image 2: is not read: missing field `id`"
        ]
    );
}

#[test]
fn a_cut_set_keeps_what_comes_before() {
    let (set, problems) = one(&SMALL[..SMALL.find("\"categories\"").unwrap() - 60]);
    assert_eq!((set.images.len(), boxes(&set).len()), (1, 1));
    assert!(problems[0].starts_with("`DIR/a.json`, line 11: EOF while parsing"), "{problems:?}");
    assert!(problems[0].ends_with("; what follows is not read"), "{problems:?}");
    assert!(problems[1].contains("belongs to image 1, which is not among `images`"), "{problems:?}");
}

#[test]
fn deep_segmentations_are_skipped() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let (set, problems) =
        with(&format!(r#"{{"image_id": 1, "segmentation": {deep}, "bbox": [1, 1, 1, 1]}}"#));
    assert_eq!((boxes(&set).len(), problems.len()), (1, 0));
}

#[test]
fn json_of_another_shape_is_no_set() {
    for json in [
        r#"{"images": []}"#,
        r#"{"images": [], "annotations": {"1": []}}"#,
        r#"{"images": 3, "annotations": []}"#,
    ] {
        let folder = folder(&[("a.json", json.as_bytes())]);
        assert!(error(folder.path()).starts_with("`DIR` holds no labels"), "{json}");
    }
}
