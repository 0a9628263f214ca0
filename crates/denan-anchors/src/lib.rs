//! Anchor boxes for a detector: widths and heights that fit the boxes of a data set.
//!
//! [`Sizes`] are the widths and heights of a data set's boxes, [`cluster`] finds anchors for them by k-means in IoU space
//! (Redmon and Farhadi 2017, "YOLO9000", section 2), and [`Quality`] tells how well anchors serve them. The distance of a
//! box from an anchor is 1 - IoU, as if both had the same centre, so that large boxes do not count for more than small ones.
//!
//! ```
//! use denan_anchors::{Quality, Settings, Sizes, cluster};
//!
//! let sizes = Sizes::of(&[[10.0, 12.0], [11.0, 12.0], [100.0, 40.0], [98.0, 44.0]]);
//! let found = cluster(&sizes, &Settings { count: 2, ..Settings::default() });
//! assert!(found.anchors[0][0] < 12.0 && found.anchors[1][0] > 97.0, "sorted by area");
//! assert_eq!(Quality::of(&found.anchors, &sizes, 0.5).recall, 1.0);
//! ```

#![deny(missing_docs)]

mod climb;
mod cluster;
mod draw;
mod iou;
mod quality;
mod rounds;
mod sizes;
mod sweep;

pub use cluster::{Clustering, Settings, cluster};
pub use iou::{best_iou, iou};
pub use quality::{PerAnchor, Quality};
pub use rounds::Update;
pub use sizes::Sizes;
pub use sweep::knee;
