//! What denan asks of an adapter: handed to the training in one environment variable.

use crate::model::{Birth, Parameter};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Environment variable that carries the [`Plan`] as JSON. Without it an adapter lets everything pass.
pub const PLAN_VARIABLE: &str = "DENAN_PLAN";

/// What an adapter inside a training has to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Plan {
    /// Unix socket to which events are sent.
    pub socket: Option<PathBuf>,
    /// Seed for programs that set none.
    pub seed: u64,
    /// End the training once a break has reached its parameters.
    pub stop_after_break: bool,
    /// End the training when this many optimizer steps are done.
    pub stop_at_step: Option<u64>,
    /// Look at every operation of the first step, and of all steps from this one on until the break. Adapters that
    /// see every operation anyway need not be asked.
    pub look_from: Option<u64>,
    /// Look from the beginning of the program on, since nothing in it tells when the first step begins.
    pub look_at_once: bool,
    /// Go through all gradients and values of each step from this one on, and not only as often as it costs next to
    /// nothing. Adapters that see every operation anyway need not be asked.
    pub check_from: Option<u64>,
    /// Train no further than to a step, and go through samples there.
    pub screen: Option<Screen>,
    /// Put this step on tape.
    pub tape_step: Option<u64>,
    /// Start of file names in debug information, and what to tell in its place: the program may
    /// have been built in a shadow of the user's folder.
    pub renamed: Option<(String, String)>,
    /// Keep the training alive: skip bad steps, go back to good states. A break ends it only once the guard has given up.
    /// Of PyTorch alone.
    pub guard: bool,
    /// Keep states of the training, with one of which a re-run may begin. Of PyTorch alone.
    pub keep_states: Option<KeepStates>,
    /// Skip the steps before a state that was kept, and begin with it.
    pub restart: Option<Restart>,
    /// The one thing that is different in this run.
    pub intervention: Option<Intervention>,
    /// Keep what the program writes away from the user's files. Only in a run that is not the user's own.
    pub scratch: Option<Scratch>,
}

/// Where a re-run writes: a folder that is thrown away, and what in it stands for which of the user's folders. Times are in
/// seconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Scratch {
    /// The folder. Its `root` stands for `/`; its `outside` takes what is written elsewhere than in `stands_for`.
    pub folder: PathBuf,
    /// The user's folders that are stood for: what is not below `root` is not there, even where the user has it.
    pub stands_for: Vec<PathBuf>,
    /// When the user's own run began: what is younger, that run has made.
    pub first_began: f64,
    /// When its training began: what is older was there to be read, such as a data set that it downloaded.
    pub training_began: Option<f64>,
    /// When this run began.
    pub began: f64,
}

/// Where states of a training are kept, each in a file `STEP.state`, and how often.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KeepStates {
    /// A folder.
    pub folder: PathBuf,
    /// Seconds until the first one and from one to the next, at least.
    pub seconds: f64,
}

/// A state that a run begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restart {
    /// The file.
    pub file: PathBuf,
    /// Optimizer steps that were done when it was kept.
    pub step: u64,
}

/// Which samples are gone through forward and loss only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Screen {
    /// The step before whose update it is done.
    pub step: u64,
    /// All of the data set, in its order; else those of the step's batch.
    pub whole: bool,
}

impl Plan {
    /// The plan of this process, if it is watched.
    ///
    /// # Errors
    /// The variable is set and is not a plan.
    pub fn from_environment() -> Result<Option<Self>, serde_json::Error> {
        match std::env::var(PLAN_VARIABLE) {
            Ok(text) => Self::parse(&text).map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The plan in a variable's value.
    ///
    /// # Errors
    /// It is no plan.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The variable's value.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a plan holds nothing that JSON lacks")
    }
}

/// A change that denan makes to a training from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "id", rename_all = "kebab-case")]
pub enum Intervention {
    /// The data loader leaves these data-set indices out; every batch keeps its other samples.
    DropSamples {
        /// Data-set indices, as in [`crate::model::Sample::index`].
        indices: Vec<u64>,
        /// Rows of the tensors that hold the data set, where the program takes its batches out of them by itself.
        #[serde(default)]
        rows: Option<u64>,
    },
    /// One call, at one line, gets its argument moved away from the edge of its domain, an exponential one its
    /// argument kept between minus [`exponent_limit`] and the margin, a product an infinite factor bounded by it.
    SafeOp {
        /// Plain name of the call; of a form, of the call that is written in the place of several.
        op: String,
        /// Whether a form is written that means the same and has no edge (`log_softmax` for the logarithm of a softmax),
        /// and no argument is moved.
        #[serde(default)]
        is_form: bool,
        /// File of the call, as recorded in [`crate::model::Place::file`].
        file: String,
        /// Line of the call.
        line: u32,
        /// How far the argument stays away from the edge; for an exponential its largest argument, for a product its
        /// largest factor.
        margin: f64,
    },
    /// Every update is multiplied by this factor (0 < factor < 1), which is what a lower rate does.
    LowerLearningRate {
        /// New rate divided by old rate.
        factor: f64,
    },
    /// Gradients that are too large are made smaller before the optimizer reads them.
    ClipGradients {
        /// What is bounded.
        by: ClipBy,
        /// The largest norm, or magnitude, let through.
        limit: f64,
    },
    /// The term that keeps an adaptive optimizer's divisor away from 0.
    RaiseEpsilon {
        /// Its new value.
        epsilon: f64,
    },
    /// The data that enter the engine at one line are kept between two bounds.
    ClampInputs {
        /// Where they enter.
        at: Entrance,
        /// Smallest value let through.
        low: f64,
        /// Largest value let through.
        high: f64,
    },
    /// Each column of the data that enter the engine at one line becomes `(x - mean) / std`.
    NormalizeInputs {
        /// Where they enter.
        at: Entrance,
        /// Dimension whose indices are the columns, see [`crate::model::DataSeen::axis`].
        axis: u32,
        /// Mean of each column.
        means: Vec<f64>,
        /// Standard deviation of each column; one that is 0 counts as 1.
        stds: Vec<f64>,
    },
    /// A table of anchor boxes that enters the engine at one line is replaced.
    ReplaceAnchors {
        /// Where it enters.
        at: Entrance,
        /// The new table, row-major, in the old one's shape.
        values: Vec<f64>,
    },
    /// What is cast to float16 stays float32.
    Float32 {
        /// One call alone, which gets its arguments in float32; else all that is cast.
        only: Option<CallAt>,
    },
    /// The optimizer's gradients are set to zero before the first backward pass of each step.
    ZeroGrad,
    /// The backward pass starts from this factor instead of 1, and the optimizer reads the gradients
    /// divided by it.
    ScaleLoss {
        /// The factor.
        factor: f64,
    },
    /// The backward pass starts from 1 over the number of elements that the loss adds up.
    MeanLoss {
        /// That number.
        elements: u64,
    },
    /// Every batch keeps its first samples only.
    SmallerBatch {
        /// How many.
        size: u64,
    },
    /// Parameters begin with other values.
    Reinitialize {
        /// Which, and with which.
        parameters: Vec<NewValues>,
    },
    /// What a call makes is normalised to mean 0 and variance 1 over its last dimension (its channels and
    /// places, from rank 3 on), as a LayerNorm after it would do.
    InsertNorm {
        /// The calls, each by its plain name and its line.
        after: Vec<CallAt>,
    },
    /// BatchNorm layers are frozen.
    FreezeBatchNorm {
        /// In which way.
        how: BatchNormFreeze,
        /// Weights and biases of the layers, whose updates are held back.
        parameters: Vec<Chosen>,
    },
    /// The rate stays what it is, whatever the schedule says.
    ConstantLearningRate {
        /// It.
        rate: f64,
    },
    /// The rate rises evenly from nearly 0 over the first steps.
    WarmUp {
        /// Over how many.
        steps: u64,
    },
    /// Another optimizer makes the updates.
    ChangeOptimizer {
        /// Which.
        to: OtherOptimizer,
        /// Its learning rate.
        rate: f64,
    },
    /// Every update shrinks the parameters a little (L2 regularisation, decoupled from the gradient).
    WeightDecay {
        /// Share of a parameter that is taken off in each step, before the rate.
        penalty: f64,
    },
    /// A part that was released stays frozen.
    FreezeReleased {
        /// Its parameters.
        parameters: Vec<Chosen>,
    },
    /// A part that was released gets a lower rate than the rest.
    LowerReleasedRate {
        /// Its parameters.
        parameters: Vec<Chosen>,
        /// Its rate over the rest's.
        factor: f64,
    },
}

/// A line at which data enter the engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entrance {
    /// File, as recorded in [`crate::model::Place::file`].
    pub file: String,
    /// Line.
    pub line: u32,
    /// Column, which tells the tensors of one batch apart; 0 where it is not known.
    #[serde(default)]
    pub column: u32,
}

/// A call at a line of the program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallAt {
    /// Plain name of the operation: `linear`, `matmul`, `conv2d`.
    pub op: String,
    /// File, as recorded in [`crate::model::Place::file`].
    pub file: String,
    /// Line.
    pub line: u32,
    /// Path in the model of the layer that it is part of, where that is known: a line may call several.
    #[serde(default)]
    pub module: Option<String>,
}

/// A parameter, by all that another run of the same program may know it by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Chosen {
    /// Position in the optimizer's order of updates, see [`Parameter::slot`].
    pub slot: u32,
    /// Path in the model.
    pub name: Option<String>,
    /// Which operation made it, where the engine counts them.
    pub birth: Option<Birth>,
}

impl From<&Parameter> for Chosen {
    fn from(parameter: &Parameter) -> Self {
        Self { slot: parameter.slot, name: parameter.name.clone(), birth: parameter.birth }
    }
}

/// What a clip bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClipBy {
    /// The Euclidean norm of each gradient tensor.
    Norm,
    /// The Euclidean norm over all gradients.
    GlobalNorm,
    /// The magnitude of each element.
    Value,
}

/// The ways to do without a BatchNorm layer's statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BatchNormFreeze {
    /// Its weight and bias are held; it still normalises with the statistics of the batch.
    Affine,
    /// It keeps mean 0 and variance 1, with which it begins, in the place of the batch's statistics; running
    /// statistics do not move (momentum 0).
    Statistics,
    /// In evaluation mode it normalises with the batch's statistics in the place of the running ones, which
    /// do not fit the data.
    Recompute,
    /// It normalises each sample by itself, in groups of channels (Wu and He 2018); not in burn.
    Group,
}

/// Optimizers that can take over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OtherOptimizer {
    /// Gradient descent.
    Sgd,
    /// Adam (Kingma and Ba 2015) with betas 0.9 and 0.999 and the engine's epsilon: 1e-5 in burn, 1e-8 in PyTorch.
    Adam,
    /// Adam with a decay of the weights that its gradients do not see (Loshchilov and Hutter 2019); not in burn.
    AdamW,
    /// Adam that never forgets a large second moment (Reddi et al. 2018).
    AmsGrad,
}

/// A parameter and the values it begins with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewValues {
    /// Which parameter.
    pub parameter: Chosen,
    /// Its shape, so that another tensor is never overwritten.
    pub shape: Vec<u64>,
    /// How it is filled.
    pub initializer: Initializer,
    /// Whether elements that are finite stay what they are.
    pub only_non_finite: bool,
}

/// How a parameter is filled.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Initializer {
    /// Evenly between two bounds.
    Uniform {
        /// Lower one.
        low: f64,
        /// Upper one.
        high: f64,
    },
    /// From a normal distribution.
    Normal {
        /// Its mean.
        mean: f64,
        /// Its standard deviation.
        std: f64,
    },
    /// With one value.
    Constant {
        /// It.
        value: f64,
    },
}

impl Initializer {
    /// Xavier (Glorot and Bengio 2010), uniform: within ±sqrt(6 / (fan_in + fan_out)).
    pub fn xavier_uniform(fan_in: f64, fan_out: f64) -> Self {
        let bound = (6.0 / (fan_in + fan_out)).sqrt();
        Self::Uniform { low: -bound, high: bound }
    }

    /// Xavier, normal: standard deviation sqrt(2 / (fan_in + fan_out)).
    pub fn xavier_normal(fan_in: f64, fan_out: f64) -> Self {
        Self::Normal { mean: 0.0, std: (2.0 / (fan_in + fan_out)).sqrt() }
    }

    /// Kaiming (He et al. 2015), uniform, for rectified units: within ±sqrt(6 / fan_in).
    pub fn kaiming_uniform(fan_in: f64) -> Self {
        let bound = (6.0 / fan_in).sqrt();
        Self::Uniform { low: -bound, high: bound }
    }

    /// Kaiming, normal, for rectified units: standard deviation sqrt(2 / fan_in).
    pub fn kaiming_normal(fan_in: f64) -> Self {
        Self::Normal { mean: 0.0, std: (2.0 / fan_in).sqrt() }
    }

    /// For a convolution: standard deviation sqrt(2 / (kernel elements * output channels)), which keeps the
    /// variance of gradients (He et al. 2015, section 2.2, backward case).
    pub fn convolution(kernel_elements: f64, output_channels: f64) -> Self {
        Self::Normal { mean: 0.0, std: (2.0 / (kernel_elements * output_channels)).sqrt() }
    }
}

/// The largest argument of an exponential that leaves room for a sum, and minus the least one that is not
/// rounded to 0, by element type: e^10 is 22026 of 65504 and e^-10 is 4.5e-5; e^80 is 5.5e34 of 3.4e38 and
/// e^-80 is 1.8e-35; e^700 is 1e304 of 1.8e308.
pub fn exponent_limit(dtype: &str) -> f64 {
    match dtype {
        "float16" => 10.0,
        "float64" => 700.0,
        _ => 80.0,
    }
}

impl Intervention {
    /// Id of the contract.
    pub fn id(&self) -> &'static str {
        match self {
            Self::DropSamples { .. } => "drop-samples",
            Self::SafeOp { .. } => "safe-op",
            Self::LowerLearningRate { .. } => "lower-learning-rate",
            Self::ClipGradients { .. } => "clip-gradients",
            Self::RaiseEpsilon { .. } => "raise-epsilon",
            Self::ClampInputs { .. } => "clamp-inputs",
            Self::NormalizeInputs { .. } => "normalize-inputs",
            Self::ReplaceAnchors { .. } => "replace-anchors",
            Self::Float32 { .. } => "float32",
            Self::ZeroGrad => "zero-grad",
            Self::ScaleLoss { .. } => "scale-loss",
            Self::MeanLoss { .. } => "mean-loss",
            Self::SmallerBatch { .. } => "smaller-batch",
            Self::Reinitialize { .. } => "reinitialize",
            Self::InsertNorm { .. } => "insert-norm",
            Self::FreezeBatchNorm { .. } => "freeze-batch-norm",
            Self::ConstantLearningRate { .. } => "constant-learning-rate",
            Self::WarmUp { .. } => "warm-up",
            Self::ChangeOptimizer { .. } => "change-optimizer",
            Self::WeightDecay { .. } => "weight-decay",
            Self::FreezeReleased { .. } => "freeze-released",
            Self::LowerReleasedRate { .. } => "lower-released-rate",
        }
    }
}
