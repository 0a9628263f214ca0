use super::*;
use denan_data::labels::Format;

const LABELS: &[u8] = b"1 0.5 0.5 0.5 0.25\r\n\r\n0 0.25 0.25 0 0.5\r\n";

#[test]
fn labels_are_in_pixels_of_the_image_in_the_sister_folder() {
    let folder = folder(&[
        ("labels/train/a.txt", LABELS),
        ("images/train/a.png", &png(640, 480)),
        ("data.yaml", b"train: images/train\nnames: [cell, platelet]\n"),
    ]);
    let set = read(folder.path());
    assert_eq!((set.format, &*set.classes), (Format::Yolo, &["cell".to_owned(), "platelet".to_owned()][..]));
    let image = &set.images[0];
    assert_eq!(
        (image.image.as_deref(), image.size, image.is_normalised),
        (Some("a.png"), Some([640.0, 480.0]), false)
    );
    assert_eq!(corners(&set), [[160.0, 180.0, 480.0, 300.0], [160.0, 0.0, 160.0, 240.0]]);
    assert_eq!(
        boxes(&set).iter().map(|one| one.class.as_deref()).collect::<Vec<_>>(),
        [Some("platelet"), Some("cell")]
    );
    assert_eq!(problems(folder.path(), &set), [""; 0]);

    let alone = labels::read(&[at(&folder, "labels/train/a.txt")]).unwrap();
    assert_eq!(alone, set, "names are found above a file, too");
    assert_eq!(
        labels::read(&[at(&folder, "labels"), at(&folder, "labels/train")]).unwrap(),
        set,
        "read once"
    );
}

#[test]
fn labels_without_an_image_are_in_sides_of_it() {
    let folder = folder(&[("a.txt", LABELS), ("b.txt", LABELS), ("b.png", b"no image at all, in truth")]);
    let set = read(folder.path());
    assert!(set.images.iter().all(|image| image.is_normalised && image.size.is_none()));
    assert_eq!(set.images[0].image, None);
    assert_eq!(set.images[1].image.as_deref(), Some("b.png"));
    assert_eq!(corners(&set)[0], [0.25, 0.375, 0.75, 0.625]);
    assert_eq!(boxes(&set)[0].class.as_deref(), Some("1"), "a class without name goes by its number");
    let problems = problems(folder.path(), &set);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("b.png`: its size is not known"), "{problems:?}");
}

#[test]
fn bad_boxes_are_kept_as_annotated() {
    let folder = folder(&[("a.txt", b"0 .5 .5 0 0\n0 .5 .5 -.5 -.5\n0 nan .5 1e999 .5\n0 7 7 2 2\n")]);
    let set = read(folder.path());
    let read = corners(&set);
    assert_eq!(read[..2], [[0.5, 0.5, 0.5, 0.5], [0.75, 0.75, 0.25, 0.25]]);
    assert!(read[2][0].is_nan() && read[2][1] == 0.25);
    assert_eq!(read[3], [6.0, 6.0, 8.0, 8.0]);
    assert_eq!(problems(folder.path(), &set), [""; 0]);
}

#[test]
fn a_polygon_is_read_as_its_bounds() {
    let folder = folder(&[("a.txt", b"0 0.5 0.125 0.25 0.75 0.5 0.25\n")]);
    assert_eq!(corners(&read(folder.path())), [[0.25, 0.125, 0.5, 0.75]]);
}

#[test]
fn keypoints_after_a_box_are_left_out() {
    let line = b"0 0.5 0.5 0.5 0.5 0.9 0.9";
    let with = folder(&[("a.txt", line), ("data.yaml", b"kpt_shape: [1, 2]\nnames: {0: a}\n")]);
    assert_eq!(corners(&read(with.path())), [[0.25, 0.25, 0.75, 0.75]]);
}

#[test]
fn what_is_wrong_with_a_line_is_told_and_counts() {
    let folder = folder(&[
        ("a.txt", b"0 .5 .5 .5 .5 .9\ncell .5 .5 .5 .5\n1.5 .5 .5 .5 .5\n9 .5 .5 .5 .5\n0 .5 .5 .5 .5"),
        ("classes.txt", b"cell\n"),
    ]);
    let set = read(folder.path());
    let classes: Vec<_> = boxes(&set).iter().map(|one| (one.index, one.class.as_deref())).collect();
    assert_eq!(classes, [(2, None), (3, Some("9")), (4, Some("cell"))]);
    assert_eq!(
        problems(folder.path(), &set),
        [
            "`DIR/a.txt`, line 1: has 6 numbers; a box has 5, a polygon a class and at least 3 pairs",
            "`DIR/a.txt`, line 2: `cell .5 .5 .5 .5` is not `class x y width height`",
            "`DIR/a.txt`, line 3: its class is 1.5 and not a whole number",
            "`DIR/a.txt`, line 4: its class 9 has no name in `DIR/classes.txt`",
        ]
    );
}

#[test]
fn an_empty_file_is_an_image_without_boxes_and_other_texts_are_none() {
    let folder = folder(&[
        ("labels/a.txt", LABELS),
        ("labels/b.txt", b""),
        ("labels/c.txt", b"what is this"),
        ("labels/README.roboflow.txt", b"what is this"),
        ("labels/train.txt", b""),
        ("notes/d.txt", b"what is this"),
    ]);
    let set = read(folder.path());
    assert_eq!(set.images.iter().map(|image| image.boxes.len()).collect::<Vec<_>>(), [2, 0]);
    assert_eq!(
        problems(folder.path(), &set),
        ["`DIR/labels/c.txt`: is not read: most of its lines are not `class x y width height`"]
    );
}

#[test]
fn names_that_contradict_each_other_are_told() {
    let folder = folder(&[
        ("a.txt", b"0 .5 .5 .5 .5"),
        ("data.yaml", b"names: [cell]"),
        ("classes.txt", b"platelet\n"),
        ("hyp.yaml", b"lr0: 0.01\n"),
    ]);
    let set = read(folder.path());
    assert_eq!(set.classes, ["cell"]);
    assert_eq!(
        problems(folder.path(), &set),
        ["`DIR/classes.txt`: is not used: it names other classes than `DIR/data.yaml`"]
    );
}

#[test]
fn a_byte_order_mark_changes_nothing() {
    let folder = folder(&[("a.txt", b"\xef\xbb\xbf0 .5 .5 .5 .5")]);
    let set = read(folder.path());
    assert_eq!((boxes(&set).len(), set.problems.len()), (1, 0));
}
