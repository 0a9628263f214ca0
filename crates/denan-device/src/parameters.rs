//! Which tensors are parameters, and what the optimizer does to them.
//!
//! Operations carry no names, so parameters are told by their life: a parameter is read by the
//! forward pass and by the optimizer; its gradient was made by the backward pass; its new value
//! is the last tensor of its shape that the optimizer makes of it.

use crate::graph::{Graph, NodeIndex};
use burn_ir::TensorId;
use denan_numerics::Summary;
use denan_record::model::{Phase, Role};
use rustc_hash::{FxHashMap, FxHashSet};

/// What one step does to one parameter.
#[derive(Clone, Debug, Default)]
pub struct Update {
    /// The gradient the optimizer read.
    pub gradient: Option<NodeIndex>,
    /// The tensor.
    pub gradient_id: Option<TensorId>,
    /// Its figures.
    pub gradient_summary: Option<Summary>,
    /// The parameter before the update.
    pub before: Option<NodeIndex>,
    /// Its figures, in its first update.
    pub before_summary: Option<Summary>,
    /// The newest candidate for its value after the update.
    pub after: Option<NodeIndex>,
    /// Figures of the newest candidate.
    pub after_summary: Option<Summary>,
    /// What was last subtracted from the parameter or its decayed value.
    pub delta_summary: Option<Summary>,
    /// Scalar that the subtracted tensor was last multiplied by.
    pub learning_rate: Option<f64>,
}

/// The optimizer's work in the current step.
#[derive(Default)]
pub struct Updates {
    updates: Vec<Update>,
    gradients_seen: FxHashSet<NodeIndex>,
    /// Nodes made of a parameter by the optimizer, and of which one.
    made_of: FxHashMap<NodeIndex, usize>,
}

impl Updates {
    /// All updates of the step, in order.
    pub fn all(&self) -> &[Update] {
        &self.updates
    }

    /// Forgets everything: a new step begins.
    pub fn clear(&mut self) {
        self.updates.clear();
        self.gradients_seen.clear();
        self.made_of.clear();
    }

    /// Whether this input of an optimizer's operation is a gradient it has not read before.
    /// If so, the update of another parameter begins.
    pub fn reads_new_gradient(&mut self, graph: &Graph, input: NodeIndex) -> bool {
        let node = graph.node(input);
        // Gradients that other workers have sent enter as data, and nothing but the optimizer reads what is made
        // of them last.
        let is_sent = node.phase == Phase::Forward && !node.used_forward && node.role != Role::Parameter;
        let is_gradient = node.of_gradient || is_sent && node.dtype.is_float();
        if !is_gradient || !node.is_new || !self.gradients_seen.insert(input) {
            return false;
        }
        self.updates.push(Update { gradient: Some(input), ..Update::default() });
        true
    }

    /// The update under way.
    pub fn current(&mut self) -> Option<&mut Update> {
        self.updates.last_mut()
    }

    /// Notes that an optimizer's operation reads a tensor; tells whether it is the parameter, or made of it.
    pub fn reads(&mut self, graph: &Graph, input: NodeIndex) -> bool {
        if self.made_of.contains_key(&input) {
            return true;
        }
        let node = graph.node(input);
        let is_parameter = node.used_forward && !node.of_gradient || node.role == Role::Parameter;
        let Some(update) = self.updates.last_mut() else { return false };
        if !is_parameter || update.before.is_some_and(|before| before != input) {
            return is_parameter;
        }
        let same_shape = update.gradient.is_none_or(|gradient| graph.node(gradient).shape == node.shape);
        if same_shape {
            update.before = Some(input);
            let current = self.updates.len() - 1;
            self.made_of.insert(input, current);
        }
        same_shape
    }

    /// Notes what an optimizer's operation made; tells whether it may be the parameter's new value.
    pub fn makes(&mut self, graph: &Graph, inputs: &[NodeIndex], output: NodeIndex) -> bool {
        let Some(&of) = inputs.iter().find_map(|input| self.made_of.get(input)) else { return false };
        self.made_of.insert(output, of);
        let update = &mut self.updates[of];
        let is_candidate =
            update.before.is_some_and(|before| graph.node(before).shape == graph.node(output).shape);
        if is_candidate {
            update.after = Some(output);
        }
        is_candidate
    }
}
