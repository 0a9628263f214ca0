//! What a cause is.

use crate::blame::rows;
use crate::evidence::Evidence;
use denan_finding::{BlamedSample, Finding};
use denan_record::model::Run;

pub(crate) use crate::causes::CAUSES;

/// A rule that recognises one cause.
pub(crate) trait Cause: Identity + Sync {
    /// What the rule has to say, or nothing if the evidence does not support it.
    ///
    /// A rule looks at the evidence alone; whether another rule explains the same break better is
    /// decided in [`crate::rank`].
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding>;

    /// The samples behind the break, when this cause stands first.
    ///
    /// Of an operation these are the rows that reached it. When the training itself went wrong every sample
    /// would have done, so a setting blames none.
    fn blamed(&self, evidence: &Evidence<'_>) -> Vec<BlamedSample> {
        match self.names() {
            Names::Datum | Names::Operation | Names::Nothing => rows(evidence),
            Names::Machine | Names::State | Names::Setting | Names::Course => Vec::new(),
        }
    }

    /// What kind of thing the cause names.
    fn names(&self) -> Names;

    /// Findings of other rules that this cause brings about.
    fn explains(&self) -> &'static [Explains] {
        &[]
    }

    /// Something that is wrong in a run and explains no break; it is said to healthy runs too.
    fn note(&self, _run: &Run) -> Option<String> {
        None
    }
}

/// What kind of thing a cause names. Of two equally confident findings the more telling one stands first,
/// in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Names {
    /// Nothing in the program: the machine.
    Machine,
    /// A datum: a sample, a column, a label.
    Datum,
    /// The state in which the training began.
    State,
    /// A setting of the training loop or of the network.
    Setting,
    /// An operation.
    Operation,
    /// A way in which a training goes wrong, which has many reasons.
    Course,
    /// Nothing.
    Nothing,
}

/// A cause makes another rule's evidence appear.
pub(crate) struct Explains {
    /// Rules of what follows from it; empty for all others.
    pub(crate) symptoms: &'static [&'static str],
    /// Confidence of the cause from which its symptoms are no findings of their own.
    pub(crate) from: f64,
    /// Whether a cause that is less sure at least stands before its symptoms.
    pub(crate) leads: bool,
    /// Whether values that stand in the data are beyond the cause's reach.
    pub(crate) spares_data: bool,
}

impl Explains {
    /// These symptoms, from a confidence on.
    pub(crate) const fn from(from: f64, symptoms: &'static [&'static str]) -> Self {
        Self { symptoms, from, leads: false, spares_data: false }
    }
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
