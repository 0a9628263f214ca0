//! A step looked at closely: every operation, as a graph of the tensors it made.
//!
//! PyTorch tells operations below autograd (a dispatch mode in Python), in the order in which they are carried out,
//! each with the tensors it read and made. A tensor is known by its storage, its first element, shape and strides: the
//! objects of Python come and go, and autograd unpacks what it saved into new ones. A storage has a number that no
//! other living storage has.

mod told;

use crate::describe::{Arg, describe};
use crate::inner::{Inner, Source, inside};
use crate::tensor::{Dtype, Tensor};
use denan_numerics::Range;
use denan_record::model::{Phase, Role, Sample, Window};
use denan_record::origin::Geometry;
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;

/// Bad elements of a tensor whose positions are kept.
const MOST_POSITIONS: usize = 4096;
/// Elements of one data tensor that are kept.
const MOST_VALUES: usize = 1 << 14;
/// Elements of all data tensors of a step that are kept.
const MOST_VALUES_TOGETHER: usize = 1 << 18;

/// A tensor and the operation that made it.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub name: Arc<str>,
    /// The call as the user wrote it; in the backward pass the one whose gradient is computed, in the optimizer the
    /// optimizer.
    pub call: Option<Arc<str>>,
    pub scalar: Option<f64>,
    pub geometry: Geometry,
    pub indices: Option<Vec<i64>>,
    pub window: Option<Window>,
    pub place: Option<u32>,
    /// In the backward pass, the line of the forward call.
    pub forward_place: Option<u32>,
    pub module: Option<Arc<str>>,
    pub phase: Phase,
    pub shape: Vec<usize>,
    pub dtype: Dtype,
    pub range: Range,
    pub inputs: Vec<u32>,
    pub role: Role,
    pub slot: Option<u32>,
    /// Name of a buffer of the network.
    pub buffer: Option<Arc<str>>,
    /// Samples of the batch that it came with.
    pub samples: Option<Arc<[Sample]>>,
    pub is_new: bool,
    /// Nothing but elements of data.
    pub of_data: bool,
    pub values: Vec<f64>,
    pub bad_positions: Vec<usize>,
}

impl Node {
    pub fn is_bad(&self) -> bool {
        self.range.nonfinite() > 0
    }
}

/// What makes two tensors the same one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    storage: u64,
    pointer: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl Key {
    fn of(tensor: &Tensor) -> Self {
        let Tensor { storage, pointer, shape, strides, .. } = tensor;
        Self { storage: *storage, pointer: *pointer, shape: shape.clone(), strides: strides.clone() }
    }
}

/// What a storage is to the training.
#[derive(Clone, Debug)]
pub enum Known {
    /// Of a parameter with this slot.
    Parameter(u32),
    /// Of a buffer of the network (running statistics), by its name.
    Buffer(Arc<str>),
    /// Of the optimizer's state.
    State,
    /// Of a batch of these samples, which came at the line of this number.
    Batch(Option<u32>, Arc<[Sample]>),
}

/// One operation, as the hooks saw it.
#[derive(Clone, Debug)]
pub struct Seen<'a> {
    /// Its name in ATen, without namespace and overload.
    pub op: &'a str,
    /// The call it is part of, see `Node::call`.
    pub call: Option<&'a str>,
    /// Part of the step.
    pub phase: Phase,
    /// Number of the user's line.
    pub place: Option<u32>,
    /// In the backward pass, number of the line of the forward call.
    pub forward_place: Option<u32>,
    /// Path of the module around it.
    pub module: Option<&'a str>,
    /// Its arguments.
    pub args: &'a [Arg],
    /// The keyword `value`, which scales.
    pub value: Option<f64>,
    /// The tensors it made or wrote.
    pub outputs: &'a [Tensor],
    /// How many of the outputs, from the end, are arguments that it wrote on the side.
    pub written: usize,
}

/// The operations of the step that is looked at, and of the one looked at before.
#[derive(Default)]
pub struct Look {
    step: u64,
    nodes: Vec<Node>,
    /// The step looked at before.
    previous: Option<(u64, Vec<Node>)>,
    newest: FxHashMap<Key, u32>,
    by_storage: FxHashMap<u64, Vec<Key>>,
    /// Views whose memory was written through another view since they were made.
    stale: FxHashSet<Key>,
    known: FxHashMap<u64, Vec<(usize, Known)>>,
    /// Storages that were there when the step began.
    old: FxHashSet<u64>,
    room_for_values: usize,
    names: FxHashSet<Arc<str>>,
    arrived: Vec<(u32, Tensor)>,
}

impl Look {
    /// Begins a step. What was in memory in the step before, if that was looked at, is old in this one.
    pub fn begin(&mut self, step: u64) {
        let nodes = std::mem::take(&mut self.nodes);
        let follows = !nodes.is_empty() && self.step + 1 == step;
        self.old = if follows { self.by_storage.keys().copied().collect() } else { FxHashSet::default() };
        self.previous = (!nodes.is_empty()).then_some((self.step, nodes));
        self.step = step;
        self.newest.clear();
        self.by_storage.clear();
        self.stale.clear();
        self.known.clear();
        self.room_for_values = MOST_VALUES_TOGETHER;
    }

    /// Forgets what was seen of the step under way: an evaluation that was in order.
    pub fn restart(&mut self) {
        let previous = self.previous.take();
        self.nodes.clear();
        self.begin(self.step);
        self.previous = previous;
    }

    /// What was seen belongs to this step.
    pub fn is_of(&mut self, step: u64) {
        self.step = step;
    }

    /// The step under way.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Says what the memory from `pointer` on is to the training.
    pub fn know(&mut self, storage: u64, pointer: usize, what: Known) {
        self.known.entry(storage).or_default().push((pointer, what));
    }

    /// Node of a tensor, if it has one.
    pub fn node_of(&self, tensor: &Tensor) -> Option<u32> {
        self.newest.get(&Key::of(tensor)).copied()
    }

    pub(crate) fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    pub(crate) fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    fn name(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.names.get(text) {
            return Arc::clone(known);
        }
        let name: Arc<str> = text.into();
        self.names.insert(Arc::clone(&name));
        name
    }

    fn what_is(&self, tensor: &Tensor) -> Option<&Known> {
        let all = self.known.get(&tensor.storage)?;
        // Several parameters may share a storage: the one that begins at or before the tensor is meant.
        let before = all.iter().filter(|(pointer, _)| *pointer <= tensor.pointer);
        before.max_by_key(|(pointer, _)| *pointer).or(all.first()).map(|(_, what)| what)
    }

    /// Takes an operation in. Returns the numbers of what it made.
    pub fn operation(&mut self, seen: &Seen<'_>) -> Vec<u32> {
        let is_foreach = seen.op.starts_with("_foreach_");
        if is_foreach {
            return self.for_each(seen);
        }
        let mut made = Vec::with_capacity(seen.outputs.len());
        let own = seen.outputs.len() - seen.written.min(seen.outputs.len());
        for (number, output) in seen.outputs.iter().enumerate() {
            // What is written on the side is no view and no element of the result.
            let call = describe(seen.op, seen.args, &output.shape, number);
            let geometry = if number < own { call.geometry.clone() } else { Geometry::Whole };
            let is_view = matches!(geometry, Geometry::Reshape) && number < own;
            if is_view && call.inputs.first().is_some_and(|input| Key::of(input) == Key::of(output)) {
                let input = call.inputs[0].clone();
                made.push(self.resolve(&input, seen));
                continue;
            }
            let inputs: Vec<u32> = call.inputs.iter().map(|input| self.resolve(input, seen)).collect();
            let inner = if number == 0 { inside(seen.op, &call, seen.args, seen.value) } else { Vec::new() };
            let mut node = self.node_for(seen, output, &inputs);
            node.name = self.name(&call.name);
            if let Some(part_of) = call.part_of {
                node.call = Some(self.name(part_of));
            }
            node.scalar = call.scalar.filter(|_| node.inputs.len() < 2 || call.name == "mask_fill");
            node.geometry = geometry;
            node.indices = call.indices.clone();
            node.window = call.window.clone();
            // To look at memory in another way changes nothing of it.
            let writes =
                number >= own || !is_view_of(seen.op, &node.geometry, call.inputs.first().copied(), output);
            let at = if inner.is_empty() {
                self.insert(output, node, writes)
            } else {
                self.insert_inner(output, node, inner, &inputs)
            };
            made.push(at);
        }
        made
    }

    /// One operation for many tensors: as many nodes.
    fn for_each(&mut self, seen: &Seen<'_>) -> Vec<u32> {
        let mut made = Vec::new();
        for (number, output) in seen.outputs.iter().enumerate() {
            let args: Vec<Arg> = seen
                .args
                .iter()
                .map(|arg| match arg {
                    Arg::Tensors(all) => all.get(number).cloned().flatten().map_or(Arg::Nothing, Arg::Tensor),
                    Arg::Numbers(all) => all.get(number).map_or(Arg::Nothing, |&number| Arg::Number(number)),
                    other => other.clone(),
                })
                .collect();
            let op = seen.op.strip_prefix("_foreach_").unwrap_or(seen.op);
            let one =
                Seen { op, args: &args, outputs: std::slice::from_ref(output), written: 0, ..seen.clone() };
            made.extend(self.operation(&one));
        }
        made
    }

    /// A node for what an operation makes, without its name.
    fn node_for(&mut self, seen: &Seen<'_>, output: &Tensor, inputs: &[u32]) -> Node {
        let of_gradient = inputs.iter().any(|&input| self.nodes[input as usize].role == Role::Gradient);
        let is_parameter = match self.what_is(output) {
            Some(Known::Parameter(slot)) => Some(*slot),
            _ => None,
        };
        let phase = match seen.phase {
            // A clip, or whatever else the program makes of gradients.
            Phase::Forward if of_gradient => Phase::Backward,
            phase => phase,
        };
        let role = match phase {
            _ if is_parameter.is_some() => Role::Parameter,
            Phase::Optimizer => Role::OptimizerState,
            Phase::Backward => Role::Gradient,
            _ if inputs.is_empty() => Role::Constant,
            _ => Role::Activation,
        };
        let empty = self.name("");
        Node {
            name: empty,
            call: seen.call.map(|call| self.name(call)),
            scalar: None,
            geometry: Geometry::Whole,
            indices: None,
            window: None,
            place: seen.place,
            forward_place: seen.forward_place,
            module: seen.module.map(|module| self.name(module)),
            phase,
            shape: output.shape.clone(),
            dtype: output.dtype,
            range: Range::EMPTY,
            inputs: inputs.to_vec(),
            role,
            slot: is_parameter,
            buffer: None,
            samples: None,
            is_new: true,
            of_data: false,
            values: Vec::new(),
            bad_positions: Vec::new(),
        }
    }

    /// Enters what an operation made.
    fn insert(&mut self, output: &Tensor, mut node: Node, writes: bool) -> u32 {
        let source = node.inputs.first().map(|&at| &self.nodes[at as usize]);
        // A view of a whole tensor has its figures.
        let is_same = matches!(node.geometry, Geometry::Reshape | Geometry::Permute(_) | Geometry::Flip(_))
            && source.is_some_and(|source| source.dtype == output.dtype);
        node.range = match source {
            Some(source) if is_same => source.range,
            _ => output.range(),
        };
        node.of_data = node.phase == Phase::Forward && self.holds_data(&node);
        if node.of_data {
            self.keep_values(output, &mut node);
        }
        let from_finite = node.inputs.iter().all(|&at| !self.nodes[at as usize].is_bad());
        if node.is_bad() && (from_finite || node.range.nan > 0) && output.dtype.is_float() {
            node.bad_positions = output.positions(MOST_POSITIONS, |value| !value.is_finite());
        }
        self.enter(output, node, writes)
    }

    /// Whether an operation hands on elements of data and makes none of its own.
    fn holds_data(&self, node: &Node) -> bool {
        let of_data = |at: &u32| self.nodes[*at as usize].of_data;
        match node.geometry {
            // The second one is an index.
            Geometry::Select(0) => node.inputs.first().is_some_and(of_data),
            Geometry::Reshape
            | Geometry::Permute(_)
            | Geometry::Slice(_)
            | Geometry::Pick(..)
            | Geometry::Flip(_)
            | Geometry::Select(_)
            | Geometry::Picked => node.inputs.len() == 1 && of_data(&node.inputs[0]),
            Geometry::Stack(_) | Geometry::Cat(_) => node.inputs.iter().all(of_data),
            _ => false,
        }
    }

    fn keep_values(&mut self, output: &Tensor, node: &mut Node) {
        let count = output.count();
        if count <= MOST_VALUES.min(self.room_for_values) {
            node.values = output.values(count);
            self.room_for_values -= count;
        }
    }

    fn enter(&mut self, tensor: &Tensor, node: Node, writes: bool) -> u32 {
        let at = self.nodes.len() as u32;
        let key = Key::of(tensor);
        let siblings = self.by_storage.entry(key.storage).or_default();
        // Written again: what other views of the memory showed is out of date.
        if !self.newest.contains_key(&key) {
            siblings.push(key.clone());
        } else if writes {
            self.stale.extend(siblings.iter().filter(|other| **other != key).cloned());
        }
        self.stale.remove(&key);
        self.newest.insert(key, at);
        self.nodes.push(node);
        at
    }

    /// Enters the operations inside one, the last of which makes the output.
    fn insert_inner(&mut self, output: &Tensor, last: Node, inner: Vec<Inner>, outer: &[u32]) -> u32 {
        let mut made: Vec<u32> = Vec::with_capacity(inner.len());
        let mut last = Some(last);
        for part in inner {
            let inputs: Vec<u32> = part
                .inputs
                .iter()
                .map(|source| match *source {
                    Source::Outer(at) => outer[at],
                    Source::Inner(at) => made[at],
                })
                .collect();
            let name = self.name(part.name);
            let whole = last.as_ref().expect("the output's own operation comes last");
            let call = whole.call.clone().or_else(|| Some(Arc::clone(&whole.name)));
            let Some(values) = part.values else {
                let mut node = last.take().expect("it comes once");
                (node.name, node.call, node.inputs, node.geometry) = (name, call, inputs, part.geometry);
                node.scalar = part.scalar;
                return self.insert(output, node, true);
            };
            let role = if whole.phase == Phase::Optimizer { Role::OptimizerState } else { whole.role };
            let bad = values.iter().enumerate().filter(|(_, value)| !value.is_finite());
            let bad_positions = bad.map(|(at, _)| at).take(MOST_POSITIONS).collect();
            let of_data = inputs.iter().all(|&at| self.nodes[at as usize].of_data);
            let node = Node {
                name,
                call,
                inputs,
                role,
                of_data,
                slot: None,
                scalar: part.scalar,
                range: denan_numerics::range(&values),
                values: if of_data && values.len() <= MOST_VALUES { values } else { Vec::new() },
                shape: part.shape,
                geometry: part.geometry,
                bad_positions,
                indices: None,
                window: None,
                ..whole.clone()
            };
            made.push(self.nodes.len() as u32);
            self.nodes.push(node);
        }
        // Unreachable for what `inside` gives; a call without a last part has no output to enter.
        self.nodes.len() as u32 - 1
    }

    /// The node of a tensor that is read, entered as data or whatever else it is if no operation made it.
    fn resolve(&mut self, tensor: &Tensor, seen: &Seen<'_>) -> u32 {
        let key = Key::of(tensor);
        let newest = self.newest.get(&key).copied();
        if let Some(at) = newest
            && !self.stale.contains(&key)
        {
            return at;
        }
        if newest.is_some() {
            return self.read_again(tensor, newest, seen);
        }
        // Another view of memory that is known, made where no operation was told.
        let sibling = self
            .by_storage
            .get(&tensor.storage)
            .and_then(|keys| keys.iter().filter_map(|key| self.newest.get(key)).max().copied());
        if sibling.is_some() && !matches!(self.what_is(tensor), Some(Known::Parameter(_))) {
            return self.read_again(tensor, sibling, seen);
        }
        let what = self.what_is(tensor).cloned();
        let was_there = self.old.contains(&tensor.storage);
        let (role, is_new) = match &what {
            Some(Known::Parameter(_)) => (Role::Parameter, false),
            Some(Known::Buffer(_)) => (Role::Data, false),
            Some(Known::State) => (Role::OptimizerState, false),
            Some(Known::Batch(..)) => (Role::Data, true),
            // What the optimizer and the backward pass read and nobody made is their own.
            None if seen.phase == Phase::Optimizer => (Role::OptimizerState, false),
            None if seen.phase == Phase::Backward => (Role::Gradient, false),
            None => (Role::Data, !was_there),
        };
        let mut node = self.node_for(seen, tensor, &[]);
        node.name = self.name("input");
        node.call = None;
        node.geometry = Geometry::Created;
        node.phase = if role == Role::Gradient { Phase::Backward } else { Phase::Forward };
        (node.role, node.is_new) = (role, is_new);
        node.slot = match what {
            Some(Known::Parameter(slot)) => Some(slot),
            _ => None,
        };
        if let Some(Known::Batch(place, samples)) = &what {
            node.place = place.or(node.place);
            node.samples = Some(Arc::clone(samples));
        }
        let is_held = what.is_none() && role == Role::Data && tensor.dtype.is_float();
        node.buffer = match what {
            Some(Known::Buffer(name)) => Some(name),
            _ => None,
        };
        node.range = tensor.range();
        node.of_data = role == Role::Data && node.buffer.is_none();
        if node.of_data {
            self.keep_values(tensor, &mut node);
        }
        if node.is_bad() && tensor.dtype.is_float() {
            node.bad_positions = tensor.positions(MOST_POSITIONS, |value| !value.is_finite());
        }
        let at = self.enter(tensor, node, false);
        if is_held {
            self.arrived.push((at, tensor.clone()));
        }
        at
    }

    /// Data that the program holds and an operation has read since this was last asked for. Their memory may be read
    /// only while the call that handed them over lasts.
    pub(crate) fn take_arrived(&mut self) -> Vec<(u32, Tensor)> {
        std::mem::take(&mut self.arrived)
    }

    /// A view whose memory changed, or that was made unseen.
    fn read_again(&mut self, tensor: &Tensor, of: Option<u32>, seen: &Seen<'_>) -> u32 {
        let keys = self.by_storage.get(&tensor.storage);
        let newest = keys.and_then(|keys| keys.iter().filter_map(|key| self.newest.get(key)).max().copied());
        let mut inputs: Vec<u32> = of.into_iter().collect();
        inputs.extend(newest.filter(|newest| Some(*newest) != of));
        let source = self.nodes[*inputs.last().unwrap_or(&0) as usize].clone();
        let mut node = self.node_for(seen, tensor, &inputs);
        node.name = self.name("slice");
        node.call = None;
        node.geometry =
            if source.shape.first() == tensor.shape.first() { Geometry::Rows } else { Geometry::Whole };
        (node.phase, node.role, node.slot) = (source.phase, source.role, source.slot);
        self.insert(tensor, node, false)
    }
}

/// Whether an operation hands out memory of what it reads in another shape.
fn is_view_of(op: &str, geometry: &Geometry, input: Option<&Tensor>, output: &Tensor) -> bool {
    let keeps = matches!(
        geometry,
        Geometry::Reshape | Geometry::Permute(_) | Geometry::Slice(_) | Geometry::Pick(..)
    );
    keeps && !op.ends_with('_') && input.is_some_and(|input| input.storage == output.storage)
}

pub(crate) fn sizes(shape: &[usize]) -> Vec<u64> {
    shape.iter().map(|&size| size as u64).collect()
}

#[cfg(test)]
mod tests;
