use super::*;
use denan_data::labels::Format;

fn one(xml: impl AsRef<[u8]>) -> (LabelSet, Vec<String>) {
    let folder = folder(&[("Annotations/a.xml", xml.as_ref())]);
    let set = read(folder.path());
    let problems = problems(folder.path(), &set);
    (set, problems)
}

#[test]
fn an_annotation_is_read_whole() {
    let xml = annotation(
        "<object><name> red &amp; white&#32;cell</name><difficult>1</difficult><truncated>1</truncated>\
         <part><name>no</name><bndbox><xmin>7</xmin></bndbox></part>\
         <bndbox><xmin>1.5</xmin><ymin>2</ymin><xmax>30</xmax><ymax>4e1</ymax></bndbox></object>",
    );
    let (set, problems) = one(xml);
    assert_eq!((set.format, set.images.len()), (Format::Voc, 1));
    let image = &set.images[0];
    assert_eq!(
        (image.image.as_deref(), image.size, image.is_normalised),
        (Some("a.jpg"), Some([640.0, 480.0]), false)
    );
    assert_eq!(
        image.boxes,
        [LabelledBox {
            index: 0,
            class: Some("red & white cell".to_owned()),
            corners: [1.5, 2.0, 30.0, 40.0],
            is_crowd: false,
            is_difficult: true,
        }]
    );
    assert_eq!(set.classes, ["red & white cell"]);
    assert_eq!(problems, [""; 0]);
}

#[test]
fn bad_boxes_are_kept_as_annotated() {
    let sides =
        [["5", "5", "5", "9"], ["9", "9", "1", "1"], ["-3", "0", "1e999", "1e300"], ["nan", "0", "1", "1"]];
    let (set, problems) = one(annotation(&sides.map(|corners| object("cell", corners)).concat()));
    let read = corners(&set);
    assert_eq!(read[..2], [[5.0, 5.0, 5.0, 9.0], [9.0, 9.0, 1.0, 1.0]]);
    assert_eq!(read[2], [-3.0, 0.0, f64::INFINITY, 1e300]);
    assert!(read[3][0].is_nan());
    assert_eq!(problems, [""; 0]);
}

#[test]
fn what_is_wrong_with_an_object_is_told_and_counts() {
    let objects = [
        "<object><name>a</name></object>".to_owned(),
        "<object><bndbox><xmin>1</xmin><ymax>1</ymax></bndbox></object>".to_owned(),
        object("b", ["1", "two\u{1b}[31m", "3", "4"]),
        "<object><bndbox><xmin/><ymin>1</ymin><xmax>1</xmax><ymax>1</ymax></bndbox></object>".to_owned(),
        object("c", ["1", "2", "3", "4"]).replace("</object>", "<bndbox><xmin>9</xmin></bndbox></object>"),
    ];
    let (set, problems) = one(annotation(&objects.concat()));
    assert_eq!(corners(&set), [[1.0, 2.0, 3.0, 4.0]]);
    assert_eq!(boxes(&set)[0].index, 4);
    assert_eq!(
        problems,
        [
            "`DIR/Annotations/a.xml`, object 0: has no `<bndbox>`",
            "`DIR/Annotations/a.xml`, object 1: its `<bndbox>` has no `<ymin>`, `<xmax>`",
            "`DIR/Annotations/a.xml`, object 2: its `<ymin>` is `two\\u{1b}[31m` and not a number",
            "`DIR/Annotations/a.xml`, object 3: its `<xmin>` is `` and not a number",
            "`DIR/Annotations/a.xml`, object 4: has 2 `<bndbox>`, of which the first is read",
        ]
    );
}

#[test]
fn a_cut_annotation_keeps_what_comes_before() {
    let whole =
        annotation(&object("cell", ["1", "2", "3", "4"]).repeat(3)).replace("<object>", "\r\n<object>");
    let (set, problems) = one(&whole[..whole.len() - 80]);
    assert_eq!(boxes(&set).len(), 2);
    assert_eq!(
        problems,
        ["`DIR/Annotations/a.xml`, line 4: the file ends within `<xmin>`; what follows is not read"]
    );
}

#[test]
fn windows_and_older_encodings_are_read() {
    let xml = annotation(&object("cell", ["1", "2", "3", "4"])).replace('>', ">\r\n");
    let (set, problems) = one(format!("\u{feff}<?xml version=\"1.0\"?>\r\n{xml}"));
    assert_eq!(
        (corners(&set), set.classes, problems),
        (vec![[1.0, 2.0, 3.0, 4.0]], vec!["cell".to_owned()], vec![])
    );

    let (set, problems) =
        one(annotation(&object("Zell\u{1}", ["1", "2", "3", "4"])).replace('\u{1}', "\u{fffd}"));
    assert_eq!((boxes(&set).len(), problems.len()), (1, 0));
    let latin = annotation(&object("?", ["1", "2", "3", "4"])).into_bytes();
    let latin: Vec<u8> = latin.into_iter().map(|byte| if byte == b'?' { 0xe9 } else { byte }).collect();
    let (set, problems) = one(latin);
    assert_eq!(set.classes, ["\u{fffd}"]);
    assert!(problems[0].contains("is not UTF-8"), "{problems:?}");
}

#[test]
fn an_annotation_without_objects_is_an_image_without_boxes() {
    let (set, problems) = one("<annotation/>");
    assert_eq!((set.images.len(), set.images[0].size, problems.len()), (1, None, 0));
}

#[test]
fn a_size_that_is_no_number_is_told() {
    let (set, problems) = one(annotation("").replace("640", "wide"));
    assert_eq!(set.images[0].size, None);
    assert_eq!(problems, ["`DIR/Annotations/a.xml`: the image's `<width>` is `wide` and not a number"]);
}

#[test]
fn entities_are_not_expanded() {
    let bomb = format!(
        "<!DOCTYPE annotation [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;\"><!ENTITY c SYSTEM \"file:///etc/passwd\">]>\n{}",
        annotation(&format!(
            "{}{}",
            object("&b;", ["1", "2", "3", "4"]),
            object("x", ["&c;", "2", "3", "4"])
        ))
    );
    let (set, problems) = one(bomb);
    assert_eq!(set.classes, ["&b;"]);
    assert_eq!(
        problems,
        [
            "`DIR/Annotations/a.xml`, line 2: `&b;` is no entity of XML and is not expanded",
            "`DIR/Annotations/a.xml`, object 1: its `<xmin>` is `&c;` and not a number",
        ]
    );
}

#[test]
fn endless_nesting_is_refused() {
    let (set, problems) = one(format!("<annotation>{}", "<a>".repeat(1_000_000)));
    assert_eq!(set.images.len(), 1);
    assert!(problems[0].contains("elements lie more than 64 deep"), "{problems:?}");
}
