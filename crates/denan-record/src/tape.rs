//! A step of a training as it can be carried out again: its operations, and what they read from outside.
//!
//! An adapter makes one when the plan asks for it ([`crate::plan::Plan::tape_step`]), which is in a re-run
//! whose breaking step is known: holding on to what a step reads costs memory, and a watched training is to
//! cost next to nothing. Operations and tensors are in the engine's own encoding, which only the adapter of
//! that engine reads.

use crate::model::StepGraph;
use denan_numerics::Range;
use serde::{Deserialize, Serialize};

/// Bytes of outside tensors that a tape holds. A step that reads more has none.
pub const MOST_BYTES: u64 = 64 << 20;

/// One step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tape {
    /// Engine and version that can carry it out: `burn 0.22.1`.
    pub engine: String,
    /// What the step was: every tensor with its line and figures. Numbers of nodes below are indices in it.
    pub graph: StepGraph,
    /// What happened, in order.
    pub entries: Vec<Entry>,
    /// Nodes at which a break counts: where it was noticed, the losses, the gradients, the parameters after
    /// their update.
    pub watched: Vec<u32>,
}

impl Tape {
    /// Whether every number in it is that of a node or place that is there, and what an operation reads comes
    /// before what it makes. A file may come from anywhere.
    pub fn is_sound(&self) -> bool {
        let nodes = self.graph.nodes.len();
        let is_node = |number: u32| (number as usize) < nodes;
        let is_sound = |(at, node): (usize, &crate::model::Node)| {
            node.inputs.iter().all(|&input| (input as usize) < at)
                && node.place.is_none_or(|place| (place as usize) < self.graph.places.len())
        };
        self.graph.nodes.iter().enumerate().all(is_sound)
            && self.watched.iter().copied().all(is_node)
            && self.graph.producer.is_none_or(is_node)
    }
}

/// One thing that happened in the step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Entry {
    /// A tensor came from outside: it is older than the step, or data, or drawn at random.
    Given {
        /// The node, if the graph has it.
        node: Option<u32>,
        /// What it is, in the engine's encoding.
        tensor: Vec<u8>,
        /// Its elements, row-major, in its own type, in the byte order of the machine (little endian on all
        /// that burn's flex supports today).
        elements: Vec<u8>,
    },
    /// An operation was carried out.
    Operation {
        /// The tensors it made; one that is missing in the graph has no number.
        nodes: Vec<Option<u32>>,
        /// It, in the engine's encoding.
        operation: Vec<u8>,
    },
}

/// What to do differently when a tape is carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The node whose operation is meant.
    pub node: u32,
    /// What is done to it.
    pub how: Alteration,
}

/// What can be done to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Alteration {
    /// What it reads is raised to this value where it is below; NaN too.
    AtLeast(f64),
    /// What it reads is lowered to this value where it is above; NaN too.
    AtMost(f64),
    /// This is added to what it reads.
    Plus(f64),
    /// What it makes is replaced by this value everywhere.
    Value(f64),
}

/// What is asked of an adapter that carries a tape out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The tape.
    pub tape: Tape,
    /// The changes.
    pub changes: Vec<Change>,
    /// Last node to be made; all of them if `None`.
    pub until: Option<u32>,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Replayed {
    /// Figures of each node that was made, by its number. Of a node whose tensor a change replaced, those after it.
    pub figures: Vec<(u32, Range)>,
    /// Operations carried out.
    pub operations: u64,
    /// Changes that found nothing to change: their operation reads no float tensor.
    pub without_effect: Vec<Change>,
}
