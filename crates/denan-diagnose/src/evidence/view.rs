//! The operations of one step, as causes ask about them.

use denan_record::model::{Node, Phase, Place, Role, StepGraph};
use std::collections::{BTreeSet, VecDeque};

/// Operations whose output a weight multiplies.
const LAYERS: &[&str] = &[
    "matmul",
    "linear",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "deform_conv2d",
];

/// Operations that hand the elements of their first input on as they are.
const VIEWS: &[&str] = &[
    "reshape",
    "swap_dims",
    "permute",
    "flip",
    "slice",
    "expand",
    "select",
    "gather",
    "repeat",
    "unfold",
    "cast",
    "detach",
    "clone",
];

/// Nodes that a search visits at most; a step has a few thousand.
const MOST_VISITS: usize = 20_000;

/// Index of a node.
pub(crate) type Index = u32;

/// One step's operations, with the way from each tensor to those that read it.
pub(crate) struct View<'a> {
    graph: &'a StepGraph,
    readers: Vec<Vec<Index>>,
}

/// A call of a layer with weights in the forward pass.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    /// Its output.
    pub(crate) output: Index,
    /// What it read.
    pub(crate) input: Index,
    /// Parameter slot of its weight.
    pub(crate) slot: Option<u32>,
    /// Largest magnitude it read.
    pub(crate) input_max: f64,
    /// Largest magnitude it made.
    pub(crate) output_max: f64,
}

impl<'a> View<'a> {
    pub(crate) fn of(graph: &'a StepGraph) -> Self {
        let mut readers = vec![Vec::new(); graph.nodes.len()];
        for (index, node) in (0..).zip(&graph.nodes) {
            for &input in &node.inputs {
                if let Some(readers) = readers.get_mut(input as usize) {
                    readers.push(index);
                }
            }
        }
        Self { graph, readers }
    }

    /// The tensor itself.
    pub(crate) fn node(&self, index: Index) -> &'a Node {
        &self.graph.nodes[index as usize]
    }

    /// All tensors, in the order in which they were made.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (Index, &'a Node)> + '_ {
        (0..).zip(&self.graph.nodes)
    }

    /// All tensors of the forward pass that were made by an operation.
    pub(crate) fn forward(&self) -> impl Iterator<Item = (Index, &'a Node)> + '_ {
        self.nodes()
            .filter(|(_, node)| node.phase == Phase::Forward && node.is_new && !node.inputs.is_empty())
    }

    /// The node whose operation made the first bad value.
    pub(crate) fn producer(&self) -> Option<Index> {
        self.graph.producer
    }

    /// The user's line.
    pub(crate) fn place(&self, index: Index) -> Option<&'a Place> {
        self.graph.places.get(self.node(index).place? as usize)
    }

    /// Operations that read a tensor, in the same pass.
    pub(crate) fn readers(&self, index: Index) -> impl Iterator<Item = Index> + '_ {
        self.readers[index as usize].iter().copied()
    }

    /// What a tensor was made of, nearest first, itself not included; through at most `steps` operations.
    pub(crate) fn ancestors(&self, of: Index, steps: usize) -> Vec<Index> {
        self.search(of, steps, |index| self.node(index).inputs.clone())
    }

    /// What was made of a tensor in the forward pass, nearest first; through at most `steps` operations.
    pub(crate) fn descendants(&self, of: Index, steps: usize) -> Vec<Index> {
        self.search(of, steps, |index| {
            self.readers(index).filter(|&reader| self.node(reader).phase == Phase::Forward).collect()
        })
    }

    fn search(&self, of: Index, steps: usize, next: impl Fn(Index) -> Vec<Index>) -> Vec<Index> {
        let mut seen = BTreeSet::from([of]);
        let mut found = Vec::new();
        let mut queue = VecDeque::from([(of, 0)]);
        while let Some((at, depth)) = queue.pop_front() {
            if depth == steps || found.len() > MOST_VISITS {
                continue;
            }
            for other in next(at) {
                if seen.insert(other) {
                    found.push(other);
                    queue.push_back((other, depth + 1));
                }
            }
        }
        found
    }

    /// Whether a tensor was made of data and constants alone, so that no training has touched it.
    pub(crate) fn is_of_data(&self, index: Index) -> bool {
        let mut has_data = self.node(index).role == Role::Data;
        let leaves = self.ancestors(index, usize::MAX).into_iter().chain([index]);
        for leaf in leaves.filter(|&leaf| self.node(leaf).inputs.is_empty()) {
            match self.node(leaf).role {
                Role::Data => has_data = true,
                Role::Constant => {}
                _ => return false,
            }
        }
        has_data
    }

    /// The data tensors that a tensor was made of.
    pub(crate) fn data_behind(&self, index: Index) -> Vec<Index> {
        let all = self.ancestors(index, usize::MAX).into_iter().chain([index]);
        all.filter(|&at| self.node(at).role == Role::Data && self.node(at).inputs.is_empty()).collect()
    }

    /// What a tensor is a view of.
    pub(crate) fn source(&self, mut index: Index) -> Index {
        while VIEWS.contains(&self.node(index).op.as_str()) {
            let Some(&input) = self.node(index).inputs.first() else { break };
            index = input;
        }
        index
    }

    /// The parameter a tensor is, or is a view of.
    pub(crate) fn parameter(&self, index: Index) -> Option<Index> {
        let source = self.source(index);
        let node = self.node(source);
        (node.slot.is_some() || node.role == Role::Parameter).then_some(source)
    }

    /// Whether what was made of a tensor in the forward pass meets a parameter.
    pub(crate) fn reaches_parameter(&self, index: Index) -> bool {
        let reads = |&at: &Index| self.node(at).inputs.iter().any(|&input| self.parameter(input).is_some());
        self.descendants(index, usize::MAX).iter().any(reads)
    }

    /// The layers with weights, in the order in which they were called.
    pub(crate) fn layers(&self) -> Vec<Layer> {
        let layer = |(output, node): (Index, &Node)| {
            if !LAYERS.contains(&node.op.as_str()) {
                return None;
            }
            let weight = node.inputs.iter().find_map(|&input| self.parameter(input))?;
            let input = *node.inputs.iter().find(|&&input| self.parameter(input).is_none())?;
            Some(Layer {
                output,
                input,
                slot: self.node(weight).slot,
                input_max: self.node(input).range.abs_max(),
                output_max: magnitude(node),
            })
        };
        self.forward().filter_map(layer).collect()
    }

    /// Whether an operation normalises: a layer of that name, or an activation divided by a root of something
    /// that was made of it.
    pub(crate) fn is_normalisation(&self, index: Index) -> bool {
        let node = self.node(index);
        let is_named = |name: &str| name.contains("_norm") && !name.starts_with("grad");
        if is_named(&node.op) || node.call.as_deref().is_some_and(is_named) {
            return true;
        }
        let [numerator, divisor] = node.inputs[..] else { return false };
        node.op == "div"
            && self.parameter(numerator).is_none()
            && self.ancestors(divisor, 4).into_iter().chain([divisor]).any(|at| self.node(at).op == "sqrt")
            && self.ancestors(divisor, 12).iter().any(|at| self.ancestors(numerator, 3).contains(at))
    }
}

/// The largest magnitude of a tensor; infinite if it overflowed.
pub(crate) fn magnitude(node: &Node) -> f64 {
    if node.range.pos_inf + node.range.neg_inf > 0 { f64::INFINITY } else { node.range.abs_max() }
}
