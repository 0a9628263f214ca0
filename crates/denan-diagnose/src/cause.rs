//! What a cause is, and the list of all of them.

use crate::causes::{
    degenerate_box::DegenerateBox, division_by_zero::DivisionByZero, exp_overflow::ExpOverflow,
    infinite_gradient::InfiniteGradient, learning_rate_too_high::LearningRateTooHigh, log_of_zero::LogOfZero,
    non_finite_input::NonFiniteInput, optimizer_epsilon::OptimizerEpsilon, unknown::Unknown,
};
use crate::evidence::Evidence;
use denan_finding::Finding;

/// A rule that recognises one cause.
pub(crate) trait Cause: Identity + Sync {
    /// What the rule has to say, or nothing if the evidence does not support it.
    ///
    /// A rule looks at the evidence alone; whether another rule explains the same break better is
    /// decided in [`crate::rank`].
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding>;
}

/// Name and page of a cause; written by [`cause!`].
pub(crate) trait Identity {
    /// Id of the rule, kebab-case, never renamed.
    fn id(&self) -> &'static str;

    /// The cause's page in Markdown.
    fn page(&self) -> &'static str;

    /// A finding of this rule.
    ///
    /// `confidence` is rounded to hundredths: it is an estimate, and sums of it should read as one.
    fn finding(&self, confidence: f64, summary: String) -> Finding {
        Finding {
            rule: self.id().to_owned(),
            confidence: (confidence * 100.0).round() / 100.0,
            summary,
            evidence: Vec::new(),
            remedies: Vec::new(),
            interventions: Vec::new(),
        }
    }
}

/// Ties a unit struct to its id and to the page of that name.
macro_rules! cause {
    ($cause:ident, $id:literal) => {
        impl $crate::cause::Identity for $cause {
            fn id(&self) -> &'static str {
                $id
            }

            fn page(&self) -> &'static str {
                include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/pages/", $id, ".md"))
            }
        }
    };
}
pub(crate) use cause;

/// Every cause, sorted by id.
pub(crate) static CAUSES: &[&dyn Cause] = &[
    &DegenerateBox,
    &DivisionByZero,
    &ExpOverflow,
    &InfiniteGradient,
    &LearningRateTooHigh,
    &LogOfZero,
    &NonFiniteInput,
    &OptimizerEpsilon,
    &Unknown,
];
