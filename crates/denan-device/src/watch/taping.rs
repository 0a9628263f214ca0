//! Putting one step on tape: its operations, and a copy of every tensor that they read from outside.
//!
//! A copy shares the elements of its original until somebody writes to that, which then writes to a copy of
//! its own; so a tape costs memory, and only in the step that the plan names.

use super::{Watch, tensor_handle};
use crate::channel::Engine;
use crate::element;
use crate::graph::NodeIndex;
use burn_ir::{FloatOperationIr, NumericOperationIr, OperationIr, TensorId, TensorIr, TensorStatus};
use denan_record::event::Event;
use denan_record::tape::{self, MOST_BYTES, Tape};
use real_flex::FlexTensor;
use rustc_hash::FxHashSet;

/// Operations of a step that are put on tape.
const MOST_ENTRIES: usize = 50_000;

/// A tape that is being made.
#[derive(Default)]
pub(super) struct Taping {
    entries: Vec<Taken>,
    /// Tensors that are on it already.
    known: FxHashSet<TensorId>,
    bytes: u64,
    /// The graph's, when the step began: if it changes, nodes have lost their numbers.
    generation: u64,
    /// Where the bad value was noticed; before that, where the losses of the step are.
    watched: Vec<NodeIndex>,
    /// Where the first bad value was made.
    producer: Option<NodeIndex>,
}

enum Taken {
    Given(TensorIr, FlexTensor, Option<NodeIndex>),
    Operation(Box<OperationIr>, Vec<Option<NodeIndex>>),
}

impl Watch {
    /// Begins the tape, if the step that the plan wants is beginning.
    pub(super) fn begin_tape(&mut self) {
        let is_wanted = self.plan.tape_step == Some(self.steps_done);
        self.taping = is_wanted.then(|| Taping { generation: self.graph.generation(), ..Taping::default() });
    }

    /// Before an operation: copies what it reads from outside.
    pub(super) fn tape_inputs(&mut self, engine: &mut Engine, op: &OperationIr) {
        let Some(taping) = &mut self.taping else { return };
        for tensor in op.inputs() {
            if !taping.known.insert(tensor.id) {
                continue;
            }
            let read = TensorIr { status: TensorStatus::ReadOnly, ..tensor.clone() };
            if let Some(copy) = tensor_handle(engine, &read) {
                taping.give(read, copy, self.graph.of(tensor.id));
            }
        }
        self.drop_tape_if_too_large();
    }

    /// After an operation: notes it, or what it made if that cannot be made again.
    pub(super) fn tape_operation(&mut self, engine: &mut Engine, op: Box<OperationIr>) {
        let Some(taping) = &mut self.taping else { return };
        let comes_from_outside = matches!(
            *op,
            OperationIr::Init(_)
                | OperationIr::Float(_, FloatOperationIr::Random(_))
                | OperationIr::NumericInt(_, NumericOperationIr::IntRandom(_))
        );
        let mut nodes = Vec::new();
        for tensor in op.outputs() {
            taping.known.insert(tensor.id);
            let node = self.graph.of(tensor.id);
            nodes.push(node);
            if comes_from_outside {
                let read = TensorIr { status: TensorStatus::ReadOnly, ..tensor.clone() };
                if let Some(copy) = tensor_handle(engine, &read) {
                    taping.give(read, copy, node);
                }
            }
        }
        if !comes_from_outside {
            taping.entries.push(Taken::Operation(op, nodes));
        }
        self.drop_tape_if_too_large();
    }

    /// The loss of the step is known.
    pub(super) fn tape_loss(&mut self, loss: NodeIndex) {
        if let Some(taping) = &mut self.taping {
            taping.watched.push(loss);
        }
    }

    /// The operation that broke the training is known.
    pub(super) fn tape_break(&mut self, noticed: NodeIndex, producer: NodeIndex) {
        if let Some(taping) = &mut self.taping {
            taping.producer = Some(producer);
            taping.watched.insert(0, noticed);
        }
    }

    fn drop_tape_if_too_large(&mut self) {
        let Some(taping) = &self.taping else { return };
        let reason = if taping.bytes > MOST_BYTES {
            format!("it reads more than {} MiB of tensors", MOST_BYTES >> 20)
        } else if taping.entries.len() > MOST_ENTRIES || taping.generation != self.graph.generation() {
            format!("it has more than {MOST_ENTRIES} operations")
        } else {
            return;
        };
        self.taping = None;
        self.teller
            .tell(Event::Note(format!("the breaking step is not on the record for `replay`: {reason}")));
    }

    /// The step is over: tells its tape.
    pub(super) fn tell_tape(&mut self) {
        let Some(taping) = self.taping.take() else { return };
        let graph = self.step_graph(self.graph.nodes(), self.steps_done, &[], taping.producer);
        if graph.left_out > 0 || taping.generation != self.graph.generation() {
            return;
        }
        let updates = self.updates.all();
        let gradients = updates.iter().filter_map(|update| update.gradient);
        let values = updates.iter().filter_map(|update| update.after);
        let watched = taping.watched.into_iter().chain(gradients).chain(values).collect();
        let entries = taping.entries.into_iter().filter_map(Taken::encoded).collect();
        let tape = Tape { engine: super::ENGINE.to_owned(), graph, entries, watched };
        self.teller.tell(Event::Tape(Box::new(tape)));
    }
}

impl Taping {
    fn give(&mut self, tensor: TensorIr, copy: FlexTensor, node: Option<NodeIndex>) {
        self.bytes += (tensor.shape.num_elements() * tensor.dtype.size()) as u64;
        self.entries.push(Taken::Given(tensor, copy, node));
    }
}

impl Taken {
    /// In the encoding of the record; `None` for what that lacks, such as quantised tensors.
    fn encoded(self) -> Option<tape::Entry> {
        Some(match self {
            Self::Given(tensor, copy, node) => tape::Entry::Given {
                node,
                tensor: postcard::to_stdvec(&tensor).ok()?,
                elements: element::bytes(&copy)?,
            },
            Self::Operation(operation, nodes) => {
                tape::Entry::Operation { nodes, operation: postcard::to_stdvec(&operation).ok()? }
            }
        })
    }
}
