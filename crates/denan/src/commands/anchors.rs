//! `denan anchors PATH…`: anchor boxes for the labels of a data set.

use crate::args::{AnchorUpdate, AnchorsArguments, Common, Ignored, Resize, Size};
use crate::commands::scan::of_labels;
use crate::error::Error;
use crate::result::put_out;
use crate::terminal::Terminal;
use denan_anchors::{Clustering, Quality, Settings, Sizes, Update, best_iou, cluster, knee};
use denan_data::labels::{self, LabelSet, LabelledBox, LabelledImage};
use denan_finding::anchors::{
    AnchorShare, AnchorsResult, DegenerateBox, MOST_LISTED, Restarts, Sweep, SweepPoint, UnservedBox,
};
use denan_finding::render::{Format, anchors_svg, render_anchors};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::thread::available_parallelism;
use std::time::Instant;

/// Seed where none is given: the same labels give the same anchors.
const SEED: u64 = 0;

/// Reads labels, finds anchors, shows them.
pub fn anchors(arguments: &AnchorsArguments, common: &Common, terminal: &Terminal) -> Result<u8, Error> {
    if let Some(plot) = &arguments.plot {
        check_plot(plot)?;
    }
    let began = Instant::now();
    let labels = labels::read(&arguments.paths).map_err(of_labels)?;
    let boxes = Boxes::of(&labels, arguments)?;
    let read = began.elapsed().as_secs_f64();
    let sizes = Sizes::of(&boxes.sides);
    if sizes.is_empty() {
        return Err(Error::NothingThere {
            what: format!("there are {} labels, and no box with an area", labels.format),
            help: "name the folder that holds the labels of the data set".to_owned(),
        });
    }
    let settings = Settings {
        count: arguments.k.into(),
        restarts: arguments.restarts,
        seed: common.seed.unwrap_or(SEED),
        update: match arguments.update {
            AnchorUpdate::IouMedian => Update::IouMedian,
            AnchorUpdate::Median => Update::Median,
            AnchorUpdate::Mean => Update::Mean,
        },
        threads: available_parallelism().map_or(1, Into::into),
    };
    let clustering = cluster(&sizes, &settings);
    let clustered = began.elapsed().as_secs_f64() - read;
    let result = found(arguments, &labels, boxes, &sizes, &settings, clustering);
    if common.verbose {
        terminal.say(&format!("labels read in {read:.3} s, clustered in {clustered:.3} s"));
    }
    if let Some(plot) = &arguments.plot {
        draw(plot, &anchors_svg(&result, &sizes.thinned()))?;
    }
    let text = |format, color| render_anchors(&result, format, color, terminal.width);
    let json = |to: &mut dyn Write| to.write_all(text(Format::Json, false).as_bytes());
    put_out(common, terminal, json, |format| text(format, terminal.color))?;
    Ok(u8::from(result.degenerate_total > 0 || !result.problems.is_empty()))
}

/// What there is to cluster, and what not.
#[derive(Default)]
struct Boxes<'a> {
    sides: Vec<[f64; 2]>,
    /// Image and number of each.
    of: Vec<(&'a LabelledImage, u64)>,
    degenerate: Vec<DegenerateBox>,
    degenerate_total: u64,
    ignored: u64,
}

impl<'a> Boxes<'a> {
    fn of(labels: &'a LabelSet, arguments: &AnchorsArguments) -> Result<Self, Error> {
        let mut all = Self::default();
        let is_ignored = |found: &LabelledBox| {
            found.is_crowd && arguments.ignore.contains(&Ignored::Crowd)
                || found.is_difficult && arguments.ignore.contains(&Ignored::Difficult)
        };
        for image in &labels.images {
            for found in &image.boxes {
                if is_ignored(found) {
                    all.ignored += 1;
                    continue;
                }
                let [xmin, ymin, xmax, ymax] = found.corners;
                let sides = [xmax - xmin, ymax - ymin];
                if sides.iter().all(|side| *side > 0.0 && side.is_finite()) {
                    all.sides.push(scaled(sides, image, arguments)?);
                    all.of.push((image, found.index));
                    continue;
                }
                all.degenerate_total += 1;
                if all.degenerate.len() < MOST_LISTED {
                    all.degenerate.push(DegenerateBox {
                        file: image.file.display().to_string(),
                        index: found.index,
                        class: found.class.clone(),
                        corners: found.corners,
                    });
                }
            }
        }
        Ok(all)
    }

    /// Those that fit no anchor well, the worst first, and how many they are.
    fn unserved(&self, anchors: &[[f64; 2]], threshold: f64) -> (Vec<UnservedBox>, u64) {
        let fits = self.sides.iter().map(|sides| best_iou(*sides, anchors)).enumerate();
        let mut unserved: Vec<(usize, f64)> = fits.filter(|(_, iou)| *iou < threshold).collect();
        unserved.sort_by(|a, b| a.1.total_cmp(&b.1));
        let total = unserved.len() as u64;
        let listed = unserved.into_iter().take(MOST_LISTED).map(|(at, best_iou)| UnservedBox {
            file: self.of[at].0.file.display().to_string(),
            index: self.of[at].1,
            sides: self.sides[at],
            best_iou,
        });
        (listed.collect(), total)
    }
}

/// The sides of a box in the pixels that are asked for.
fn scaled(
    [width, height]: [f64; 2],
    image: &LabelledImage,
    arguments: &AnchorsArguments,
) -> Result<[f64; 2], Error> {
    let Some(Size([to_width, to_height])) = arguments.size else { return Ok([width, height]) };
    let is_stretched = arguments.resize == Resize::Stretch;
    let size = if image.is_normalised { None } else { image.size };
    match size {
        // In sides of the image, which become those of the input.
        None if image.is_normalised && is_stretched => Ok([width * to_width, height * to_height]),
        Some([own_width, own_height]) if own_width > 0.0 && own_height > 0.0 => {
            let (across, up) = (to_width / own_width, to_height / own_height);
            let fitting = across.min(up);
            Ok(if is_stretched { [width * across, height * up] } else { [width * fitting, height * fitting] })
        }
        _ => Err(Error::NotSupported {
            what: format!(
                "the size of the image of {} is not known, which --size needs",
                image.file.display()
            ),
            help: if image.is_normalised {
                "put the images beside their labels, or use --resize stretch, which needs no size of theirs"
            } else {
                "write <width> and <height> into the label, or leave --size out for pixels of the images"
            }
            .to_owned(),
        }),
    }
}

fn found(
    arguments: &AnchorsArguments,
    labels: &LabelSet,
    boxes: Boxes<'_>,
    sizes: &Sizes,
    settings: &Settings,
    clustering: Clustering,
) -> AnchorsResult {
    let quality = Quality::of(&clustering.anchors, sizes, arguments.threshold);
    let (unserved, unserved_total) = boxes.unserved(&clustering.anchors, arguments.threshold);
    let mut restarts = clustering.restarts.clone();
    restarts.sort_by(f64::total_cmp);
    let share =
        |share: &denan_anchors::PerAnchor| AnchorShare { count: share.boxes, mean_iou: share.mean_iou };
    AnchorsResult {
        denan: env!("CARGO_PKG_VERSION").to_owned(),
        k: settings.count,
        size: arguments.size.map(|Size(size)| size),
        resize: arguments.size.map(|_| arguments.resize.as_str()),
        images: labels.images.len() as u64,
        boxes: sizes.boxes(),
        mean_iou: quality.mean_iou,
        threshold: arguments.threshold,
        best_possible_recall: quality.recall,
        per_anchor: quality.per_anchor.iter().map(share).collect(),
        restarts: Restarts {
            n: restarts.len(),
            best: restarts.last().copied().unwrap_or(0.0),
            median: restarts.get(restarts.len() / 2).copied().unwrap_or(0.0),
            worst: restarts.first().copied().unwrap_or(0.0),
        },
        unserved,
        unserved_total,
        degenerate: boxes.degenerate,
        degenerate_total: boxes.degenerate_total,
        ignored: boxes.ignored,
        problems: labels.problems.iter().map(ToString::to_string).collect(),
        sweep: arguments.sweep.map(|range| sweep(range.0..=range.1, sizes, settings, arguments.threshold)),
        levels: levels(clustering.anchors.len(), arguments.levels.map_or(0, usize::from)),
        anchors: clustering.anchors,
        seed: settings.seed,
    }
}

fn sweep(range: std::ops::RangeInclusive<u16>, sizes: &Sizes, settings: &Settings, threshold: f64) -> Sweep {
    let point = |k: u16| {
        let anchors = cluster(sizes, &Settings { count: k.into(), ..*settings }).anchors;
        let quality = Quality::of(&anchors, sizes, threshold);
        SweepPoint { k: k.into(), mean_iou: quality.mean_iou, best_possible_recall: quality.recall }
    };
    let points: Vec<SweepPoint> = range.map(point).collect();
    let curve: Vec<(f64, f64)> = points.iter().map(|point| (point.k as f64, point.mean_iou)).collect();
    let knee = knee(&curve).map(|at| points[at].k);
    Sweep { points, knee }
}

/// Positions of anchors on levels: as evenly as can be, the finer ones with one more where they do not come out even.
fn levels(anchors: usize, count: usize) -> Vec<Vec<usize>> {
    let count = count.min(anchors);
    let mut from = 0;
    (0..count)
        .map(|level| {
            let to = from + anchors / count + usize::from(level < anchors % count);
            let own = (from..to).collect();
            from = to;
            own
        })
        .collect()
}

fn check_plot(path: &Path) -> Result<(), Error> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if !["svg", "html"].contains(&ending) {
        return Err(Error::NotSupported {
            what: format!("{} is neither .svg nor .html", path.display()),
            help: "name the file of the picture anchors.svg or anchors.html".to_owned(),
        });
    }
    match path.exists() {
        true => Err(unwritten(path, std::io::ErrorKind::AlreadyExists.into())),
        false => Ok(()),
    }
}

fn draw(path: &Path, svg: &str) -> Result<(), Error> {
    let is_page = path.extension().is_some_and(|ending| ending == "html");
    let page = || {
        format!(
            "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>denan anchors</title>\n\
             <body style=\"margin:0 auto;max-width:800px\">\n{svg}</body>\n</html>\n"
        )
    };
    let text = if is_page { page() } else { svg.to_owned() };
    let written = OpenOptions::new().write(true).create_new(true).open(path);
    written.and_then(|mut file| file.write_all(text.as_bytes())).map_err(|source| unwritten(path, source))
}

fn unwritten(path: &Path, source: std::io::Error) -> Error {
    Error::File {
        action: "draw into",
        path: path.to_owned(),
        source,
        help: "name a file that is not there yet with --plot FILE".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_as_even_as_can_be() {
        assert_eq!(levels(9, 3), [vec![0, 1, 2], vec![3, 4, 5], vec![6, 7, 8]]);
        assert_eq!(levels(5, 3), [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(levels(2, 3), [vec![0], vec![1]]);
        assert_eq!(levels(9, 0), Vec::<Vec<usize>>::new());
    }
}
