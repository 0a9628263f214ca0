//! Data sets: readers of files that people and other programs wrote, within bounds, and checks of what they hold.
//!
//! [`labels::read`] reads the boxes of a labelled data set in the layout of Pascal VOC, COCO or YOLO into a
//! [`labels::LabelSet`]. What cannot be read is told as a [`labels::Problem`], and the rest is still read. [`scan`](fn@scan) says what is wrong with labels and their images;
//! [`page`] explains a check.
//!
//! ```
//! use denan_data::labels::{self, Format};
//!
//! let folder = tempfile::tempdir()?;
//! std::fs::write(
//!     folder.path().join("one.xml"),
//!     "<annotation><filename>one.jpg</filename><object><name>cell</name><bndbox>\
//!      <xmin>9</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox></object></annotation>",
//! )?;
//! let set = labels::read(&[folder.path().to_owned()])?;
//! assert_eq!(set.format, Format::Voc);
//! assert_eq!(set.images[0].boxes[0].corners, [9.0, 2.0, 9.0, 8.0], "as annotated: this box has no width");
//! assert!(set.problems.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![deny(missing_docs)]

mod checks;
pub mod clean;
mod columns;
mod findings;
mod gone_through;
mod guarded;
mod image_file;
mod images;
pub mod labels;
mod listing;
mod picture;
mod readers;
mod scan;

pub use checks::{ids, page};
pub use columns::{Applied, Operation, Options, Precision};
pub use findings::write_findings;
pub use gone_through::Shard;
pub use guarded::is_guarded;
pub use scan::{Error, State, Task, merge, scan, scan_shard};
