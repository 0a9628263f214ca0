//! What is known of a training: the types that adapters fill in and causes read.
//!
//! Everything here is plain data. A tensor appears only as its summary; no type
//! holds elements of a tensor beyond the few that explain a break.

use denan_numerics::{Range, Summary};
use serde::{Deserialize, Serialize};

/// Everything the record knows of one training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// What was run and how; `None` if the training never reached its engine.
    pub header: Option<Header>,
    /// Parameters in the order in which the optimizer first updated them.
    pub parameters: Vec<Parameter>,
    /// What updates them; the one that made the first step, if there are several.
    pub optimizer: Option<Optimizer>,
    /// Optimizer steps that are still on the record, ascending (older ones are thinned out).
    pub steps: Vec<Step>,
    /// The batches the kept steps were made of, ascending by step.
    pub batches: Vec<Batch>,
    /// The first break, if there was one.
    pub first_break: Option<Break>,
    /// The operations of the first step, of the one before the break, and of the breaking one, ascending.
    pub graphs: Vec<StepGraph>,
    /// What entered the engine up to the break, by the line at which it did.
    pub data: Vec<DataSeen>,
    /// Tensors that were about to overflow when the record ends, the nearest first.
    pub forecasts: Vec<Forecast>,
    /// What a guard did to keep the training alive, in order.
    pub acts: Vec<Act>,
    /// Step that a re-run began with, where it skipped those before. Never on a record either.
    pub began_at: u64,
    /// Step in which the intervention of a re-run first changed something. Re-runs leave no record, so
    /// this is never on one.
    pub intervened_at: Option<u64>,
    /// Things the adapter had to say, in order.
    pub notes: Vec<String>,
    /// How the training ended; `None` while it runs and after a `kill -9`.
    pub ending: Option<Ending>,
}

impl Run {
    /// Whether it is a training of PyTorch.
    pub fn is_of_torch(&self) -> bool {
        self.header.as_ref().is_some_and(|header| header.engine.starts_with("torch"))
    }
}

/// What was run: engine, process and the seed that was handed to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// Engine and version as the contract spells it, e.g. `burn 0.22.1`.
    pub engine: String,
    /// Operating-system process id of the training.
    pub process_id: u32,
    /// Milliseconds since the Unix epoch.
    pub started_unix_ms: u64,
    /// Seed denan gave to the engine in case the program sets none itself.
    pub seed: u64,
    /// Name of the intervention in force, as in the contract (`drop-samples`, …).
    pub intervention: Option<String>,
    /// Which of several processes that train together this is; none where there is one.
    pub rank: Option<Rank>,
}

/// One of several processes that train together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rank {
    /// Its number, from 0.
    pub number: u32,
    /// How many there are.
    pub of: u32,
}

/// What updates the parameters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Optimizer {
    /// Its type: `Adam`.
    pub name: Option<String>,
    /// The user's line that has it make a step.
    pub place: Option<Place>,
}

/// One trainable tensor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Position in the optimizer's order of updates, from 0.
    pub slot: u32,
    /// Path in the model (`backbone.0.conv.weight`), when the program told it.
    pub name: Option<String>,
    /// Sizes of the dimensions.
    pub shape: Vec<u64>,
    /// Element type as the engine spells it, lower case: `float32`, `bfloat16`, …
    pub dtype: String,
    /// Where the program first used it.
    pub first_use: Option<Place>,
    /// The optimizer step that first updated it.
    pub first_update: Option<u64>,
    /// Its value before that update.
    pub initial: Option<Summary>,
    /// Which operation of its thread made it.
    pub birth: Option<Birth>,
}

/// Which operation made a tensor; the same in every run of the same program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Birth {
    /// Number of the thread, in the order in which they first called an operation.
    pub thread: u32,
    /// Operations that thread had called before.
    pub operation: u64,
}

/// One optimizer step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// 0-based number of the optimizer step.
    pub step: u64,
    /// The value that the backward pass started from, as it was; the largest magnitude if it had several elements.
    pub loss: Option<f64>,
    /// Bits of the loss in its own dtype, widened: equal bits mean the same step.
    pub loss_bits: Option<u64>,
    /// Rate in force, when it could be read off the optimizer's operations.
    pub learning_rate: Option<f64>,
    /// Euclidean norm over the gradients of all parameters; none, like the next three, in a step that was not gone
    /// through.
    pub gradient_norm: Option<f64>,
    /// Euclidean norm over all parameters after the update.
    pub weight_norm: Option<f64>,
    /// Euclidean norm over all updates (new minus old value).
    pub update_norm: Option<f64>,
    /// Largest finite magnitude of any value made in the step.
    pub largest_value: Option<f64>,
    /// Whether gradients of an earlier step were still there when the backward pass began, where the engine keeps
    /// gradients from step to step.
    pub carries_gradients: Option<bool>,
    /// Operations seen in the step.
    pub operations: u64,
    /// Microseconds since the training's first operation, at the end of the step.
    pub elapsed_us: u64,
    /// Microseconds of the step spent watching.
    pub watching_us: u64,
    /// Per parameter, for the steps kept whole.
    pub parameters: Vec<ParameterStep>,
}

impl Step {
    /// Fills in the norms over all parameters, from those of each.
    pub fn add_norms(&mut self) {
        let norm = |of: fn(&ParameterStep) -> Option<Summary>| {
            let norms = self.parameters.iter().filter_map(|row| of(row).map(|summary| summary.l2_norm()));
            let squares: Vec<f64> = norms.map(|norm| norm * norm).collect();
            (!squares.is_empty()).then(|| squares.iter().sum::<f64>().sqrt())
        };
        let norms = [norm(|row| row.gradient), norm(|row| row.value), norm(|row| row.update)];
        [self.gradient_norm, self.weight_norm, self.update_norm] = norms;
    }
}

/// Gradient, value and update of one parameter in one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ParameterStep {
    /// The parameter, see [`Parameter::slot`].
    pub slot: u32,
    /// The gradient as it came out of the backward pass.
    pub gradient: Option<Summary>,
    /// The value after the update.
    pub value: Option<Summary>,
    /// What was subtracted from the value.
    pub update: Option<Summary>,
}

/// The samples that made up a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Batch {
    /// 0-based optimizer step that consumed it.
    pub step: u64,
    /// In batch order: position 0 is row 0.
    pub samples: Vec<Sample>,
}

/// One item of the user's data set.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sample {
    /// Index in the user's data set, before any shuffling.
    pub index: u64,
    /// File name, key or whatever the program calls it.
    pub name: Option<String>,
}

impl Sample {
    /// Its name, or `sample 337` where the program gave it none.
    pub fn called(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("sample {}", self.index))
    }
}

/// A line of source.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Path as the compiler recorded it.
    pub file: String,
    /// 1-based.
    pub line: u32,
    /// 1-based, 0 when unknown.
    pub column: u32,
    /// Name of the function around it, when known.
    pub function: Option<String>,
}

/// Part of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Data on its way in.
    Input,
    /// From the batch to the loss.
    Forward,
    /// The operation that made the loss itself.
    Loss,
    /// From the loss to the gradients.
    Backward,
    /// From the gradients to the updates.
    Optimizer,
    /// A parameter was non-finite before any step.
    Parameter,
}

impl Phase {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Forward => "forward",
            Self::Loss => "loss",
            Self::Backward => "backward",
            Self::Optimizer => "optimizer",
            Self::Parameter => "parameter",
        }
    }
}

/// Class of a non-finite value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Not a number.
    #[serde(rename = "nan")]
    Nan,
    /// Positive infinity.
    #[serde(rename = "inf")]
    Infinity,
    /// Negative infinity.
    #[serde(rename = "-inf")]
    NegativeInfinity,
}

impl Kind {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Nan => "nan",
            Self::Infinity => "inf",
            Self::NegativeInfinity => "-inf",
        }
    }

    /// The gravest class a range holds: NaN before infinity.
    pub fn of(range: &Range) -> Option<Self> {
        if range.nan > 0 {
            Some(Self::Nan)
        } else if range.pos_inf > 0 {
            Some(Self::Infinity)
        } else if range.neg_inf > 0 {
            Some(Self::NegativeInfinity)
        } else {
            None
        }
    }
}

/// The value of a tensor of one element; of several the gravest, or else the largest in magnitude.
pub fn most_telling(range: &Range) -> f64 {
    match Kind::of(range) {
        Some(Kind::Nan) => f64::NAN,
        Some(Kind::Infinity) => f64::INFINITY,
        Some(Kind::NegativeInfinity) => f64::NEG_INFINITY,
        None if range.max.abs() >= range.min.abs() => range.max,
        None => range.min,
    }
}

/// What a tensor is to the training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Data the program handed to the engine.
    Data,
    /// A trainable parameter.
    Parameter,
    /// Made in the forward pass.
    Activation,
    /// Made in the backward pass.
    Gradient,
    /// Kept by the optimizer from step to step, or made by it on the way.
    OptimizerState,
    /// Made of nothing but a fill value (zeros, ones, full, a random draw).
    Constant,
}

/// A tensor as an operation saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TensorSeen {
    /// Sizes of the dimensions.
    pub shape: Vec<u64>,
    /// Element type, e.g. `float32`.
    pub dtype: String,
    /// Its values in figures.
    pub range: Range,
    /// What it is to the training.
    pub role: Role,
    /// Path in the model if it is a named parameter.
    pub parameter: Option<String>,
    /// Plain name of the call of the forward pass that made its values, views of them left out; none for
    /// data, parameters, gradients and what the optimizer made.
    pub made_by: Option<String>,
}

/// One operation near a break.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Order of execution within its step, from 0.
    pub sequence: u64,
    /// Plain name: `log`, `div`, `matmul`, `conv2d`.
    ///
    /// In the backward phase the forward call whose gradient it computes, in the
    /// optimizer phase the optimizer.
    pub op: String,
    /// The operation that was carried out, where that differs from [`op`](Self::op):
    /// `recip` inside the gradient of `log`, `div` inside `Adam`.
    pub carried_out: Option<String>,
    /// Part of the step.
    pub phase: Phase,
    /// Path in the model, when known.
    pub module: Option<String>,
    /// Parameter being updated, in the optimizer phase; its name or `parameter N`.
    pub parameter: Option<String>,
    /// The user's own line.
    pub place: Option<Place>,
    /// For an operation of the backward pass: the line of the forward call.
    pub forward_place: Option<Place>,
    /// A scalar argument: the exponent of `powf`, the addend of `add`.
    pub scalar: Option<f64>,
    /// Tensors read.
    pub inputs: Vec<TensorSeen>,
    /// Tensor made.
    pub output: TensorSeen,
}

/// An element of a batch tensor to which a bad value was followed back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Shape of the batch tensor.
    pub shape: Vec<u64>,
    /// Position of the element in it.
    pub position: Vec<u64>,
    /// The element's vector along the last dimension; of one longer than [`Origin::LONGEST_VECTOR`] the
    /// block of that length that holds the element.
    pub vector: Vec<f64>,
    /// Values of the whole tensor in figures.
    pub range: Range,
    /// The vectors beside it, for comparison: smallest and largest value per column of `vector`.
    pub columns: Vec<Range>,
    /// Row of the batch the element belongs to, when the tensor's first dimension is the batch.
    pub batch_row: Option<u64>,
    /// The sample in that row, when the program told it.
    pub sample: Option<Sample>,
    /// Where the tensor entered the engine.
    pub place: Option<Place>,
}

impl Origin {
    /// Values of a vector that are kept.
    pub const LONGEST_VECTOR: usize = 32;

    /// Figures of the columns from `first` on, `width` of the `last` that a tensor with these elements has; none where
    /// its elements are not known.
    pub fn columns_of(values: &[f64], last: usize, first: usize, width: usize) -> Vec<Range> {
        if values.is_empty() {
            return Vec::new();
        }
        let column = |at: usize| values.iter().skip(at).step_by(last).copied().collect::<Vec<f64>>();
        (first..first + width).map(|at| denan_numerics::range(&column(at))).collect()
    }

    /// Where the element is in `vector` and `columns`.
    pub fn place_in_vector(&self) -> Option<usize> {
        let place = usize::try_from(*self.position.last()?).ok()? % Self::LONGEST_VECTOR;
        (place < self.vector.len()).then_some(place)
    }
}

/// The operations of one step, as a graph of the tensors they made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepGraph {
    /// 0-based optimizer step.
    pub step: u64,
    /// Tensors in the order in which they were made: what an operation reads comes before what it makes.
    pub nodes: Vec<Node>,
    /// Lines that nodes refer to.
    pub places: Vec<Place>,
    /// In the breaking step: the node whose operation made the first bad value.
    pub producer: Option<u32>,
    /// Operations that are missing, because there were too many for the record.
    pub left_out: u64,
}

impl StepGraph {
    /// Nodes that are kept; of more than that the middle is left out.
    const MOST_NODES: usize = 20_000;
    /// Those of them that are kept from the beginning.
    const FROM_THE_START: usize = 12_000;

    /// Without the middle, if it is too long for the record.
    #[must_use]
    pub fn shortened(mut self) -> Self {
        let left_out = self.nodes.len().saturating_sub(Self::MOST_NODES);
        if left_out == 0 {
            return self;
        }
        let gap = Self::FROM_THE_START..Self::FROM_THE_START + left_out;
        let number_of = |at: u32| match at as usize {
            index if index < gap.start => Some(at),
            index if index < gap.end => None,
            index => Some((index - left_out) as u32),
        };
        self.nodes.drain(gap.clone());
        for node in &mut self.nodes {
            node.inputs = node.inputs.iter().filter_map(|&input| number_of(input)).collect();
        }
        self.producer = self.producer.and_then(number_of);
        self.left_out = left_out as u64;
        self
    }
}

/// A tensor and the operation that made it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Plain name of the operation that was carried out: `matmul`, `exp`; `input` for data.
    pub op: String,
    /// The call it was part of, where that has another name: `softmax`; in the backward phase the call whose
    /// gradient it computes.
    pub call: Option<String>,
    /// Part of the step.
    pub phase: Phase,
    /// A scalar argument.
    pub scalar: Option<f64>,
    /// Kernel and stride of a pooling.
    pub window: Option<Window>,
    /// Index in [`StepGraph::places`] of the user's line.
    pub place: Option<u32>,
    /// Indices in [`StepGraph::nodes`] of the tensors it read.
    pub inputs: Vec<u32>,
    /// Sizes of the dimensions.
    pub shape: Vec<u64>,
    /// Element type.
    pub dtype: String,
    /// What it is to the training.
    pub role: Role,
    /// The parameter it is, see [`Parameter::slot`].
    pub slot: Option<u32>,
    /// Made in this step; what is older has no inputs here.
    pub is_new: bool,
    /// Its values in figures.
    pub range: Range,
    /// Elements in row-major order; of small data tensors in the breaking step.
    pub values: Vec<f64>,
    /// How the elements of a data tensor lie in the batch.
    pub rows: Option<Rows>,
}

/// Which rows of the batch a data tensor holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rows {
    /// Row of its first element.
    pub first: u64,
    /// Elements in each row.
    pub length: u64,
}

/// The window of a pooling, per spatial dimension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Size of the kernel.
    pub kernel: Vec<u64>,
    /// How far it moves at a time.
    pub stride: Vec<u64>,
}

/// What entered the engine at one line of the program, over the whole training up to the break.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataSeen {
    /// The line.
    pub place: Option<Place>,
    /// Shape of the last tensor.
    pub shape: Vec<u64>,
    /// Element type.
    pub dtype: String,
    /// Number of tensors.
    pub tensors: u64,
    /// Dimension whose indices are the columns: 1 (channels) from rank 4 on, else the last one.
    pub axis: u32,
    /// Figures of each column, over the first tensors, some later ones and those with a new extreme.
    pub columns: Vec<Summary>,
    /// Median magnitude of each column in the first tensor.
    pub typical: Vec<f64>,
    /// The element of largest magnitude so far.
    pub extreme: Option<Extreme>,
}

/// An element that stands out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Extreme {
    /// Its value.
    pub value: f64,
    /// Its column.
    pub column: u64,
    /// The optimizer step it was first seen in.
    pub step: u64,
    /// Its index in the first dimension of its tensor: the row of the batch, or of a data set that the program holds
    /// in memory.
    pub row: Option<u64>,
    /// The sample it belongs to, when the program told it.
    pub sample: Option<Sample>,
}

/// A tensor that grows and will overflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Which tensor; a later forecast of the same one replaces the earlier.
    pub tensor: u32,
    /// The call that makes it, as in [`Operation::op`].
    pub op: String,
    /// Part of the step.
    pub phase: Phase,
    /// The user's line.
    pub place: Option<Place>,
    /// Element type.
    pub dtype: String,
    /// Step of the forecast.
    pub at: u64,
    /// Largest magnitude then.
    pub largest: f64,
    /// Powers of two between that and the largest number of the type.
    pub powers_left: f64,
    /// Powers of two that it gained in each step.
    pub powers_per_step: f64,
    /// Step in which it overflows at this rate.
    pub step: u64,
}

/// The first step in which a value on the way to loss, gradient or parameter became non-finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Break {
    /// 0-based optimizer step.
    pub step: u64,
    /// Part of the step in which the first bad value was made.
    pub phase: Phase,
    /// Its class.
    pub kind: Kind,
    /// First operation with finite inputs and a non-finite output.
    pub producer: Operation,
    /// From the producer to loss, gradient or parameter: the operations that handed it on.
    pub trail: Vec<Operation>,
    /// Batch elements the bad value was followed back to.
    pub origins: Vec<Origin>,
    /// Samples of the breaking step, in batch order; empty when the program did not tell.
    pub samples: Vec<Sample>,
    /// Rows of the batch that carry the bad value, when it could be followed back.
    pub batch_rows: Vec<u64>,
    /// Whether the loss itself was non-finite.
    pub loss_is_bad: bool,
    /// Whether parameters were non-finite after the step, so that all later steps are lost.
    pub parameters_are_bad: bool,
    /// Whether it was an evaluation that broke, after the step before this one; the training itself was not touched.
    pub in_evaluation: bool,
}

/// Something that a guard did to keep a training alive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Act {
    /// 0-based optimizer step in which it was done.
    pub step: u64,
    /// What was done.
    pub what: Deed,
    /// Why: a fragment like a finding's summary.
    pub why: String,
    /// Samples of the batches that were left unused, or that are left out from now on; empty where the program did not
    /// tell.
    pub samples: Vec<Sample>,
    /// Of a roll back: the training is in the state that it had before this step.
    pub to: Option<u64>,
    /// Of a roll back: what all learning rates are multiplied by from now on.
    pub factor: Option<f64>,
    /// Of a checkpoint: the file that was to be written.
    pub file: Option<String>,
}

/// What a guard can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deed {
    /// The optimizer was not let do its step.
    SkippedStep,
    /// The training went back to a state that was kept.
    RolledBack,
    /// Buffers of the network got back the values that they had before a batch.
    RestoredBuffers,
    /// Samples are left out of all batches that follow.
    LeftOut,
    /// A non-finite checkpoint was written beside the file it was meant for.
    KeptCheckpoint,
    /// It had to act too often, and has let go of the training.
    GaveUp,
}

impl Deed {
    /// The word of the machine-readable result.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SkippedStep => "skipped-step",
            Self::RolledBack => "rolled-back",
            Self::RestoredBuffers => "restored-buffers",
            Self::LeftOut => "left-out",
            Self::KeptCheckpoint => "kept-checkpoint",
            Self::GaveUp => "gave-up",
        }
    }

    /// The deed of this word.
    pub fn named(word: &str) -> Option<Self> {
        const ALL: [Deed; 6] = [
            Deed::SkippedStep,
            Deed::RolledBack,
            Deed::RestoredBuffers,
            Deed::LeftOut,
            Deed::KeptCheckpoint,
            Deed::GaveUp,
        ];
        ALL.into_iter().find(|deed| deed.as_str() == word)
    }
}

/// What came of going through samples forward and loss only.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Screened {
    /// Samples gone through.
    pub samples: u64,
    /// Those whose loss is not finite whatever else is in the batch, and that loss.
    pub bad: Vec<(Sample, f64)>,
    /// Groups whose loss is not finite, though that of each half of them is.
    pub together: Vec<Vec<Sample>>,
    /// Why it ended early, or could not be done.
    pub gave_up: Option<String>,
}

/// How a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// By itself.
    Completed,
    /// denan ended it because the break cannot heal.
    StoppedAfterBreak,
    /// denan ended it at the step it was told.
    StoppedAtStep,
}
