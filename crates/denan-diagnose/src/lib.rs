//! From the record of a training to the causes of its break.
//!
//! [`diagnose`] reads a [`Run`] and returns [`Finding`]s, most likely first; [`blamed_samples`]
//! names the samples behind them. What lies in a sample's annotation file comes through the trait
//! [`Annotations`] in the [`Context`], because nothing here reads a file. [`page`] is the text
//! behind `denan explain`.
//!
//! Each cause has one file in `src/causes` and one page in `pages`. A cause sees nothing but the
//! evidence, so it serves every engine. Which of two causes is the symptom of the other is decided
//! in one place, `src/rank.rs`.
//!
//! ```
//! use denan_diagnose::{Context, diagnose};
//! use denan_record::model::Run;
//!
//! // A run without a break is a healthy one, and denan has nothing to say about it.
//! assert!(diagnose(&Run::default(), &Context::default()).is_empty());
//! ```

#![deny(missing_docs)]

mod annotations;
mod blame;
mod boxes;
mod cause;
mod causes;
mod evidence;
pub mod facts;
mod operators;
mod pages;
mod precision;
mod rank;
mod words;

pub use annotations::{AnnotatedBox, Annotations, NoAnnotations};
pub use blame::blamed_samples;
pub use pages::{closest, ids, page};

use cause::Names;
use denan_finding::Finding;
use denan_record::model::Run;
use evidence::Evidence;

/// The causes that fit the break of this run, most likely first; none if nothing broke.
///
/// One root cause gives one finding: a finding that only describes the symptom of another becomes
/// part of that one's evidence. When nothing fits, the only finding is `unknown`.
pub fn diagnose(run: &Run, context: &Context<'_>) -> Vec<Finding> {
    let Some(evidence) = Evidence::of(run, context) else {
        return Vec::new();
    };
    let findings = cause::CAUSES.iter().filter_map(|cause| cause.examine(&evidence)).collect();
    rank::rank(findings, &evidence)
}

/// What is wrong in a run and explains no break; healthy runs have such notes too.
pub fn notes(run: &Run) -> Vec<String> {
    cause::CAUSES.iter().filter_map(|cause| cause.note(run)).collect()
}

/// Whether a finding of this rule may be the doing of single samples, and not of the parameters or of a setting.
pub fn may_blame_samples(rule: &str) -> bool {
    let cause = cause::CAUSES.iter().find(|cause| cause.id() == rule);
    cause.is_some_and(|cause| matches!(cause.names(), Names::Datum | Names::Operation | Names::Nothing))
}

/// What a diagnosis may know beyond the record.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Looks into the annotation files of samples.
    pub annotations: &'a dyn Annotations,
    /// The same training, run again without any change.
    pub again: Option<&'a Run>,
}

impl Default for Context<'_> {
    /// Nothing beyond the record.
    fn default() -> Self {
        Self { annotations: &NoAnnotations, again: None }
    }
}
