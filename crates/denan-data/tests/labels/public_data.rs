//! Public data sets, where a copy lies beside: `bccd` and `raccoon` in the folder of `DENAN_DATA`.

use super::*;
use denan_data::labels::Format;

fn public(name: &str) -> Option<LabelSet> {
    let folder = std::env::var_os("DENAN_DATA")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"), PathBuf::from);
    let folder = folder.join(name);
    if !folder.is_dir() {
        eprintln!("skipped: there is no folder {}; set DENAN_DATA", folder.display());
        return None;
    }
    Some(read(&folder))
}

#[test]
fn blood_cells_are_read() {
    let Some(set) = public("bccd") else { return };
    assert_eq!((set.format, set.images.len(), boxes(&set).len()), (Format::Voc, 364, 4888));
    assert_eq!(set.classes, ["Platelets", "RBC", "WBC"]);
    assert_eq!(set.problems, []);
    assert!(set.images.iter().all(|image| image.size == Some([640.0, 480.0])));
    let mut points = Vec::new();
    for image in &set.images {
        for one in &image.boxes {
            let [xmin, ymin, xmax, ymax] = one.corners;
            if xmin >= xmax || ymin >= ymax {
                points.push((image.image.as_deref().unwrap_or_default(), one.index, one.corners));
            }
        }
    }
    let known = [
        ("BloodImage_00338.jpg", 12, [504.0, 337.0, 504.0, 337.0]),
        ("BloodImage_00343.jpg", 3, [181.0, 329.0, 181.0, 329.0]),
    ];
    assert_eq!(points, known, "boxes without area");
}

#[test]
fn raccoons_are_read() {
    let Some(set) = public("raccoon") else { return };
    assert_eq!((set.format, set.images.len(), boxes(&set).len()), (Format::Voc, 200, 217));
    assert_eq!(set.problems, []);
}
