//! What an adapter tells while the training runs.

use crate::model::{
    Act, Batch, Break, DataSeen, Ending, Forecast, Header, Optimizer, Parameter, Screened, Step, StepGraph,
};
use crate::tape::Tape;
use serde::{Deserialize, Serialize};

/// One thing an adapter has to tell.
///
/// Events arrive in the order in which they happened. A [`Event::Parameter`] comes
/// again when more is known of it; the later one replaces the earlier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// The engine started. Comes first.
    Started(Header),
    /// A parameter was seen for the first time, or its name became known.
    Parameter(Parameter),
    /// The optimizer made its first step.
    Optimizer(Optimizer),
    /// A batch was consumed.
    Batch(Batch),
    /// An optimizer step ended.
    Step(Step),
    /// A tensor is about to overflow.
    Forecast(Forecast),
    /// A tensor of which that was told ([`Forecast::tensor`]) no longer grows as it did.
    Averted(u32),
    /// The training broke. Comes at most once; one of an evaluation may be followed by one of the training.
    Break(Box<Break>),
    /// The training broke, and the operation that did it was not seen: its producer stands for where the bad value was
    /// noticed. Comes as often as [`Event::Break`], and in its place.
    Noticed {
        /// What is known of it.
        found: Box<Break>,
        /// The first step that may have been the breaking one: those before it were found clean.
        since: u64,
    },
    /// The operations of a step worth keeping whole.
    Graph(Box<StepGraph>),
    /// What entered the engine up to the break.
    Data(Vec<DataSeen>),
    /// Parameters were non-finite at the end of the breaking step.
    ParametersLost,
    /// The intervention of the plan changed something for the first time, in this step.
    Intervened(u64),
    /// The step that the plan wanted on tape. Comes at its end.
    Tape(Box<Tape>),
    /// Samples were gone through, as the plan wanted.
    Screened(Box<Screened>),
    /// A guard did something to keep the training alive.
    Acted(Box<Act>),
    /// Something a user should know about the watching itself.
    Note(String),
    /// The training ended in an orderly way. Comes last.
    Ended(Ending),
}
