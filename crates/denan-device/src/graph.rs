//! The operations of the current step, as a graph of the tensors they made.
//!
//! A node is kept for every tensor made since the step began, dropped or not, and for the
//! older ones that are still alive (parameters, optimizer state, data). When a step ends the
//! dead nodes go.

use crate::sites::SiteIndex;
use burn_backend::{DType, Shape};
use burn_ir::TensorId;
use denan_numerics::{Range, Summary};
use denan_record::model::{Birth, Phase, Role, Window};
use denan_record::origin::{Geometry, Way, Ways};
use denan_record::producer::{Tensor, Tensors};
use real_flex::FlexTensor;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Index of a node in [`Graph`].
pub type NodeIndex = u32;

/// A tensor and the operation that made it. Only float tensors have figures.
#[derive(Clone, Debug)]
pub struct Node {
    /// Order of execution within its step.
    pub sequence: u64,
    /// Plain name of the operation.
    pub name: &'static str,
    /// Its scalar argument.
    pub scalar: Option<f64>,
    /// How its elements relate to the inputs'.
    pub geometry: Geometry,
    /// Where it was called.
    pub site: SiteIndex,
    /// Part of the step.
    pub phase: Phase,
    /// Sizes of the dimensions.
    pub shape: Shape,
    /// Element type.
    pub dtype: DType,
    /// Its values in figures.
    pub range: Range,
    /// How many of them are subnormal, if that is known.
    pub subnormals: Option<u64>,
    /// All figures, where they were wanted in an earlier step.
    pub summary: Option<Box<Summary>>,
    /// Tensors it was made of.
    pub inputs: SmallVec<[NodeIndex; 3]>,
    /// What it is to the training.
    pub role: Role,
    /// Which operation of its thread made it.
    pub birth: Birth,
    /// Kernel and stride of a pooling.
    pub window: Option<Box<Window>>,
    /// Parameter slot, for parameters.
    pub slot: Option<u32>,
    /// Batch it is data of.
    pub batch: Option<u32>,
    /// Made in the current step.
    pub is_new: bool,
    /// Data, or nothing but elements of data in another shape.
    pub of_data: bool,
    /// Made by the backward pass, or by the program out of what it made (a clip written by hand).
    pub of_gradient: bool,
    /// Read by an operation of the forward pass.
    pub used_forward: bool,
    /// Its elements, for small data tensors.
    pub data: Option<FlexTensor>,
    /// The index tensor of a select or gather.
    pub indices: Option<FlexTensor>,
    /// Row-major positions of its first non-finite elements, if its inputs were finite.
    pub bad_positions: Vec<usize>,
}

impl Node {
    /// Whether it holds NaN or infinity.
    pub fn is_bad(&self) -> bool {
        self.range.nonfinite() > 0
    }
}

impl Tensors for Graph {
    fn tensor(&self, at: NodeIndex) -> Tensor<'_> {
        let Node { name, scalar, inputs, range, role, is_new, sequence, .. } = self.node(at);
        let (scalar, role, is_new, sequence) = (*scalar, *role, *is_new, *sequence);
        Tensor { op: name, scalar, inputs, range, role, is_new, sequence }
    }
}

impl Ways for Graph {
    fn way(&self, at: NodeIndex) -> Way<'_> {
        let node = self.node(at);
        Way {
            shape: node.shape.as_slice(),
            inputs: &node.inputs,
            geometry: &node.geometry,
            is_data: node.role == Role::Data,
            is_sample: node.is_new || node.batch.is_some(),
        }
    }

    fn indices(&self, at: NodeIndex) -> Option<Vec<i64>> {
        self.node(at).indices.as_ref().map(crate::element::integers)
    }

    fn readers(&self, at: NodeIndex) -> Vec<NodeIndex> {
        self.consumers(at).collect()
    }
}

/// All nodes, and which tensor is which.
#[derive(Default)]
pub struct Graph {
    nodes: Vec<Node>,
    alive: FxHashMap<TensorId, NodeIndex>,
    generation: u64,
    /// The nodes of the step before, without their elements.
    previous: Vec<Node>,
}

impl Graph {
    /// How often the nodes have been numbered anew: indices of an earlier generation mean nothing.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Node of a live tensor.
    pub fn of(&self, id: TensorId) -> Option<NodeIndex> {
        self.alive.get(&id).copied()
    }

    /// The node itself.
    pub fn node(&self, index: NodeIndex) -> &Node {
        &self.nodes[index as usize]
    }

    /// The node itself, to be changed.
    pub fn node_mut(&mut self, index: NodeIndex) -> &mut Node {
        &mut self.nodes[index as usize]
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Adds the node of a tensor.
    pub fn insert(&mut self, id: TensorId, node: Node) -> NodeIndex {
        let index = self.nodes.len() as NodeIndex;
        self.nodes.push(node);
        self.alive.insert(id, index);
        index
    }

    /// The tensor is gone; its node stays until the step ends.
    pub fn release(&mut self, id: TensorId) {
        self.alive.remove(&id);
    }

    /// Whether the tensor of a node is alive.
    pub fn alive(&self) -> impl Iterator<Item = (TensorId, NodeIndex)> + '_ {
        self.alive.iter().map(|(&id, &index)| (id, index))
    }

    /// Indices of all nodes, newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = NodeIndex> + use<> {
        (0..self.nodes.len() as NodeIndex).rev()
    }

    /// Operations that read a tensor, in order.
    pub fn consumers(&self, of: NodeIndex) -> impl Iterator<Item = NodeIndex> + '_ {
        (of + 1..self.nodes.len() as NodeIndex).filter(move |&index| self.node(index).inputs.contains(&of))
    }

    /// The nodes of the step before.
    pub fn previous(&self) -> &[Node] {
        &self.previous
    }

    /// All nodes, in the order in which they were made.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// A step is over: its nodes are the previous ones from now on.
    pub fn end_step(&mut self) {
        self.renew();
    }

    /// Forgets dead nodes within a step, and the step before with them.
    pub fn forget_dead(&mut self) {
        self.renew();
        self.previous.clear();
    }

    /// Keeps only the nodes of live tensors, as leaves, which numbers them anew; those there were become the
    /// previous ones, without elements. The memory of what was previous before is used again: giving a step's
    /// nodes back each time would have the allocator tidy up in every step.
    fn renew(&mut self) {
        self.generation += 1;
        let mut kept: Vec<(TensorId, NodeIndex)> = self.alive().collect();
        kept.sort_unstable_by_key(|&(_, index)| index);
        let mut moved: FxHashMap<NodeIndex, NodeIndex> = FxHashMap::default();
        let mut nodes = std::mem::take(&mut self.previous);
        nodes.clear();
        for (id, old) in kept {
            let new = *moved.entry(old).or_insert_with(|| {
                let node = &self.nodes[old as usize];
                nodes.push(Node {
                    inputs: SmallVec::new(),
                    is_new: false,
                    summary: None,
                    data: None,
                    indices: None,
                    ..node.clone()
                });
                (nodes.len() - 1) as NodeIndex
            });
            self.alive.insert(id, new);
        }
        self.previous = std::mem::replace(&mut self.nodes, nodes);
        for node in &mut self.previous {
            node.data = None;
            node.indices = None;
        }
    }
}
