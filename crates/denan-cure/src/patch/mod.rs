//! Proven interventions as changes of the user's own lines.
//!
//! [`patch`] turns an [`Intervention`] that survived its experiment into a
//! [`Patch`]: it parses the user's source, finds the one place that does the
//! same, and changes as little as possible there. Where the place cannot be
//! told for certain it makes no patch and says in [`NoPatch`] what to change by
//! hand. Nothing here reads or writes a file; [`SourceTree`] is the only way in.
//!
//! ```
//! use denan_cure::patch::{SourceTree, unified_diff};
//!
//! struct OneFile;
//! impl SourceTree for OneFile {
//!     fn read(&self, file: &str) -> Option<String> {
//!         (file == "src/main.rs").then(|| "fn main() {}\n".to_owned())
//!     }
//!     fn files(&self) -> Vec<String> {
//!         vec!["src/main.rs".to_owned()]
//!     }
//!     fn show(&self, file: &str) -> String {
//!         file.to_owned()
//!     }
//! }
//!
//! let patch = denan_finding::Patch {
//!     file: "src/main.rs".to_owned(),
//!     line: 7,
//!     before: "    let y = x.log();".to_owned(),
//!     after: "    let y = x.clamp_min(1e-7).log();".to_owned(),
//!     ..denan_finding::Patch::default()
//! };
//! assert!(unified_diff(&patch).contains("@@ -7 +7 @@\n-    let y = x.log();\n"));
//! ```

mod call;
mod diff;
mod edit;
mod number;
mod python;
mod rust;

pub use diff::{applied, unified_diff, unified_diff_in};

use denan_finding::Patch;
use denan_record::model::{Break, Place, Run, Sample};
use denan_record::plan::Intervention;
use std::fmt;

/// The change of the user's source that does what `intervention` did from outside.
///
/// The engine of the recorded run says which language the source is in: Python for PyTorch, else
/// Rust. The patched file is known to parse; it is not type-checked.
///
/// # Errors
/// The place cannot be found or not be told from another, or the change cannot
/// be written down there.
pub fn patch(
    intervention: &Intervention,
    context: &PatchContext<'_>,
    sources: &dyn SourceTree,
) -> Result<Patch, NoPatch> {
    if context.run.is_some_and(Run::is_of_torch) {
        python::patch(intervention, context, sources)
    } else {
        rust::patch(intervention, context, sources)
    }
}

/// More names than this belong into a cleaned data set, not into source.
const MOST_NAMES: usize = 8;

/// What is known of the training besides its source.
#[derive(Clone, Copy, Debug)]
pub struct PatchContext<'a> {
    /// The break that the intervention cures.
    pub break_: &'a Break,
    /// The user's line of `optimizer.step(…)`, when known.
    pub step_place: Option<&'a Place>,
    /// The rate in force at the break, to tell its definition from other numbers.
    pub learning_rate: Option<f64>,
    /// The record of the run that broke.
    pub run: Option<&'a Run>,
    /// The samples that the experiment left out.
    pub dropped: &'a [Sample],
}

impl PatchContext<'_> {
    /// The samples of an experiment by their names, as far as a line has room for them.
    fn samples_left_out(&self, indices: &[u64]) -> String {
        let mut samples: Vec<String> = match self.dropped {
            [] => indices.iter().map(|index| format!("sample {index}")).collect(),
            dropped => dropped.iter().map(Sample::called).collect(),
        };
        let more = samples.len().saturating_sub(MOST_NAMES);
        samples.truncate(MOST_NAMES);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("{}{more}", samples.join(", "))
    }

    /// The rate lowered by a factor, as an order.
    fn lower_rate(&self, factor: f64) -> String {
        match self.learning_rate {
            Some(rate) => format!(
                "lower the learning rate from {} to {}",
                number::short(rate),
                number::short(rate * factor)
            ),
            None => format!("multiply the learning rate by {}", number::short(factor)),
        }
    }
}

/// The user's source files.
pub trait SourceTree {
    /// Text of a file, by a name out of [`files`](Self::files) or by its path as the compiler recorded it.
    fn read(&self, file: &str) -> Option<String>;

    /// The user's source files (`.rs`, `.py`); none of the dependencies'.
    fn files(&self) -> Vec<String>;

    /// The file's path as the user would type it.
    fn show(&self, file: &str) -> String;
}

/// Why there is no patch, and what to do instead.
///
/// Both texts are lower case without a full stop, so that they can stand alone or after a colon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoPatch {
    /// What kept denan from writing the patch.
    pub why: String,
    /// What to change by hand.
    pub by_hand: String,
}

impl NoPatch {
    fn new(why: impl Into<String>, by_hand: impl Into<String>) -> Self {
        Self { why: why.into(), by_hand: by_hand.into() }
    }
}

impl fmt::Display for NoPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; by hand: {}", self.why, self.by_hand)
    }
}

impl std::error::Error for NoPatch {}
