//! Labels of YOLO: one text file an image, in each line `class x y width height`.
//!
//! `x` and `y` are the centre, all in sides of the image. A line with more numbers is a polygon for segmentation or an
//! oriented box (Ultralytics, "Instance Segmentation Datasets Overview"); its bounds are the box.

use super::files::Files;
use super::image_beside::Images;
use super::problem::quoted;
use super::yolo_names::Names;
use super::{Format, LabelledBox, LabelledImage, Part, Place, Problem, text};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Text files that lie beside labels and are none.
const OTHER_TEXTS: [&str; 9] =
    ["train", "val", "valid", "test", "trainval", "readme", "license", "requirements", "notes"];

/// Reads all label files among the text files.
pub(super) fn read(files: &Files, paths: &[PathBuf]) -> Part {
    let mut part = Part::new(Format::Yolo);
    if files.txt.is_empty() {
        return part;
    }
    let mut names_problems = Vec::new();
    let names = Names::find(&files.names, paths, &mut names_problems);
    let mut images = Images::default();
    let mut folders = HashSet::new();
    let (mut blank, mut other) = (Vec::new(), Vec::new());
    for candidate in &files.txt {
        let file = candidate.path.as_path();
        match text::read(file) {
            Ok(text) => match Kind::of(&text.text) {
                Kind::Blank if !candidate.is_named => blank.push(file),
                Kind::Other => other.push(candidate),
                Kind::Labels | Kind::Blank => {
                    part.count_file(file);
                    folders.extend(file.parent());
                    part.problems.extend(text.problem);
                    part.add(file, &text.text, &names, &mut images);
                }
            },
            Err(problem) => part.problems.push(problem),
        }
    }

    for candidate in other {
        let file = candidate.path.as_path();
        let is_beside = file.parent().is_some_and(|folder| folders.contains(folder));
        if candidate.is_named || is_beside && !is_other_text(file) {
            let message = "is not read: most of its lines are not `class x y width height`";
            part.problems.push(Problem::of_file(file, message));
        }
    }
    if part.label_files > 0 {
        // An image without objects has an empty label file, but an empty text file alone says nothing.
        for file in blank.into_iter().filter(|file| !is_other_text(file)) {
            part.add(file, "", &names, &mut images);
        }
        part.problems.append(&mut names_problems);
        part.classes = names.in_order();
    }
    part
}

/// What a text file is.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Labels,
    Blank,
    Other,
}

impl Kind {
    /// Labels if at least half of the lines are numbers; the other half are then its problems.
    fn of(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let (mut good, mut bad) = (0u64, 0u64);
        for line in lines {
            let is_label = line.split_whitespace().nth(4).is_some()
                && line.split_whitespace().all(|token| token.parse::<f64>().is_ok());
            if is_label { good += 1 } else { bad += 1 }
        }
        match good {
            0 if bad == 0 => Self::Blank,
            _ if good >= bad => Self::Labels,
            _ => Self::Other,
        }
    }
}

fn is_other_text(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    // `README.roboflow.txt` is one too.
    OTHER_TEXTS.contains(&name.split('.').next().unwrap_or_default())
}

impl Part {
    fn add(&mut self, file: &Path, text: &str, names: &Names, images: &mut Images) {
        let beside = images.of(file, &mut self.problems);
        let sides = beside.size.unwrap_or([1.0, 1.0]);
        let mut boxes = Vec::new();
        let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
        for (index, (line, number)) in (0..).zip(lines) {
            let mut tell =
                |message: String| self.problems.push(Problem::at(file, Place::Line(number), message));
            let numbers: Result<Vec<f64>, _> = line.split_whitespace().map(str::parse).collect();
            let Ok(numbers) = numbers else {
                tell(format!("{} is not `class x y width height`", quoted(line.trim())));
                continue;
            };
            let Some(corners) = corners(&numbers, names.with_keypoints) else {
                let count = numbers.len();
                tell(format!("has {count} numbers; a box has 5, a polygon a class and at least 3 pairs"));
                continue;
            };
            let class = class(numbers[0]);
            match class {
                None => tell(format!("its class is {} and not a whole number", numbers[0])),
                Some(class) if !names.is_empty() && names.get(class).is_none() => {
                    tell(format!("its class {class} has no name in {}", names.source()));
                }
                Some(_) => {}
            }
            let class = class.map(|class| names.get(class).map_or_else(|| class.to_string(), str::to_owned));
            let [xmin, ymin, xmax, ymax] = corners;
            let corners = [xmin * sides[0], ymin * sides[1], xmax * sides[0], ymax * sides[1]];
            boxes.push(LabelledBox { index, class, corners, is_crowd: false, is_difficult: false });
        }
        self.images.push(LabelledImage {
            file: file.to_owned(),
            image: beside.name,
            size: beside.size,
            is_normalised: beside.size.is_none(),
            boxes,
        });
    }
}

/// The corners in sides of the image; `None` if it is neither a box nor a polygon.
pub(crate) fn corners(numbers: &[f64], with_keypoints: bool) -> Option<[f64; 4]> {
    match numbers {
        [_, x, y, width, height] => Some(around(*x, *y, *width, *height)),
        [_, x, y, width, height, ..] if with_keypoints => Some(around(*x, *y, *width, *height)),
        [_, points @ ..] if points.len() >= 6 && points.len().is_multiple_of(2) => {
            let bound = |axis: usize, beyond: fn(f64, f64) -> bool| {
                let mut values = points.iter().copied().skip(axis).step_by(2);
                let first = values.next().unwrap_or(f64::NAN);
                // A NaN must not vanish, as it would by `f64::min`.
                values.fold(
                    first,
                    |bound, value| if value.is_nan() || beyond(value, bound) { value } else { bound },
                )
            };
            let (less, greater) = (|a, b| a < b, |a, b| a > b);
            Some([bound(0, less), bound(1, less), bound(0, greater), bound(1, greater)])
        }
        _ => None,
    }
}

fn around(x: f64, y: f64, width: f64, height: f64) -> [f64; 4] {
    [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0]
}

/// The number of a class, which some tools write as `3.0`.
fn class(number: f64) -> Option<u64> {
    (number >= 0.0 && number.fract() == 0.0 && number < 2f64.powi(53)).then_some(number as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_of_a_polygon_keep_its_nan() {
        assert_eq!(corners(&[0.0, 0.5, 0.1, 0.2, 0.9, 0.4, 0.3], false), Some([0.2, 0.1, 0.5, 0.9]));
        for at in [1, 3, 5] {
            let mut numbers = [0.0, 0.5, 0.1, 0.2, 0.9, 0.4, 0.3];
            numbers[at] = f64::NAN;
            let [xmin, ymin, xmax, ymax] = corners(&numbers, false).unwrap();
            assert!(xmin.is_nan() && xmax.is_nan() && !ymin.is_nan() && !ymax.is_nan(), "NaN at {at}");
        }
    }

    #[test]
    fn keypoints_are_no_polygon() {
        let numbers = [0.0, 0.5, 0.5, 0.2, 0.2, 0.9, 0.9];
        assert_eq!(corners(&numbers, true), corners(&numbers[..5], false));
        assert_eq!(corners(&numbers[..6], false), None);
    }

    #[test]
    fn a_text_is_labels_if_most_of_its_lines_are() {
        assert!(Kind::of("0 .1 .1 .2 .2\n\n x\r\n") == Kind::Labels);
        assert!(Kind::of("0 .1 .1 .2 .2\nx\ny") == Kind::Other);
        assert!(Kind::of("000001 -1\n") == Kind::Other);
        assert!(Kind::of(" \r\n") == Kind::Blank);
    }
}
