//! Label files, written anew without the boxes that checks find, or with these repaired.
//!
//! What becomes of each box is decided once for the whole set. Then a file's text is changed in the places of those
//! boxes only, whatever its format; all other bytes stay.

mod coco;
#[cfg(test)]
mod tests;
mod voc;
mod yolo;

use super::audit::{Audit, Change};
use super::repair::{Action, Actions};
use super::{copy, create};
use crate::checks::{SameAs, in_words, is_degenerate, is_inverted, is_non_finite, is_tiny, leaves, same_as};
use crate::labels::{Format, LabelSet, LabelledBox, LabelledImage};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What becomes of the boxes of a set.
pub(super) struct Repaired {
    format: Format,
    /// By their paths without links, since a file may be reached by several.
    files: HashMap<PathBuf, Repairs>,
}

fn without_links(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.to_owned())
}

/// The boxes of a file that do not stay as they are, by their number.
type Repairs = BTreeMap<u64, Repair>;

/// What becomes of a box.
struct Repair {
    before: [f64; 4],
    /// `None` if it goes.
    after: Option<[f64; 4]>,
    numbers: Numbers,
    steps: Vec<Step>,
}

/// What is done to a box on behalf of a check.
struct Step {
    check: &'static str,
    before: [f64; 4],
    /// `None` if it goes.
    after: Option<[f64; 4]>,
}

impl Repaired {
    /// What is done with the boxes of these labels, by the actions.
    pub(super) fn new(labels: &LabelSet, actions: &Actions) -> Self {
        let mut files = HashMap::new();
        for images in labels.images.chunk_by(|a, b| a.file == b.file) {
            let repairs: &mut Repairs = files.entry(without_links(&images[0].file)).or_default();
            for image in images {
                let mut seen = HashSet::new();
                for found in &image.boxes {
                    let repair = Repair::new(labels.format, image, found, &mut seen, actions);
                    repairs.extend(repair.map(|repair| (found.index, repair)));
                }
            }
        }
        Self { format: labels.format, files }
    }

    /// Whether a file is one of the labels', by its path.
    pub(super) fn has(&self, file: &Path) -> bool {
        self.files.contains_key(&without_links(file))
    }

    /// Writes a label file anew; to nowhere if only the audit is to be told what would change.
    pub(super) fn write(&self, file: &Path, to: Option<&Path>, audit: &mut Audit) -> Result<(), String> {
        let Some(repairs) = self.files.get(&without_links(file)).filter(|repairs| !repairs.is_empty()) else {
            return copy(file, to);
        };
        for (index, repair) in repairs {
            repair.steps.iter().for_each(|step| audit.tell(&step.change(file, *index)));
        }
        let Some(to) = to else { return Ok(()) };
        let done = match self.format {
            Format::Coco => {
                let from = File::open(file).map_err(|error| error.to_string())?;
                let mut out = create(to)?;
                let done = coco::write(BufReader::new(from), &mut out, repairs);
                done.and_then(|done| out.flush().map(|()| done)).map_err(|error| error.to_string())?
            }
            Format::Voc | Format::Yolo => {
                let bytes = fs::read(file).map_err(|error| error.to_string())?;
                let is_voc = self.format == Format::Voc;
                let (bytes, done) =
                    if is_voc { voc::written(&bytes, repairs) } else { yolo::written(&bytes, repairs) };
                let mut out = create(to)?;
                out.write_all(&bytes).and_then(|()| out.flush()).map_err(|error| error.to_string())?;
                done
            }
        };
        // Else the copy would not be what the audit says.
        if done == repairs.len() { Ok(()) } else { Err("it has changed since it was read".to_owned()) }
    }
}

impl Repair {
    /// Of a box, if it does not stay as it is; `seen` are the boxes of its image that stay.
    fn new<'a>(
        format: Format,
        image: &LabelledImage,
        found: &'a LabelledBox,
        seen: &mut HashSet<SameAs<'a>>,
        actions: &Actions,
    ) -> Option<Self> {
        let before = found.corners;
        let numbers = Numbers { format, unit: image.size.unwrap_or([1.0, 1.0]) };
        let mut steps = Vec::new();
        let passed = passed(image, before, actions, &mut steps);
        let passed = passed.and_then(|corners| {
            let again = if steps.is_empty() { before } else { numbers.read_again(&before, &corners) };
            let is_new = seen.insert(same_as(found, &again));
            if is_new { Ok(corners) } else { unless_kept("duplicate-box", actions).map_or(Ok(corners), Err) }
        });
        if let Err(check) = passed {
            // What was repaired before is of no interest any more.
            steps = vec![Step { check, before, after: None }];
        }
        (!steps.is_empty()).then(|| Self { before, after: passed.ok(), numbers, steps })
    }

    /// The axes along which the repaired corners are others.
    fn moved(&self, after: &[f64; 4]) -> impl Iterator<Item = usize> {
        moved(&self.before, after)
    }
}

fn moved(before: &[f64; 4], after: &[f64; 4]) -> impl Iterator<Item = usize> {
    let is_moved = [0, 1].map(|axis| before[axis] != after[axis] || before[axis + 2] != after[axis + 2]);
    (0..2).filter(move |axis| is_moved[*axis])
}

/// In which numbers a file tells a box.
struct Numbers {
    format: Format,
    /// The size of the image, in which YOLO counts; 1 where it is not known.
    unit: [f64; 2],
}

impl Numbers {
    /// The two numbers for an axis, which stand two places from each other in every format.
    fn of(&self, corners: &[f64; 4], axis: usize) -> [f64; 2] {
        let [low, high] = [corners[axis], corners[axis + 2]];
        match self.format {
            Format::Voc => [low, high],
            Format::Coco => [low, high - low].map(|number| without_noise(number, 9)),
            Format::Yolo => {
                let [low, high] = [low, high].map(|corner| corner / self.unit[axis]);
                [f64::midpoint(low, high), high - low].map(|number| without_noise(number, 12))
            }
        }
    }

    /// The repaired corners as they will be read, down to the last bit.
    fn read_again(&self, before: &[f64; 4], after: &[f64; 4]) -> [f64; 4] {
        let mut corners = *before;
        for axis in moved(before, after) {
            let [first, second] = self.of(after, axis);
            [corners[axis], corners[axis + 2]] = match self.format {
                Format::Voc => [first, second],
                Format::Coco => [first, first + second],
                Format::Yolo => {
                    [first - second / 2.0, first + second / 2.0].map(|share| share * self.unit[axis])
                }
            };
        }
        corners
    }
}

/// The corners of a box after all repairs, or the check by which it goes.
fn passed(
    image: &LabelledImage,
    mut corners: [f64; 4],
    actions: &Actions,
    steps: &mut Vec<Step>,
) -> Result<[f64; 4], &'static str> {
    let stays = |check| unless_kept(check, actions).map_or(Ok(()), Err);
    let mut repair = |check, corners: &mut [f64; 4], after| {
        let before = std::mem::replace(corners, after);
        steps.push(Step { check, before, after: Some(after) });
    };
    if is_non_finite(&corners) {
        return stays("non-finite-box").map(|()| corners);
    }
    if is_inverted(&corners) {
        match actions.of("inverted-box") {
            Action::Clip => {
                let [x, y, other_x, other_y] = corners;
                let after = [x.min(other_x), y.min(other_y), x.max(other_x), y.max(other_y)];
                repair("inverted-box", &mut corners, after);
            }
            _ => stays("inverted-box")?,
        }
    }
    if is_degenerate(&corners) {
        stays("degenerate-box")?;
    }
    if let Some([width, height]) = leaves(image, &corners) {
        match actions.of("box-outside-image") {
            Action::Clip => {
                let [xmin, ymin, xmax, ymax] = corners;
                let [xmin, xmax] = [xmin, xmax].map(|x| x.clamp(0.0, width));
                let [ymin, ymax] = [ymin, ymax].map(|y| y.clamp(0.0, height));
                if xmin == xmax || ymin == ymax {
                    return Err("box-outside-image");
                }
                repair("box-outside-image", &mut corners, [xmin, ymin, xmax, ymax]);
            }
            _ => stays("box-outside-image")?,
        }
    }
    if is_tiny(image, &corners) {
        stays("tiny-box")?;
    }
    Ok(corners)
}

/// A check, unless the boxes that it finds are kept.
fn unless_kept(check: &'static str, actions: &Actions) -> Option<&'static str> {
    Some(check).filter(|check| actions.of(check) != Action::Keep)
}

impl Step {
    fn change(&self, file: &Path, index: u64) -> Change {
        Change {
            file: file.display().to_string(),
            labelled_box: Some(index),
            rule: self.check.to_owned(),
            action: if self.after.is_none() { "drop-box" } else { "clamp-box" }.to_owned(),
            before: Some(in_words(&self.before)),
            after: self.after.as_ref().map(in_words),
            ..Change::default()
        }
    }
}

/// Another text in the place of one.
type Edit = (Range<usize>, String);

/// The bytes with these places changed.
fn edited(bytes: &[u8], mut edits: Vec<Edit>) -> Vec<u8> {
    edits.sort_by_key(|(at, _)| at.start);
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for (at, text) in edits {
        out.extend_from_slice(&bytes[from..at.start]);
        out.extend_from_slice(text.as_bytes());
        from = at.end;
    }
    out.extend_from_slice(&bytes[from..]);
    out
}

/// A number in the place of one, written like it: whole numbers without a point where that had none.
fn number(old: &str, new: f64) -> String {
    let is_integer = !old.contains(['.', 'e', 'E']);
    match new.fract() == 0.0 {
        true if is_integer => new.to_string(),
        true => format!("{new:.1}"),
        false => new.to_string(),
    }
}

/// A number that was computed, without the last places that are noise: 0.3 for 0.30000000000000004.
fn without_noise(value: f64, places: i32) -> f64 {
    let scale = 10f64.powi(places);
    let rounded = (value * scale).round() / scale;
    if rounded.is_finite() && rounded != 0.0 { rounded } else { value }
}
