//! The arguments of `denan anchors`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::str::FromStr;

/// Arguments of `denan anchors`.
#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct AnchorsArguments {
    /// Files or folders with labels: Pascal VOC, COCO or YOLO.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// How many anchors.
    #[arg(short, long, default_value_t = 9, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub k: u16,
    /// Width and height of the network's input, in whose pixels the anchors are to be; one number for a square.
    #[arg(long, value_name = "W[xH]")]
    pub size: Option<Size>,
    /// How an image is brought to that size.
    #[arg(long, value_enum, default_value_t = Resize::Letterbox, requires = "size")]
    pub resize: Resize,
    /// Try all numbers of anchors from A to B as well, and say from which on more bring less.
    #[arg(long, value_name = "A..B")]
    pub sweep: Option<SweepRange>,
    /// Runs from different seeds, the best of which is made better.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub restarts: u32,
    /// What an anchor becomes of its boxes in each round.
    #[arg(long, value_enum, default_value_t = AnchorUpdate::IouMedian)]
    pub update: AnchorUpdate,
    /// The least IoU by which an anchor serves a box.
    #[arg(long, value_name = "IOU", default_value_t = 0.5, value_parser = share)]
    pub threshold: f64,
    /// Boxes to leave out.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND,…")]
    pub ignore: Vec<Ignored>,
    /// Split the anchors over this many levels of a feature pyramid, the smallest on the finest.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=16))]
    pub levels: Option<u16>,
    /// Draw boxes and anchors: a `.svg` or a `.html` file that is not there yet.
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}

const HELP: &str = "\
Exit code 0: anchors; 1: anchors, and boxes without an area or labels that cannot
be read; 2: wrong usage or no such file; 3: no boxes.

  denan anchors path/to/Annotations -k 9 --size 416
  denan anchors instances_train2017.json --size 640 --levels 3 --ignore crowd
  denan anchors path/to/yolo --sweep 2..12 --plot anchors.html";

/// Width and height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size(pub [f64; 2]);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| text.trim().parse::<u32>().ok().filter(|side| *side > 0).map(f64::from);
        let sides = match text.split_once(['x', 'X']) {
            Some((width, height)) => side(width).zip(side(height)),
            None => side(text).zip(side(text)),
        };
        let (width, height) = sides.ok_or("a size is 416 or 640x480, in pixels")?;
        Ok(Self([width, height]))
    }
}

/// Numbers of anchors, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SweepRange(pub u16, pub u16);

impl FromStr for SweepRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ends = text.split_once("..").and_then(|(from, to)| {
            Some((from.trim().parse().ok()?, to.trim().trim_start_matches('=').parse().ok()?))
        });
        match ends {
            Some((from, to)) if (1..=1000).contains(&from) && (from..=1000).contains(&to) => {
                Ok(Self(from, to))
            }
            _ => Err("a sweep is 2..12: two numbers from 1 to 1000, the lower one first".to_owned()),
        }
    }
}

/// How an image is brought to another size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Resize {
    /// As large as it fits in, its sides in their ratio, with bars beside or above.
    Letterbox,
    /// Stretched to all of it.
    Stretch,
}

impl Resize {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Letterbox => "letterbox",
            Self::Stretch => "stretch",
        }
    }
}

/// The middle of boxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AnchorUpdate {
    /// The median, each box weighted by its IoU with the anchor: climbs the mean IoU.
    IouMedian,
    /// The median.
    Median,
    /// The mean.
    Mean,
}

/// Boxes that need not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ignored {
    /// Of COCO: groups of objects.
    Crowd,
    /// Of VOC: objects that are hard to recognise.
    Difficult,
}

/// A number between 0 and 1.
fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("an IoU is a number from 0 to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ranges_are_read() {
        assert_eq!("416".parse(), Ok(Size([416.0, 416.0])));
        assert_eq!("640x480".parse(), Ok(Size([640.0, 480.0])));
        for bad in ["0", "640x", "x480", "-3", "640x480x3", "a"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
        assert_eq!("2..12".parse(), Ok(SweepRange(2, 12)));
        assert_eq!("2..=12".parse(), Ok(SweepRange(2, 12)));
        for bad in ["2", "12..2", "0..3", "a..b", "2..", "..4"] {
            assert!(bad.parse::<SweepRange>().is_err(), "{bad}");
        }
    }
}
