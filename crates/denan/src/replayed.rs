//! What the figures of a step that was carried out again mean: whether it breaks, where, and on which way.

use denan_finding::{Replay, ReplayVerdict, ReplayedNode};
use denan_numerics::Range;
use denan_record::model::{Break, Kind, Node, Operation, Phase, Role, Run, StepGraph, TensorSeen};
use denan_record::producer::{Path, producer};
use denan_record::tape::{Replayed, Tape};

/// A step with the figures it has now.
pub struct Outcome {
    /// The step; a node that was not reached keeps nothing but its place in the list.
    pub graph: StepGraph,
    /// Whether each node was made.
    made: Vec<bool>,
    /// Tensors whose figures are not those of the record.
    pub differing: usize,
    /// The operation that makes the first bad value, and the way from there to where it counts.
    pub path: Option<Path>,
    watched: Vec<u32>,
}

impl Outcome {
    /// Puts the new figures in the place of the recorded ones.
    pub fn of(tape: &Tape, replayed: &Replayed) -> Self {
        let mut graph = tape.graph.clone();
        let mut made = vec![false; graph.nodes.len()];
        for &(number, range) in &replayed.figures {
            if let Some(node) = graph.nodes.get_mut(number as usize) {
                node.range = range;
                made[number as usize] = true;
            }
        }
        let differing = (0..made.len())
            .filter(|&at| made[at] && !is_same(&graph.nodes[at].range, &tape.graph.nodes[at].range))
            .count();
        // What was not reached is not bad.
        for (node, _) in graph.nodes.iter_mut().zip(&made).filter(|(_, made)| !**made) {
            node.range = Range::EMPTY;
        }
        let mut outcome = Self { graph, made, differing, path: None, watched: tape.watched.clone() };
        outcome.path = outcome.noticed().map(|noticed| producer(&outcome.graph, noticed));
        outcome.graph.producer = outcome.path.as_ref().map(|path| path.producer);
        outcome
    }

    /// Where a bad value first counts: in the loss, in a gradient, in a parameter that it reached just now.
    fn noticed(&self) -> Option<u32> {
        self.watched.iter().copied().find(|&at| {
            let node = &self.graph.nodes[at as usize];
            let before = self.graph.nodes.iter().filter(|other| !other.is_new && other.slot.is_some());
            let was_bad =
                before.filter(|other| other.slot == node.slot).map(|other| other.range.nonfinite()).max();
            node.range.nonfinite() > was_bad.unwrap_or(0)
        })
    }

    /// The break as the record would have it, had it happened this way.
    pub fn break_of(&self, run: &Run, recorded: &Break) -> Option<Break> {
        let path = self.path.as_ref()?;
        let node = &self.graph.nodes[path.producer as usize];
        let phase = match node.phase {
            Phase::Forward if path.trail.is_empty() => Phase::Loss,
            phase => phase,
        };
        let bad = |at: &u32| self.graph.nodes[*at as usize].range.nonfinite() > 0;
        let in_phase = |at: &u32, phase: Phase| self.graph.nodes[*at as usize].phase == phase;
        Some(Break {
            step: recorded.step,
            phase,
            kind: Kind::of(&node.range).unwrap_or(Kind::Nan),
            producer: self.operation(run, path.producer, phase),
            trail: path
                .trail
                .iter()
                .map(|&at| self.operation(run, at, self.graph.nodes[at as usize].phase))
                .collect(),
            origins: Vec::new(),
            samples: recorded.samples.clone(),
            batch_rows: Vec::new(),
            loss_is_bad: self.watched.iter().any(|at| in_phase(at, Phase::Forward) && bad(at)),
            parameters_are_bad: self.watched.iter().any(|at| in_phase(at, Phase::Optimizer) && bad(at)),
            in_evaluation: false,
        })
    }

    fn operation(&self, run: &Run, at: u32, phase: Phase) -> Operation {
        let node = &self.graph.nodes[at as usize];
        Operation {
            sequence: at.into(),
            op: called(node).to_owned(),
            carried_out: node.call.as_ref().map(|_| node.op.clone()),
            phase,
            module: None,
            parameter: None,
            place: self.place(node),
            forward_place: None,
            scalar: node.scalar,
            inputs: node.inputs.iter().map(|&input| self.tensor(run, input)).collect(),
            output: self.tensor(run, at),
        }
    }

    fn tensor(&self, run: &Run, at: u32) -> TensorSeen {
        let node = &self.graph.nodes[at as usize];
        let parameter =
            node.slot.and_then(|slot| run.parameters.iter().find(|parameter| parameter.slot == slot));
        TensorSeen {
            shape: node.shape.clone(),
            dtype: node.dtype.clone(),
            range: node.range,
            role: node.role,
            parameter: parameter.and_then(|parameter| parameter.name.clone()),
            made_by: (node.role == Role::Activation).then(|| called(node).to_owned()),
        }
    }

    fn place(&self, node: &Node) -> Option<denan_record::model::Place> {
        self.graph.places.get(node.place? as usize).cloned()
    }

    /// For the result: every tensor that was made.
    pub fn shown(
        &self,
        tape: &Tape,
        replayed: &Replayed,
        changes: Vec<String>,
        focus: Option<u32>,
        stopped: bool,
        all: bool,
    ) -> Replay {
        let verdict = match &self.path {
            None if stopped => ReplayVerdict::Stopped,
            None => ReplayVerdict::Finite,
            Some(path) if Some(path.producer) == tape.graph.producer => ReplayVerdict::SameBreak,
            Some(_) => ReplayVerdict::OtherBreak,
        };
        let nodes = (0u32..).zip(&self.graph.nodes).filter(|(number, _)| self.made[*number as usize]);
        let nodes = nodes.map(|(number, node)| {
            let recorded = tape.graph.nodes[number as usize].range;
            ReplayedNode {
                number,
                op: node.op.clone(),
                call: node.call.clone(),
                phase: node.phase,
                place: self.place(node),
                reads: node.inputs.clone(),
                tensor: self.tensor(&Run::default(), number),
                recorded: (!is_same(&recorded, &node.range)).then_some(recorded),
            }
        });
        Replay {
            step: tape.graph.step,
            operations: replayed.operations,
            differing: self.differing as u64,
            changes,
            verdict,
            nodes: nodes.collect(),
            producer: self.path.as_ref().map(|path| path.producer),
            focus,
            all,
        }
    }
}

/// The call as the user knows it.
pub fn called(node: &Node) -> &str {
    node.call.as_deref().unwrap_or(&node.op)
}

/// Whether two figures are those of the same elements, as far as figures tell.
fn is_same(one: &Range, other: &Range) -> bool {
    let bits = |range: &Range| {
        let counts = (range.count, range.nan, range.pos_inf, range.neg_inf, range.zeros);
        (counts, range.min.to_bits(), range.max.to_bits())
    };
    bits(one) == bits(other)
}
