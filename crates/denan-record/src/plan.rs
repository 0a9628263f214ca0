//! What denan asks of an adapter: handed to the training in one environment variable.

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
    /// Start of file names in debug information, and what to tell in its place: the program may
    /// have been built in a shadow of the user's folder.
    pub renamed: Option<(String, String)>,
    /// The one thing that is different in this run.
    pub intervention: Option<Intervention>,
}

impl Plan {
    /// The plan of this process, if it is watched.
    ///
    /// # Errors
    /// The variable is set and is not a plan.
    pub fn from_environment() -> Result<Option<Self>, serde_json::Error> {
        match std::env::var(PLAN_VARIABLE) {
            Ok(text) => serde_json::from_str(&text).map(Some),
            Err(_) => Ok(None),
        }
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
    },
    /// One call, at one line, gets its argument moved away from the edge of its domain, or an exponential
    /// one its argument kept between minus [`exponent_limit`] and the margin.
    SafeOp {
        /// Plain name of the call.
        op: String,
        /// File of the call, as recorded in [`crate::model::Place::file`].
        file: String,
        /// Line of the call.
        line: u32,
        /// How far the argument stays away from the edge; for an exponential its largest argument.
        margin: f64,
    },
    /// Every update is multiplied by this factor (0 < factor < 1), which is what a lower rate does.
    LowerLearningRate {
        /// New rate divided by old rate.
        factor: f64,
    },
    /// Each gradient tensor whose Euclidean norm is larger is scaled down to it.
    ClipGradients {
        /// The largest norm let through.
        max_norm: f64,
    },
    /// The term that keeps an adaptive optimizer's divisor away from 0.
    RaiseEpsilon {
        /// Its new value.
        epsilon: f64,
    },
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
        }
    }
}
