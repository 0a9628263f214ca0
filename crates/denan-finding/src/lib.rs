//! What denan has to say about a run, and how it is shown.
//!
//! The main types are [`RunResult`], everything that `denan run` found; [`Finding`], a rule's
//! statement with its evidence; and [`Cure`], an experiment with its verdict. [`render`](fn@render)
//! turns a result into text in one [`Format`]. Nothing here reads a file: the user's source lines
//! come through [`Sources`].
//!
//! ```
//! use denan_finding::{Format, NoSources, Outcome, RunResult, Style, render};
//!
//! let result = RunResult {
//!     outcome: Outcome::Healthy,
//!     steps: 412,
//!     last_loss: Some(0.0831),
//!     ..RunResult::default()
//! };
//! let style = Style { color: false, width: 80, sources: &NoSources };
//! assert_eq!(
//!     render(&result, Format::Full, &style),
//!     "healthy: 412 steps, last loss 0.0831, nothing non-finite\n",
//! );
//! ```

#![deny(missing_docs)]

mod act;
pub mod anchors;
pub mod clean;
mod escape;
pub mod finding;
pub mod number;
pub mod patch;
pub mod render;
pub mod scan;

pub use act::act_in_words;
pub use finding::*;
pub use patch::{Hunk, Patch};
pub use render::{Format, NoSources, Sources, Style, render};
