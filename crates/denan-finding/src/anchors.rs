//! What `denan anchors` has to say.

use serde::Serialize;

/// Anchors for the boxes of a data set: the document `denan/anchors/v1` but for its name.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct AnchorsResult {
    /// Version of denan.
    pub denan: String,
    /// How many anchors were asked for.
    pub k: usize,
    /// Width and height of the input that the anchors are for; none where they are in pixels of the images.
    pub size: Option<[f64; 2]>,
    /// How boxes get from an image to that size.
    pub resize: Option<&'static str>,
    /// Images with labels.
    pub images: u64,
    /// Boxes that the anchors were made for.
    pub boxes: u64,
    /// Width and height of each, sorted by area.
    pub anchors: Vec<[f64; 2]>,
    /// Mean over the boxes of the IoU with the anchor that fits best.
    pub mean_iou: f64,
    /// The least IoU by which an anchor serves a box.
    pub threshold: f64,
    /// Share of the boxes that an anchor serves.
    pub best_possible_recall: f64,
    /// Of each anchor, in their order.
    pub per_anchor: Vec<AnchorShare>,
    /// Mean IoU of the runs from different seeds.
    pub restarts: Restarts,
    /// The boxes that no anchor serves, the worst first; no more than [`MOST_LISTED`].
    pub unserved: Vec<UnservedBox>,
    /// How many there are.
    pub unserved_total: u64,
    /// Boxes without an area, which no anchor is for; no more than [`MOST_LISTED`].
    pub degenerate: Vec<DegenerateBox>,
    /// How many there are.
    pub degenerate_total: u64,
    /// Boxes that were left out because that was asked for: crowds, difficult ones.
    pub ignored: u64,
    /// Labels that could not be read.
    pub problems: Vec<String>,
    /// What other numbers of anchors reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep: Option<Sweep>,
    /// Positions of the anchors on each level of a pyramid, the finest first; none if they are not split.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<Vec<usize>>,
    /// What was left to chance.
    pub seed: u64,
}

/// Boxes that are listed one by one in a result.
pub const MOST_LISTED: usize = 1000;

/// The boxes that an anchor fits best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct AnchorShare {
    /// How many.
    pub count: u64,
    /// Their mean IoU with it.
    pub mean_iou: f64,
}

/// Mean IoU of several runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Restarts {
    /// How many.
    pub n: usize,
    /// Of the best one, before it was made better.
    pub best: f64,
    /// Of the one in the middle.
    pub median: f64,
    /// Of the worst one.
    pub worst: f64,
}

/// A box that no anchor serves.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct UnservedBox {
    /// File of its label.
    pub file: String,
    /// 0-based number in its image.
    #[serde(rename = "box")]
    pub index: u64,
    /// Width and height in the unit of the anchors.
    pub sides: [f64; 2],
    /// IoU with the anchor that fits best.
    pub best_iou: f64,
}

/// A box without an area.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct DegenerateBox {
    /// File of its label.
    pub file: String,
    /// 0-based number in its image.
    #[serde(rename = "box")]
    pub index: u64,
    /// Its class, where it has one.
    pub class: Option<String>,
    /// `xmin, ymin, xmax, ymax` as in the label.
    #[serde(serialize_with = "crate::render::numbers")]
    pub corners: [f64; 4],
}

/// Anchors in other numbers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sweep {
    /// By rising number.
    pub points: Vec<SweepPoint>,
    /// The number from which on more bring less; none where the curve has no knee.
    pub knee: Option<usize>,
}

/// What a number of anchors reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct SweepPoint {
    /// How many anchors.
    pub k: usize,
    /// As of [`AnchorsResult`].
    pub mean_iou: f64,
    /// As of [`AnchorsResult`].
    pub best_possible_recall: f64,
}
