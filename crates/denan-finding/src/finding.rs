//! What a rule states, what an experiment showed, and the result of a whole run.

use crate::patch::Patch;
use denan_numerics::Range;
use denan_record::model::{Act, Break, Forecast, Phase, Place, Rank, Sample, Screened, TensorSeen};

/// A rule's statement about a training, with what supports it.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Id of the rule, which is the id of the cause: `degenerate-box`.
    pub rule: String,
    /// How sure the rule is, 0 to 1; 0.9 and more only with decisive evidence.
    pub confidence: f64,
    /// One sentence, lower case, no full stop, that stands alone.
    pub summary: String,
    /// Observations that support it, strongest first; fragments like the summary.
    pub evidence: Vec<String>,
    /// Advice to the user, best first.
    pub remedies: Vec<String>,
    /// Interventions that would prove it, most telling first; ids of the contract.
    pub interventions: Vec<String>,
}

/// How a training went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outcome {
    /// A non-finite value reached loss, gradient or parameter.
    Broke,
    /// Nothing of the kind.
    Healthy,
    /// No optimizer step was seen.
    #[default]
    NoTraining,
    /// The command failed for another reason.
    ChildFailed,
}

impl Outcome {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Broke => "broke",
            Self::Healthy => "healthy",
            Self::NoTraining => "no-training",
            Self::ChildFailed => "child-failed",
        }
    }
}

/// What an experiment showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Outlived the break and still learns.
    Survived,
    /// Broke, at the same place or another.
    Broke,
    /// Outlived the break but no longer learns, or its loss runs away.
    Unstable,
    /// The re-run differs from the record before the intervention could matter.
    NotReproduced,
    /// Was not tried; the reason is in [`Cure::reason`].
    NotRun,
}

impl Verdict {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Survived => "survived",
            Self::Broke => "broke",
            Self::Unstable => "unstable",
            Self::NotReproduced => "not-reproduced",
            Self::NotRun => "not-run",
        }
    }
}

/// An experiment: one intervention, one re-run, one verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Cure {
    /// The cause it would cure.
    pub rule: String,
    /// Id of the intervention.
    pub intervention: String,
    /// Its arguments, as in the contract.
    pub args: serde_json::Map<String, serde_json::Value>,
    /// The change in words: `learning rate 0.1 → 0.0125`.
    pub change: String,
    /// What came out.
    pub verdict: Verdict,
    /// Why, where the verdict alone does not say it.
    pub reason: Option<String>,
    /// Optimizer steps the re-run made.
    pub steps: u64,
    /// Loss of the first step.
    pub loss_start: Option<f64>,
    /// Loss at the end: the mean over its last steps.
    pub loss_end: Option<f64>,
    /// Change of the user's own line that does the same.
    pub patch: Option<Patch>,
}

/// What proving cures took.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CureCost {
    /// Seconds of all re-runs, those of patched programs included.
    pub seconds: f64,
    /// The same over the time that the first run took up to its break; none where that is not known.
    pub times_first_run: Option<f64>,
}

/// What watching cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Overhead {
    /// Level of watching: `operations`.
    pub level: String,
    /// Share of the step time spent watching, 0 to 1.
    pub fraction: f64,
}

/// Everything `denan run` has to say in the end.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunResult {
    /// Version of denan.
    pub denan: String,
    /// Engine and version: `burn 0.22.1`; `None` if none was seen.
    pub engine: Option<String>,
    /// How it went.
    pub outcome: Outcome,
    /// Exit code of the child, when it failed by itself.
    pub child_exit_code: Option<i32>,
    /// Optimizer steps seen.
    pub steps: u64,
    /// Of several processes that train together, the one that this is about.
    pub rank: Option<Rank>,
    /// Loss of the last step seen.
    pub last_loss: Option<f64>,
    /// The break, when there was one.
    pub first_break: Option<Break>,
    /// Samples to blame.
    pub samples: Vec<BlamedSample>,
    /// Causes, most likely first.
    pub causes: Vec<Finding>,
    /// Cures, best first.
    pub cures: Vec<Cure>,
    /// What proving them took, where any were tried.
    pub cost: Option<CureCost>,
    /// Tensors that are about to overflow, the nearest first.
    pub forecasts: Vec<Forecast>,
    /// What a guard did to keep the training alive, in order.
    pub acts: Vec<Act>,
    /// What watching cost.
    pub overhead: Option<Overhead>,
    /// Path of the record.
    pub record: Option<String>,
    /// Path of the HTML report.
    pub report: Option<String>,
    /// Things the user should know about the watching itself.
    pub notes: Vec<String>,
    /// The command to type next, with a word on what it does.
    pub next: Option<NextCommand>,
    /// The breaking step, if it was carried out again.
    pub replay: Option<Replay>,
    /// What came of going through the data set, if that was asked for.
    pub screened: Option<Screened>,
}

impl RunResult {
    /// The cure to recommend: the first that survived.
    pub fn best_cure(&self) -> Option<&Cure> {
        self.cures.iter().find(|cure| cure.verdict == Verdict::Survived)
    }

    /// Whether an experiment bears the cause out.
    pub fn is_proven(&self, cause: &Finding) -> bool {
        self.cures.iter().any(|cure| cure.verdict == Verdict::Survived && cure.rule == cause.rule)
    }
}

/// A sample that a break was followed back to.
#[derive(Clone, Debug, PartialEq)]
pub struct BlamedSample {
    /// The sample; its index is absent when the program did not tell it.
    pub sample: Option<Sample>,
    /// Row in the batch.
    pub batch_row: Option<u64>,
    /// Why, in words: `box 12 has width 0 (xmin 504, xmax 504)`.
    pub why: String,
}

/// A command to type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextCommand {
    /// As typed.
    pub command: String,
    /// What it does, in a few words.
    pub purpose: String,
}

/// The breaking step of a recorded run, carried out again.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// 0-based number of the step.
    pub step: u64,
    /// Operations carried out.
    pub operations: u64,
    /// Tensors whose figures are not those of the record.
    pub differing: u64,
    /// What was done differently, in words; empty if nothing was.
    pub changes: Vec<String>,
    /// What came of it.
    pub verdict: ReplayVerdict,
    /// The tensors that were made, in order.
    pub nodes: Vec<ReplayedNode>,
    /// Number of the operation that made the first bad value.
    pub producer: Option<u32>,
    /// Number of the operation that was asked for.
    pub focus: Option<u32>,
    /// Whether every operation is to be listed for people.
    pub all: bool,
}

/// What came of a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayVerdict {
    /// The operation that broke broke again.
    SameBreak,
    /// Another operation broke.
    OtherBreak,
    /// No bad value reached loss, gradient or parameter.
    Finite,
    /// It was stopped before that could be told.
    Stopped,
}

impl ReplayVerdict {
    /// The word of the machine-readable result.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SameBreak => "same-break",
            Self::OtherBreak => "other-break",
            Self::Finite => "finite",
            Self::Stopped => "stopped",
        }
    }
}

/// A tensor of a replayed step and the operation that made it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplayedNode {
    /// Its number, from 0.
    pub number: u32,
    /// The operation that was carried out.
    pub op: String,
    /// The call it was part of, where that has another name.
    pub call: Option<String>,
    /// Part of the step.
    pub phase: Phase,
    /// The user's line.
    pub place: Option<Place>,
    /// Numbers of the tensors it read.
    pub reads: Vec<u32>,
    /// The tensor.
    pub tensor: TensorSeen,
    /// Its figures on the record, if they were others.
    pub recorded: Option<Range>,
}
