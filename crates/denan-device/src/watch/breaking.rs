//! The telling of a break: the producer, the trail from it, and the batch elements behind it.

use super::{Watch, float_handle, sizes};
use crate::channel::Engine;
use crate::describe::plain_name;
use crate::element;
use crate::graph::NodeIndex;
use crate::sites::{Part, SiteIndex};
use crate::trace::forward_of;
use burn_ir::{TensorId, TensorIr, TensorStatus};
use denan_record::event::Event;
use denan_record::model::{Break, Kind, Operation, Origin, Phase, Place, Role, Sample, TensorSeen};
use denan_record::origin::{self, Elements, Geometry};
use denan_record::producer;
use std::collections::BTreeSet;

/// Functions of a tensor that make or read one and are no operation of the user's.
const READS: [&str; 5] = ["from_data", "from_floats", "into_data", "into_scalar", "to_data"];

impl Watch {
    /// A bad value was noticed in a loss, gradient or parameter. Only the first break is told.
    pub(super) fn broke(&mut self, engine: &mut Engine, noticed: NodeIndex, slot: Option<u32>) {
        if self.first_break.is_some() {
            return;
        }
        self.first_break = Some(self.steps_done);
        let path = producer::producer(&self.graph, noticed);
        self.tape_break(noticed, path.producer);
        let made = self.graph.node(path.producer);
        let kind = Kind::of(&made.range).unwrap_or(Kind::Nan);
        let phase = match made.phase {
            _ if !made.is_new && matches!(made.role, Role::Parameter | Role::Constant) => Phase::Parameter,
            // Made or loaded as a parameter in this very step, the first.
            Phase::Forward if made.role == Role::Parameter => Phase::Parameter,
            _ if self.is_buffer(path.producer, path.trail.first()) => Phase::Parameter,
            _ if made.name == "input" => Phase::Input,
            Phase::Forward if path.trail.is_empty() && slot.is_none() => Phase::Loss,
            phase => phase,
        };
        let parameter = slot
            .map(|slot| self.parameter_name(slot))
            .or_else(|| self.parameter_being_updated(path.producer));
        let mut producer = self.tell_operation(path.producer, phase, parameter);
        if phase == Phase::Parameter {
            // The line that uses it says more than the one that made it.
            let first_use =
                path.trail.first().map(|&at| self.sites.get(self.graph.node(at).site).place.clone());
            producer.place = first_use.flatten().or(producer.place);
            producer.parameter = producer.parameter.or(producer.output.parameter.clone());
        }
        let trail: Vec<Operation> =
            path.told_trail().map(|at| self.tell_operation(at, self.graph.node(at).phase, None)).collect();
        let samples: Vec<Sample> = self.samples_of_step().cloned().collect();
        let origins = self.origins(path.producer, &samples);
        let batch_rows: BTreeSet<u64> = origins.iter().filter_map(|origin| origin.batch_row).collect();
        self.teller.tell(Event::Break(Box::new(Break {
            step: self.steps_done,
            phase,
            kind,
            producer,
            trail,
            origins,
            samples,
            batch_rows: batch_rows.into_iter().collect(),
            loss_is_bad: self.step.loss_is_bad,
            parameters_are_bad: false,
            in_evaluation: false,
        })));
        self.tell_initial_values(engine);
        self.keep_break(engine, path.producer);
    }

    /// Whether a tensor that the program handed over is part of the network, like the running statistics of a
    /// normalisation: it is older than the step, and read as a whole rather than row by row.
    fn is_buffer(&self, at: NodeIndex, reader: Option<&NodeIndex>) -> bool {
        let node = self.graph.node(at);
        let in_parts = reader.is_none_or(|&reader| {
            let reader = self.graph.node(reader);
            matches!(reader.geometry, Geometry::Slice(_) | Geometry::Select(..) | Geometry::Gather(..))
        });
        node.name == "input" && !node.is_new && node.batch.is_none() && !in_parts
    }

    /// Samples of the current step, in the order of its batches.
    pub(super) fn samples_of_step(&self) -> impl Iterator<Item = &Sample> {
        self.step.batches.iter().filter_map(|batch| self.batches.get(batch)).flatten()
    }

    /// A training that breaks before its first update has told of no parameter yet how it began.
    fn tell_initial_values(&mut self, engine: &mut Engine) {
        if self.steps_done > 0 {
            return;
        }
        let alive: Vec<(TensorId, NodeIndex)> = self.graph.alive().collect();
        for (id, index) in alive {
            let node = self.graph.node(index);
            if !(node.used_forward && node.role == Role::Parameter && node.dtype.is_float()) {
                continue;
            }
            let (shape, dtype) = (node.shape.clone(), node.dtype);
            let slot = self.slot_of(index);
            let ir = TensorIr { id, shape, status: TensorStatus::ReadOnly, dtype };
            let initial = float_handle(engine, &ir).map(|tensor| element::summary(&tensor));
            if let Some(parameter) = self.parameters.get_mut(&slot)
                && parameter.initial.is_none()
            {
                parameter.initial = initial;
                self.teller.tell(Event::Parameter(parameter.clone()));
            }
        }
    }

    fn parameter_name(&self, slot: u32) -> String {
        self.parameters
            .get(&slot)
            .and_then(|parameter| parameter.name.clone())
            .unwrap_or_else(|| format!("parameter {slot}"))
    }

    /// The parameter whose gradient or value an operation of the optimizer works on.
    fn parameter_being_updated(&self, at: NodeIndex) -> Option<String> {
        (self.graph.node(at).phase == Phase::Optimizer).then_some(())?;
        let update = self.updates.all().last()?;
        let slot = update.before.and_then(|before| self.graph.node(before).slot);
        Some(slot.map_or_else(
            || format!("parameter {}", self.updates.all().len() - 1),
            |slot| self.parameter_name(slot),
        ))
    }

    fn tell_operation(&self, at: NodeIndex, phase: Phase, parameter: Option<String>) -> Operation {
        let node = self.graph.node(at);
        let site = self.sites.get(node.site);
        let op = self.call_name(at);
        let forward = match &site.part {
            Part::Backward { rule: Some(_) } => forward_of(&self.graph, at, &op),
            _ => None,
        };
        let forward_place =
            forward.and_then(|forward| self.sites.get(self.graph.node(forward).site).place.clone());
        Operation {
            sequence: node.sequence,
            carried_out: (node.name != op).then(|| node.name.to_owned()),
            op,
            phase,
            module: self.module_of(forward.unwrap_or(at)),
            parameter,
            place: site.place.clone(),
            forward_place,
            scalar: node.scalar,
            inputs: node.inputs.iter().map(|&input| self.tell_tensor(input)).collect(),
            output: self.tell_tensor(at),
        }
    }

    /// The call as the user knows it: in the backward pass the one whose gradient is computed, in the
    /// optimizer the optimizer.
    fn call_name(&self, at: NodeIndex) -> String {
        let node = self.graph.node(at);
        self.called(node.site, node.name)
    }

    /// The call at a site as the user knows it, of which an operation of this name is a part.
    pub(super) fn called(&self, site: SiteIndex, operation: &str) -> String {
        let site = self.sites.get(site);
        let name = match &site.part {
            Part::Backward { rule: Some(rule) } => plain_name(rule),
            Part::Optimizer { name: Some(name) } => name,
            Part::Forward { .. } => {
                let call = site.call.as_deref().map(plain_name).filter(|call| !READS.contains(call));
                call.unwrap_or(operation)
            }
            _ => operation,
        };
        name.to_owned()
    }

    /// The call of the forward pass that made a tensor's values; views of it are looked through.
    fn made_by(&self, mut at: NodeIndex) -> Option<String> {
        loop {
            let node = self.graph.node(at);
            match node.geometry {
                _ if node.phase != Phase::Forward => return None,
                Geometry::Reshape | Geometry::Permute(_) | Geometry::Flip(_) | Geometry::Slice(_)
                    if !node.inputs.is_empty() =>
                {
                    at = node.inputs[0];
                }
                _ if node.inputs.is_empty() => return None,
                _ => return Some(self.call_name(at)),
            }
        }
    }

    /// The module whose named parameter an operation reads: `head.weight` → `head`.
    fn module_of(&self, at: NodeIndex) -> Option<String> {
        self.graph.node(at).inputs.iter().find_map(|&input| {
            let name = self.parameters.get(&self.graph.node(input).slot?)?.name.as_deref()?;
            Some(name.rsplit_once('.')?.0.to_owned())
        })
    }

    fn tell_tensor(&self, at: NodeIndex) -> TensorSeen {
        let node = self.graph.node(at);
        TensorSeen {
            shape: sizes(&node.shape),
            dtype: element::dtype_name(node.dtype).to_owned(),
            range: node.range,
            role: node.role,
            parameter: node.slot.map(|slot| self.parameter_name(slot)),
            made_by: self.made_by(at),
        }
    }

    /// The batch elements that the producer's bad elements were made of.
    fn origins(&self, producer: NodeIndex, samples: &[Sample]) -> Vec<Origin> {
        let node = self.graph.node(producer);
        let mut start = producer;
        let mut positions: BTreeSet<usize> = node.bad_positions.iter().copied().collect();
        // A gradient has the shape of the forward tensor it belongs to, so its elements are followed from there.
        if let Part::Backward { rule: Some(rule) } = &self.sites.get(node.site).part
            && let Some(forward) = forward_of(&self.graph, producer, plain_name(rule))
        {
            let same = |at: NodeIndex| self.graph.node(at).shape == node.shape;
            let inputs = &self.graph.node(forward).inputs;
            match inputs.iter().copied().find(|&input| same(input)) {
                Some(input) => start = input,
                None if same(forward) => start = forward,
                None => positions.clear(),
            }
        }
        if positions.is_empty() {
            return Vec::new();
        }
        let mut origins = Vec::new();
        for data in origin::data_behind(&self.graph, start, Elements::At(positions)) {
            self.tell_origins(data, samples, &mut origins);
        }
        // Tensors of the batch first; values the program made on the way (anchors, weights) after them.
        origins.sort_by_key(|origin: &Origin| origin.sample.is_none());
        origins.truncate(32);
        origins
    }

    fn tell_origins(&self, data: origin::DataElements, samples: &[Sample], origins: &mut Vec<Origin>) {
        let node = self.graph.node(data.node);
        let place: Option<Place> = self.sites.get(node.site).place.clone();
        let shape = sizes(&node.shape);
        let batch_length =
            node.batch.and_then(|batch| self.batches.get(&batch)).map_or(samples.len(), Vec::len);
        let row_of = |position: usize| origin::batch_row(&self.graph, data.node, position, batch_length);
        let samples = node.batch.and_then(|batch| self.batches.get(&batch)).map_or(samples, Vec::as_slice);
        let elements: Vec<(usize, Vec<usize>)> = match &data.elements {
            Elements::At(positions) => positions
                .iter()
                .map(|&position| (position, origin::unravel(position, node.shape.as_slice())))
                .collect(),
            Elements::Rows(rows) => {
                let length: usize = node.shape.as_slice().iter().skip(1).product();
                rows.iter().map(|&row| (row * length, vec![row])).collect()
            }
        };
        let last = node.shape.as_slice().last().copied().unwrap_or(1).max(1);
        let values = node.data.as_ref().map(element::values).unwrap_or_default();
        let mut told = BTreeSet::new();
        for (position, place_in_tensor) in elements {
            let first = position % last / Origin::LONGEST_VECTOR * Origin::LONGEST_VECTOR;
            let width = (last - first).min(Origin::LONGEST_VECTOR);
            let from = position / last * last + first;
            let row = row_of(position);
            // One origin per vector and sample: its other elements say nothing new.
            if !told.insert((from, row)) || told.len() > 8 {
                continue;
            }
            origins.push(Origin {
                shape: shape.clone(),
                position: place_in_tensor.iter().map(|&at| at as u64).collect(),
                vector: values.get(from..(from + width).min(values.len())).unwrap_or_default().to_vec(),
                range: node.range,
                columns: Origin::columns_of(&values, last, first, width),
                batch_row: row.map(|row| row as u64),
                sample: row.and_then(|row| samples.get(row).cloned()),
                place: place.clone(),
            });
        }
    }
}
