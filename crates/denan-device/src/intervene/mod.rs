//! The one change an experiment makes to a training, at the level of its operations.
//!
//! Three hooks: an operation is about to be carried out ([`rewrite`](Intervene::rewrite)), a tensor has been
//! made ([`replacement`](Intervene::replacement)), the optimizer is about to read a gradient
//! ([`gradient`](Intervene::gradient)). What the change is stands in one file for each kind of it.

mod data;
mod gradients;
mod norms;
mod safe_op;
mod start;
mod updates;

use crate::channel::{Engine, fresh_id};
use crate::describe::Call;
use crate::element;
use crate::graph::{Graph, NodeIndex};
use crate::watch::float_handle;
use burn_backend::DType;
use burn_ir::{HandleKind, OperationIr, TensorId, TensorIr, TensorStatus};
use denan_numerics::Summary;
use denan_record::model::{Birth, Phase, Place};
use denan_record::plan::Intervention;
use norms::Norms;
use real_flex::FlexTensor;
use rustc_hash::FxHashMap;
use safe_op::SafeOp;
use updates::Updating;

/// Carries the intervention of a plan out.
pub struct Intervene {
    intervention: Option<Intervention>,
    /// It has changed something.
    acted: bool,
    safe_op: SafeOp,
    updating: Updating,
    norms: Norms,
    /// Factor by which the gradients of this step are clipped together, and the step.
    clip: Option<(u64, f64)>,
    /// Gradients of this step that are no longer scaled, and the step.
    unscaled: (u64, Vec<TensorId>),
}

/// What is known of the operation that is under way.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// What it is.
    pub call: &'a Call,
    /// The function of burn's tensor that the user, or a layer, called.
    pub called: Option<&'a str>,
    /// Part of the step.
    pub phase: Phase,
    /// In the backward pass: the forward call whose gradient is computed.
    pub rule: Option<&'a str>,
    /// The user's line.
    pub place: Option<&'a Place>,
    /// The step's operations so far.
    pub graph: &'a Graph,
    /// Nodes of the tensors it reads.
    pub inputs: &'a [NodeIndex],
    /// Number of the step.
    pub step: u64,
    /// Which operation of its thread it is.
    pub birth: Birth,
    /// Birth and gradient of the parameter that the optimizer is updating.
    pub updated: Option<(Birth, Option<TensorId>)>,
}

impl Intervene {
    /// Nothing if there is no intervention, or it acts elsewhere (the data loader drops samples).
    pub fn new(intervention: Option<Intervention>) -> Self {
        Self {
            intervention,
            acted: false,
            safe_op: SafeOp::default(),
            updating: Updating::default(),
            norms: Norms::default(),
            clip: None,
            unscaled: (0, Vec::new()),
        }
    }

    /// Whether it has changed anything so far.
    pub fn has_acted(&self) -> bool {
        self.acted
    }

    /// Whether it may change an operation or what one makes, rather than a gradient or what the data loader does.
    pub fn rewrites(&self) -> bool {
        !matches!(
            self.intervention,
            None | Some(
                Intervention::DropSamples { .. }
                    | Intervention::SmallerBatch { .. }
                    | Intervention::ClipGradients { .. }
            )
        )
    }

    /// A parameter's gradient is about to be read by the optimizer.
    pub fn gradient(
        &mut self,
        engine: &mut Engine,
        gradient: &TensorIr,
        summary: Option<&Summary>,
        graph: &Graph,
        step: u64,
    ) {
        let map: Box<dyn Fn(f64) -> f64> = match &self.intervention {
            Some(Intervention::ClipGradients { by, limit }) => {
                match gradients::clip(engine, *by, *limit, summary, graph, step, &mut self.clip) {
                    Some(map) => map,
                    None => return,
                }
            }
            Some(Intervention::ChangeOptimizer { .. }) => {
                if let Some(tensor) = float_handle(engine, gradient) {
                    self.updating.reads_gradient(gradient.id, tensor);
                }
                return;
            }
            _ => return,
        };
        let Some(tensor) = float_handle(engine, gradient) else { return };
        self.acted = true;
        let changed = element::mapped(&tensor, map);
        drop(tensor);
        engine.register_tensor_to_device(gradient.id, HandleKind::Float(changed));
    }

    /// The backward pass is over: what it made and is alive are gradients.
    pub fn backward_ended(&mut self, engine: &mut Engine, graph: &Graph, step: u64) {
        let Some(Intervention::ScaleLoss { factor }) = self.intervention else { return };
        if self.unscaled.0 != step {
            self.unscaled = (step, Vec::new());
        }
        for tensor in gradients::waiting(graph) {
            // A step may have several backward passes.
            if self.unscaled.1.contains(&tensor.id) {
                continue;
            }
            self.unscaled.1.push(tensor.id);
            let Some(gradient) = float_handle(engine, &tensor) else { continue };
            let unscaled = element::mapped(&gradient, |x| x / factor);
            drop(gradient);
            engine.register_tensor_to_device(tensor.id, HandleKind::Float(unscaled));
            self.acted = true;
        }
    }

    /// The operation to carry out instead.
    pub fn rewrite(&mut self, engine: &mut Engine, op: OperationIr, facts: &Facts<'_>) -> OperationIr {
        match &self.intervention {
            Some(Intervention::SafeOp { op: name, is_form, file, line, margin }) => {
                let is_here = facts.phase == Phase::Forward
                    && facts.place.is_some_and(|place| place.line == *line && &place.file == file);
                // The only one that burn has: softplus.
                if *is_form {
                    let op = if is_here && facts.call.name == "exp" {
                        self.safe_op.enter_softplus(engine, op, *margin)
                    } else if facts.phase == Phase::Backward && facts.rule == Some("exp") {
                        self.safe_op.use_moved(engine, op, "exp")
                    } else {
                        if facts.phase == Phase::Forward {
                            self.safe_op.follow_softplus(&op);
                        }
                        op
                    };
                    self.acted |= self.safe_op.acted;
                    return op;
                }
                let op = if name == "mul" {
                    let is_it = is_here && facts.call.name == "mul"
                        || facts.phase == Phase::Backward && facts.rule == Some("mul");
                    if is_it { self.safe_op.bound_factor(op, *margin) } else { op }
                } else if is_here && matches!(name.as_str(), "softmax" | "log_softmax") {
                    if facts.called == Some(name) { self.safe_op.unmask(engine, op, *margin) } else { op }
                } else if is_here && facts.call.name == name {
                    self.safe_op.move_argument(engine, op, name, *margin)
                } else if facts.phase == Phase::Backward && facts.rule == Some(name.as_str()) {
                    self.safe_op.use_moved(engine, op, name)
                } else {
                    op
                };
                self.acted |= self.safe_op.acted;
                op
            }
            Some(Intervention::RaiseEpsilon { epsilon }) => {
                self.acted |= facts.phase == Phase::Optimizer;
                updates::raise_epsilon(op, *epsilon, facts)
            }
            Some(Intervention::Float32 { .. }) => self.in_float32(op),
            Some(Intervention::FreezeBatchNorm { how, .. }) => {
                let (op, acted) = self.norms.freeze(engine, op, *how, facts);
                self.acted |= acted;
                let (op, acted) = self.updating.rewrite(engine, op, &self.intervention, facts);
                self.acted |= acted;
                op
            }
            Some(Intervention::InsertNorm { .. }) => self.norms.gradient(engine, op, facts),
            Some(intervention) if updates::changes_updates(intervention) => {
                let (op, acted) = self.updating.rewrite(engine, op, &self.intervention, facts);
                self.acted |= acted;
                op
            }
            _ => op,
        }
    }

    /// Everything of float16 becomes float32.
    fn in_float32(&mut self, mut op: OperationIr) -> OperationIr {
        let mut found = false;
        visit_tensors(&mut op, |tensor| {
            if tensor.dtype == DType::F16 {
                tensor.dtype = DType::F32;
                found = true;
            }
        });
        match &mut op {
            OperationIr::NumericFloat(dtype, _) | OperationIr::Float(dtype, _) if *dtype == DType::F16 => {
                *dtype = DType::F32;
            }
            _ => {}
        }
        self.acted |= found;
        op
    }

    /// What to put in the place of a tensor that an operation has made.
    pub fn replacement(&mut self, id: TensorId, made: &FlexTensor, facts: &Facts<'_>) -> Option<FlexTensor> {
        let replaced = match self.intervention.as_ref()? {
            Intervention::SafeOp { .. } => return self.safe_op.leave_softplus(id, made),
            Intervention::ClampInputs { .. }
            | Intervention::NormalizeInputs { .. }
            | Intervention::ReplaceAnchors { .. } => data::replaced(self.intervention.as_ref()?, made, facts),
            Intervention::Float32 { .. } if made.dtype() == DType::F16 => Some(element::in_float32(made)),
            Intervention::ScaleLoss { factor } => gradients::start(made, *factor, facts),
            Intervention::MeanLoss { elements } => gradients::start(made, 1.0 / *elements as f64, facts),
            Intervention::Reinitialize { parameters } => start::replaced(parameters, made, facts),
            Intervention::InsertNorm { after } => self.norms.normalised(made, after, facts),
            Intervention::FreezeBatchNorm { how, .. } => norms::without_feedback(made, *how, facts),
            _ => None,
        };
        self.acted |= replaced.is_some();
        replaced
    }

    /// A tensor is gone; so is what stood for it.
    pub fn release(&mut self, id: TensorId) {
        if self.intervention.is_some() {
            self.safe_op.release(id);
            self.norms.release(id);
        }
    }

    /// What the program gets when it reads a tensor that it takes for float16.
    pub fn as_read(&self, engine: &mut Engine, tensor: &TensorIr) -> Option<FlexTensor> {
        if !matches!(self.intervention, Some(Intervention::Float32 { .. })) || tensor.dtype != DType::F16 {
            return None;
        }
        float_handle(engine, tensor).map(|tensor| element::in_float16(&tensor))
    }
}

/// Visits every tensor of an operation.
fn visit_tensors(op: &mut OperationIr, visit: impl FnMut(&mut TensorIr)) {
    struct Visitor<F>(F);
    impl<F: FnMut(&mut TensorIr)> burn_ir::IrVisitorMut for Visitor<F> {
        fn visit_tensor_mut(&mut self, tensor: &mut TensorIr) {
            (self.0)(tensor);
        }
    }
    op.visit_mut(&mut Visitor(visit));
}

/// Has an operation read other tensors in the place of some of its inputs.
fn replace_inputs(engine: &mut Engine, op: &mut OperationIr, others: &FxHashMap<TensorId, FlexTensor>) {
    let originals: Vec<TensorIr> =
        op.inputs().filter(|tensor| others.contains_key(&tensor.id)).cloned().collect();
    let mut done: Vec<TensorId> = Vec::new();
    for original in &originals {
        if done.contains(&original.id) {
            continue;
        }
        done.push(original.id);
        let slots = originals.iter().filter(|tensor| tensor.id == original.id).count();
        let is_last_use = originals
            .iter()
            .any(|tensor| tensor.id == original.id && tensor.status == TensorStatus::ReadWrite);
        let id = fresh_id();
        engine.register_tensor_to_device(id, HandleKind::Float(others[&original.id].clone()));
        if is_last_use {
            engine.register_op(OperationIr::Drop(original.clone()));
        }
        let mut left = slots;
        visit_tensors(op, |tensor| {
            if tensor.id == original.id {
                left -= 1;
                tensor.id = id;
                tensor.status = if left == 0 { TensorStatus::ReadWrite } else { TensorStatus::ReadOnly };
            }
        });
    }
}
