//! What is looked at and kept of each tensor that an operation makes.

use super::{UnderWay, Watch, facts, float_handle, tensor_handle};
use crate::channel::Engine;
use crate::describe::Call;
use crate::element;
use crate::follow::{self, Figures};
use crate::graph::{Node, NodeIndex};
use crate::sites::SiteIndex;
use burn_backend::Shape;
use burn_ir::{HandleKind, TensorId, TensorIr, TensorStatus};
use denan_numerics::{Extent, Range, Summary};
use denan_record::entering::Arrival;
use denan_record::model::{Phase, Role};
use real_flex::FlexTensor;
use rustc_hash::FxHashSet;

/// Data tensors up to this many elements are kept until the step ends, so that a break can show them.
const KEPT_ELEMENTS: usize = 1 << 18;
/// Non-finite elements of a producer that are followed back.
const FOLLOWED_ELEMENTS: usize = 64;

/// Tensors whose figures were wanted in full, each by the line that makes it and by its number in the step.
#[derive(Default)]
pub(super) struct FullFigures {
    places: FxHashSet<(SiteIndex, u64)>,
}

impl FullFigures {
    /// Places that are kept. Programs whose steps differ much have ever new ones.
    const MOST: usize = 10_000;

    fn is_wanted(&self, place: (SiteIndex, u64)) -> bool {
        self.places.contains(&place)
    }

    fn want(&mut self, place: (SiteIndex, u64)) {
        if self.places.len() >= Self::MOST {
            self.places.clear();
        }
        self.places.insert(place);
    }
}

impl Watch {
    /// After the operation: looks at one tensor it made.
    pub(super) fn made(&mut self, engine: &mut Engine, tensor: TensorIr, under_way: &UnderWay) {
        let UnderWay { site, phase, call, inputs, .. } = under_way;
        let (site, phase) = (*site, *phase);
        let id = tensor.id;
        let read = TensorIr { status: TensorStatus::ReadOnly, ..tensor };
        let place = (site, self.step.operations);
        let is_wanted = self.full_figures.is_wanted(place);
        let followed = if is_wanted { None } else { self.follow(call, &read, inputs) };
        // Without a look the handle is needed for what is kept of data, and by interventions.
        let is_needed = followed.is_none() || call.name == "reshape" || self.plan.intervention.is_some();
        let mut handle = if is_needed { tensor_handle(engine, &read) } else { None };
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
        let summary = handle.as_ref().filter(|_| is_wanted).map(|tensor| Box::new(element::summary(tensor)));
        let Figures { range, subnormals } = match (followed, &summary, &handle) {
            (Some(figures), ..) => figures,
            (None, Some(summary), _) => Extent::from(**summary).into(),
            (None, None, Some(tensor)) => element::extent(tensor).into(),
            (None, None, None) => Extent::EMPTY.into(),
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
            subnormals,
            summary,
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
        if phase == Phase::Optimizer && self.updates.makes(&self.graph, inputs, index) {
            let summary = self.summary(engine, index, id);
            if let Some(update) = self.updates.current() {
                update.after_summary = summary;
            }
        }
    }

    /// Figures of a tensor that follow from those of the one that it is made of.
    fn follow(&self, call: &Call, made: &TensorIr, inputs: &[NodeIndex]) -> Option<Figures> {
        let &[input] = inputs else { return None };
        let input = self.graph.node(input);
        let known = Figures { range: input.range, subnormals: input.subnormals };
        if call.geometry.is_same_values() {
            return Some(known);
        }
        // An intervention may have put another operation in the place of this one.
        let is_itself = self.plan.intervention.is_none() && input.dtype == made.dtype;
        is_itself.then(|| follow::figures(call.name, call.scalar, made.dtype, known)).flatten()
    }

    /// All figures of a live tensor. The tensor at this place in the next steps has them taken as soon as it is
    /// made, in the one look at its elements that it gets anyway.
    pub(super) fn summary(&mut self, engine: &mut Engine, at: NodeIndex, id: TensorId) -> Option<Summary> {
        let node = self.graph.node(at);
        if let Some(summary) = &node.summary {
            return Some(**summary);
        }
        // What an intervention puts in the place of a tensor was not looked at when that was made.
        if self.plan.intervention.is_none() && node.is_new {
            self.full_figures.want((node.site, node.sequence));
        }
        let read =
            TensorIr { id, shape: node.shape.clone(), status: TensorStatus::ReadOnly, dtype: node.dtype };
        float_handle(engine, &read).map(|tensor| element::summary(&tensor))
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
        let arrival = Arrival {
            site: site.into(),
            place,
            shape: shape.as_slice(),
            dtype: element::dtype_name(tensor.dtype()),
            values: &|most| element::first_values(tensor, most),
            largest,
            samples,
            step: self.steps_done,
        };
        self.entering.take(&arrival);
    }
}
