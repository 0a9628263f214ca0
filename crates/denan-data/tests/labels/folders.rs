use super::*;
use denan_data::labels::{Error, Format};

const JSON: &[u8] = br#"{"images": [{"id": 1}], "annotations": []}"#;

#[test]
fn images_are_sorted_by_path_and_a_broken_file_costs_only_itself() {
    let good = annotation(&object("cell", ["1", "2", "3", "4"]));
    let folder = folder(&[
        ("b/c.xml", good.as_bytes()),
        ("a.XML", good.as_bytes()),
        ("b/broken.xml", b"<<<"),
        ("b/empty.xml", b""),
        ("pom.xml", b"<project/>"),
        (".hidden.xml", good.as_bytes()),
        ("tsconfig.json", b"{\"compilerOptions\": {}}"),
        ("requirements.txt", b""),
        ("ImageSets/train.txt", b"a\nc\n"),
    ]);
    let set = read(folder.path());
    let files: Vec<_> =
        set.images.iter().map(|image| image.file.strip_prefix(folder.path()).unwrap()).collect();
    assert_eq!(files, [Path::new("a.XML"), Path::new("b/c.xml")]);
    let problems = problems(folder.path(), &set);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("`DIR/b/broken.xml`, line 1: "), "{problems:?}");
    assert_eq!(problems[1], "`DIR/b/empty.xml`: is not XML: it has no element");
}

#[test]
fn a_folder_without_labels_is_an_error_that_tells_what_was_looked_for() {
    let looked_for = "looked for Pascal VOC (`*.xml` with the root `annotation`), COCO (`*.json` with `images` and \
                      `annotations`) and YOLO (`*.txt` with `class x y width height` in each line)";
    let way_out = "; name the file or folder that holds the labels";
    let empty = folder(&[]);
    assert_eq!(error(empty.path()), format!("`DIR` holds no labels: {looked_for}{way_out}"));
    let others = folder(&[("a.json", b"[1, {}]"), ("b.txt", b"hello"), ("c.txt", b""), ("d.xml", b"<svg/>")]);
    assert_eq!(error(others.path()), format!("`DIR` holds no labels: {looked_for}{way_out}"));
    let broken = folder(&[("a.json", b"{\"images"), ("b.xml", b"")]);
    assert_eq!(
        error(broken.path()),
        format!(
            "`DIR` holds no labels: {looked_for}, but could not read `DIR/a.json`, line 1: is not JSON: EOF while \
             parsing a string (and 1 more){way_out}"
        )
    );
}

#[test]
fn a_folder_of_several_formats_is_an_error_that_names_them() {
    let folder = folder(&[
        ("a.xml", annotation("").as_bytes()),
        ("b.xml", annotation("").as_bytes()),
        ("c.json", JSON),
        ("d.txt", b"0 1 1 1 1"),
    ]);
    assert_eq!(
        error(folder.path()),
        "`DIR` mixes labels of several formats: 2 files of Pascal VOC such as `DIR/a.xml`, 1 file of COCO such as \
         `DIR/c.json`, 1 file of YOLO such as `DIR/d.txt`; name the files or the folder of one of them"
    );
    let set = labels::read(&[at(&folder, "c.json")]).unwrap();
    assert_eq!(set.format, Format::Coco, "the way out leads out");
}

#[test]
fn a_named_file_that_is_no_label_file_is_told() {
    let folder = folder(&[
        ("a.xml", annotation("").as_bytes()),
        ("b.csv", b"1"),
        ("c.txt", b"hello"),
        ("d.json", b"{}"),
        ("e.xml", b"<svg/>"),
    ]);
    let paths = ["a.xml", "b.csv", "c.txt", "d.json", "e.xml"].map(|name| at(&folder, name));
    let set = labels::read(&paths).unwrap();
    assert_eq!(set.images.len(), 1);
    assert_eq!(
        problems(folder.path(), &set),
        [
            "`DIR/b.csv`: is not read: label files end in `.xml`, `.json` or `.txt`",
            "`DIR/c.txt`: is not read: most of its lines are not `class x y width height`",
            "`DIR/d.json`: is not read: it has no `images` and `annotations`",
            "`DIR/e.xml`: is not read: its root is `svg` and not `annotation`",
        ]
    );
}

#[test]
fn a_path_that_is_not_there_is_an_error() {
    let folder = folder(&[]);
    let gone = labels::read(&[at(&folder, "gone")]).unwrap_err();
    assert!(matches!(&gone, Error::Io { path, .. } if path.ends_with("gone")), "{gone}");
    assert!(matches!(labels::read(&[]), Err(Error::NoPaths)));
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_loops_are_not() {
    let outside = folder(&[("a.xml", annotation("").as_bytes())]);
    let folder = folder(&[("b.xml", annotation("").as_bytes())]);
    std::os::unix::fs::symlink(outside.path(), at(&folder, "linked")).unwrap();
    std::os::unix::fs::symlink(outside.path(), at(&folder, "twice")).unwrap();
    std::os::unix::fs::symlink(folder.path(), at(&folder, "loop")).unwrap();
    std::os::unix::fs::symlink(at(&folder, "nowhere"), at(&folder, "dangling.xml")).unwrap();
    let set = read(folder.path());
    let files: Vec<_> =
        set.images.iter().map(|image| image.file.strip_prefix(folder.path()).unwrap()).collect();
    assert_eq!(files, [Path::new("b.xml"), Path::new("linked/a.xml")]);
    let problems = problems(folder.path(), &set);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("`DIR/dangling.xml`: cannot be read: "), "{problems:?}");
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_waited_for() {
    let folder = folder(&[("a.xml", annotation("").as_bytes())]);
    let pipe = at(&folder, "b.xml");
    if !std::process::Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: there is no mkfifo");
        return;
    }
    assert_eq!(read(folder.path()).images.len(), 1);
    assert!(matches!(labels::read(&[pipe]), Err(Error::Io { .. })));
}
