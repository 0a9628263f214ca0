//! One-pass summaries of tensors: how many values are non-finite, where the finite ones lie, and
//! how they spread.
//!
//! - [`Summary`] holds every figure of one pass: counts of NaN, infinities, zeros and subnormals,
//!   the range, mean and spread. [`summarize`] makes it of a slice, [`summarize_strided`] of a view
//!   without a copy, [`summarize_parallel`] on several threads.
//! - [`Range`] is the part that is cheap enough for the output of every operation: [`range()`],
//!   [`range_strided`]. An [`Extent`] counts subnormals as well.
//! - [`ExponentHistogram`] counts by sign and exponent, for quantiles and for the distance to
//!   overflow and underflow.
//! - A [`Tally`] gathers [`Figures`], a summary and a histogram, of one column of a data set as it is
//!   read; [`tally_columns`] fills those of all columns of a table or of all channels of images.
//!
//! All of them merge: parts of a tensor, threads, ranks and machines are summarized apart and added
//! up.
//!
//! ```
//! use denan_numerics::{Summary, summarize};
//!
//! let gradient = [0.5f32, -2.0, f32::NAN, 0.0, 1.5];
//! let summary = summarize(&gradient);
//! assert_eq!(summary.nan, 1);
//! assert_eq!(summary.min_opt(), Some(-2.0));
//! assert_eq!(summary.abs_max(), 2.0);
//! assert_eq!(summary.mean, 0.0); // of the four finite values
//!
//! let (left, right) = gradient.split_at(2);
//! let parts = [summarize(left), summarize(right)];
//! assert_eq!(parts.into_iter().collect::<Summary>().nan, summary.nan);
//! ```
//!
//! # Exactness
//!
//! Counts, bounds and histograms are exact and independent of any order. Mean and M2 are sums in
//! `f64`: a given slice gives the same bits on every processor and with every number of threads,
//! and M2 is right within 1e-9 of its value for each block of 4096 elements, also where the mean is
//! far larger than the spread; but another order or split of the data may change the last digits.
//!
//! The crate expects the default floating-point environment. Where a process makes its processor
//! take subnormals for zero (`torch.set_flush_denormal`), counts still hold, but subnormals enter
//! bounds, mean and M2 as zero.
//!
//! # Features
//!
//! - `serde`: `Serialize` and `Deserialize` for all figures. Infinite bounds are written as
//!   nothing, since JSON has no infinity.

#![deny(missing_docs)]

#[cfg(feature = "serde")]
mod bounds;
mod count;
mod element;
mod histogram;
mod isa;
mod kernel;
mod range;
mod strided;
mod summary;
mod tally;
mod whole;

pub use element::Element;
pub use histogram::{Bin, ExponentHistogram, MantissaBits};
pub use range::{Extent, Range};
pub use strided::{StridedError, extent_strided, range_strided, summarize_strided};
pub use summary::Summary;
pub use tally::{Figures, Tally, tally_columns};
pub use whole::{
    extent, range, summarize, summarize_bf16, summarize_f16, summarize_f32, summarize_f64, summarize_parallel,
};
