//! What is looked at and kept of each tensor that an operation makes.

use super::{UnderWay, Watch, facts, tensor_handle};
use crate::channel::Engine;
use crate::element;
use crate::entering::Arrival;
use crate::graph::Node;
use crate::sites::SiteIndex;
use burn_backend::Shape;
use burn_ir::{HandleKind, TensorIr, TensorStatus};
use denan_numerics::Range;
use denan_record::model::{Phase, Role};
use real_flex::FlexTensor;

/// Data tensors up to this many elements are kept until the step ends, so that a break can show them.
const KEPT_ELEMENTS: usize = 1 << 18;
/// Non-finite elements of a producer that are followed back.
const FOLLOWED_ELEMENTS: usize = 64;

impl Watch {
    /// After the operation: looks at one tensor it made.
    pub(super) fn made(&mut self, engine: &mut Engine, tensor: TensorIr, under_way: &UnderWay) {
        let UnderWay { site, phase, call, inputs, .. } = under_way;
        let (site, phase) = (*site, *phase);
        let id = tensor.id;
        let read = TensorIr { status: TensorStatus::ReadOnly, ..tensor };
        let same_values =
            call.geometry.is_same_values().then(|| inputs.first().map(|&input| self.graph.node(input).range));
        let mut handle = tensor_handle(engine, &read);
        if self.intervene.rewrites()
            && let Some(made) = &handle
        {
            let facts = facts(&self.sites, &self.graph, self.updated(), under_way, self.steps_done);
            if let Some(other) = self.intervene.replacement(id, made, &facts) {
                engine.register_tensor_to_device(id, HandleKind::Float(other.clone()));
                handle = Some(other);
                self.tell_intervention();
            }
        }
        let range = match (same_values.flatten(), &handle) {
            (Some(range), _) => range,
            (None, Some(tensor)) => element::range(tensor),
            (None, None) => Range::EMPTY,
        };
        let is_data = call.name == "input";
        // Where it is bad although its inputs are not; or NaN although they hold infinities at most, which a mask
        // puts there on purpose.
        let of_inputs =
            |holds: fn(&Range) -> bool| inputs.iter().any(|&input| holds(&self.graph.node(input).range));
        let bad_positions = match &handle {
            Some(tensor) if range.nonfinite() > 0 && !of_inputs(|range| range.nonfinite() > 0) => {
                element::positions(tensor, FOLLOWED_ELEMENTS, |x| !x.is_finite())
            }
            Some(tensor) if range.nan > 0 && !of_inputs(|range| range.nan > 0) => {
                element::positions(tensor, FOLLOWED_ELEMENTS, f64::is_nan)
            }
            _ => Vec::new(),
        };
        if range.nonfinite() < range.count {
            self.step.largest = self.step.largest.max(range.min.abs()).max(range.max.abs());
        }
        let in_parameter = self.sites.get(site).in_parameter;
        let role = match phase {
            Phase::Backward => Role::Gradient,
            Phase::Optimizer => Role::OptimizerState,
            _ if in_parameter && read.dtype.is_float() => Role::Parameter,
            _ if is_data => Role::Data,
            _ if inputs.is_empty() => Role::Constant,
            _ => Role::Activation,
        };
        let batch =
            if is_data { self.threads.get(&under_way.thread).and_then(|state| state.batch) } else { None };
        let small = read.shape.num_elements() <= KEPT_ELEMENTS;
        let is_message = is_data
            && self
                .threads
                .get_mut(&under_way.thread)
                .is_some_and(|state| std::mem::take(&mut state.brings_message));
        if role == Role::Data
            && !is_message
            && let Some(tensor) = &handle
        {
            self.enters(site, &read.shape, tensor, range.abs_max(), batch);
        }
        // Data are often handed over flat and only then put into shape.
        if call.name == "reshape"
            && let (Some(tensor), Some(&input)) = (&handle, inputs.first())
        {
            let source = self.graph.node(input);
            if source.role == Role::Data && source.shape.num_dims() == 1 && source.is_new {
                self.enters(source.site, &read.shape, tensor, range.abs_max(), source.batch);
            }
        }
        let node = Node {
            sequence: self.step.operations,
            name: call.name,
            scalar: call.scalar,
            geometry: call.geometry.clone(),
            site,
            phase,
            shape: read.shape,
            dtype: read.dtype,
            range,
            inputs: inputs.clone(),
            role,
            slot: None,
            batch,
            is_new: true,
            of_data: role == Role::Data
                || phase == Phase::Forward
                    && call.geometry.is_same_values()
                    && inputs.first().is_some_and(|&input| self.graph.node(input).of_data),
            of_gradient: match phase {
                Phase::Backward => true,
                Phase::Forward => inputs.iter().any(|&input| self.graph.node(input).of_gradient),
                _ => false,
            },
            used_forward: false,
            data: if is_data && small { handle.clone() } else { None },
            indices: under_way.indices.clone(),
            bad_positions,
            birth: under_way.birth,
            window: call.window.clone(),
        };
        let index = self.graph.insert(id, node);
        if phase == Phase::Optimizer
            && self.updates.makes(&self.graph, inputs, index)
            && let Some(update) = self.updates.current()
        {
            update.after_summary = handle.as_ref().map(element::summary);
        }
    }

    /// Data have entered the engine.
    fn enters(
        &mut self,
        site: SiteIndex,
        shape: &Shape,
        tensor: &FlexTensor,
        largest: f64,
        batch: Option<u32>,
    ) {
        if self.first_break.is_some() {
            return;
        }
        let samples = batch.and_then(|batch| self.batches.get(&batch)).map_or(&[][..], Vec::as_slice);
        let place = self.sites.get(site).place.as_ref();
        let arrival = Arrival { site, place, shape, tensor, largest, samples, step: self.steps_done };
        self.entering.take(&arrival);
    }
}
