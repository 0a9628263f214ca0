//! The telling of a break: the producer, the trail from it, and the batch elements behind it.
//!
//! In a step that is looked at closely the break is followed to its first operation; otherwise only where it was
//! noticed is known, and denan runs the training again to look.

use crate::look::{Look, Node, sizes};
use crate::tensor::Tensor;
use crate::watch::{Examined, Noticed, Watch, seen_alone};
use denan_record::event::Event;
use denan_record::model::{Break, Kind, Operation, Origin, Phase, Role, Sample, TensorSeen};
use denan_record::origin::{self, Elements, Geometry};
use denan_record::producer;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Origins that are told.
const MOST_ORIGINS: usize = 32;
/// Vectors of one data tensor that are told.
const MOST_VECTORS: usize = 8;

/// Calls that make or read a tensor and are no operation of the user's.
const READS: [&str; 6] = ["tensor", "item", "tolist", "detach", "to", "numpy"];

impl Watch {
    /// A bad value was noticed in a step. Only the first break is told.
    pub(crate) fn broke(&mut self, noticed: Noticed<'_>, step: u64) {
        let in_evaluation = matches!(noticed, Noticed::Output(_));
        if self.first_break.is_some() && (in_evaluation || !self.is_evaluations) {
            return;
        }
        self.first_break = Some(step);
        self.is_evaluations = in_evaluation;
        let (tensor, slot) = match noticed {
            Noticed::Loss(tensor) | Noticed::Output(tensor) => (tensor, None),
            Noticed::Gradient(slot, tensor) | Noticed::Value(slot, tensor) => (tensor, Some(slot)),
        };
        let found = if self.looks { self.look.node_of(tensor) } else { None };
        // Memory that was written where no operation was seen (gradients that come from other ranks) has no producer.
        let found = found.filter(|&node| self.look.node(node).is_bad());
        let mut batch_length = self.step.samples.len();
        self.teller.tell(match found {
            Some(node) => {
                let found = Break { step, in_evaluation, ..self.closely(node, slot) };
                if !self.step.samples.is_empty() {
                    batch_length = found.samples.len();
                }
                Event::Break(Box::new(found))
            }
            None => {
                let found = Break { step, in_evaluation, ..self.told_from_afar(noticed, tensor, slot) };
                Event::Noticed { found: Box::new(found), since: self.clean_before.min(step) }
            }
        });
        if let Some(previous) = self
            .look
            .previous_graph(&self.places)
            .filter(|graph| found.is_some() && graph.step + 1 == self.steps_done && graph.step > 0)
        {
            self.teller.tell(Event::Graph(Box::new(previous)));
        }
        if let Some(node) = found {
            let producer = producer::producer(&self.look, node).producer;
            let graph = self.look.graph(&self.places, Some(producer), batch_length);
            self.teller.tell(Event::Graph(Box::new(graph)));
        }
        self.teller.tell(Event::Data(self.entering.seen()));
    }

    /// What is known without a close look: where the bad value was noticed.
    fn told_from_afar(&self, noticed: Noticed<'_>, tensor: &Tensor, slot: Option<u32>) -> Break {
        let (op, phase) = match noticed {
            Noticed::Loss(_) => ("loss".to_owned(), Phase::Loss),
            Noticed::Output(_) => ("output".to_owned(), Phase::Forward),
            Noticed::Gradient(..) => ("backward".to_owned(), Phase::Backward),
            Noticed::Value(..) => {
                (self.optimizer_name.clone().unwrap_or_else(|| "optimizer".to_owned()), Phase::Optimizer)
            }
        };
        let role = if slot.is_some() { Role::Gradient } else { Role::Activation };
        let parameter = slot.map(|slot| self.parameter_name(slot));
        let output = TensorSeen { parameter, ..seen_alone(tensor, role) };
        // The graph of the loss may have told more.
        let examined = self.examined.as_ref().filter(|_| matches!(noticed, Noticed::Loss(_)));
        let (op, phase, inputs, output) = match examined {
            Some(Examined { op, read, made }) => {
                let phase = if op == "input" { Phase::Input } else { Phase::Forward };
                (op.clone(), phase, read.clone(), made.clone().unwrap_or(output))
            }
            None => (op, phase, Vec::new(), output),
        };
        Break {
            step: self.steps_done,
            phase,
            kind: Kind::of(&output.range).unwrap_or(Kind::Nan),
            producer: Operation {
                sequence: 0,
                op,
                carried_out: None,
                phase,
                module: None,
                parameter: slot.map(|slot| self.parameter_name(slot)),
                place: None,
                forward_place: None,
                scalar: None,
                inputs,
                output,
            },
            trail: Vec::new(),
            origins: Vec::new(),
            samples: self.step.samples.clone(),
            batch_rows: Vec::new(),
            loss_is_bad: self.step.loss_is_bad,
            parameters_are_bad: false,
            in_evaluation: false,
        }
    }

    fn closely(&self, noticed: u32, slot: Option<u32>) -> Break {
        let path = producer::producer(&self.look, noticed);
        let made = self.look.node(path.producer);
        let kind = Kind::of(&made.range).unwrap_or(Kind::Nan);
        let phase = match made.phase {
            _ if made.buffer.is_some() || made.role == Role::Parameter && !made.is_new => Phase::Parameter,
            _ if &*made.name == "input" && !made.is_new && self.look.batch_of(path.producer).is_none() => {
                Phase::Parameter
            }
            _ if &*made.name == "input" => Phase::Input,
            Phase::Forward
                if slot.is_none()
                    && !self.is_evaluations
                    && path.trail.iter().all(|&at| self.is_same_call(path.producer, at)) =>
            {
                Phase::Loss
            }
            phase => phase,
        };
        let parameter = match phase {
            Phase::Optimizer | Phase::Parameter => slot.map(|slot| self.parameter_name(slot)),
            _ => None,
        };
        let mut producer = self.tell_operation(path.producer, phase, parameter);
        if phase == Phase::Parameter {
            // The line that uses it says more than the one that made it.
            let first_use = path.trail.first().and_then(|&at| self.place_of(self.look.node(at).place));
            producer.place = first_use.or(producer.place);
            let buffer = made.buffer.as_ref().map(ToString::to_string);
            producer.parameter = producer.parameter.or(producer.output.parameter.clone()).or(buffer);
        }
        let trail: Vec<Operation> =
            path.told_trail().map(|at| self.tell_operation(at, self.look.node(at).phase, None)).collect();
        let batches = self.batches(path.producer);
        let samples = batches.concat();
        let origins = self.origins(path.producer, &batches);
        let batch_rows: BTreeSet<u64> = origins.iter().filter_map(|origin| origin.batch_row).collect();
        Break {
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
        }
    }

    /// Whether two operations are parts of one call that the user wrote (a loss that is several operations).
    fn is_same_call(&self, one: u32, other: u32) -> bool {
        let (one, other) = (self.look.node(one), self.look.node(other));
        one.call.is_some() && one.call == other.call && one.place == other.place && one.phase == other.phase
    }

    /// The batches behind an operation: of those of its loaders the ones that it was made of, since a step may have
    /// several and a loader may be ahead; or the rows that the program took of a data set in memory.
    fn batches(&self, producer: u32) -> Vec<Arc<[Sample]>> {
        let behind = self.look.batches_behind(producer);
        if !behind.is_empty() {
            return behind;
        }
        if !self.step.samples.is_empty() {
            return vec![self.step.samples.as_slice().into()];
        }
        let rows = self.look.taken().unwrap_or_default();
        vec![rows.into_iter().map(|index| Sample { index, name: None }).collect()]
    }

    fn place_of(&self, number: Option<u32>) -> Option<denan_record::model::Place> {
        self.places.get(number? as usize).cloned()
    }

    fn tell_operation(&self, at: u32, phase: Phase, parameter: Option<String>) -> Operation {
        let node = self.look.node(at);
        let op = call_name(node);
        Operation {
            sequence: at.into(),
            carried_out: (crate::describe::plain_name(&op) != &*node.name).then(|| node.name.to_string()),
            op,
            phase,
            module: node.module.as_ref().map(ToString::to_string),
            parameter,
            place: self.place_of(node.place),
            forward_place: self.place_of(node.forward_place),
            scalar: node.scalar,
            inputs: node.inputs.iter().map(|&input| self.tell_tensor(input)).collect(),
            output: self.tell_tensor(at),
        }
    }

    fn tell_tensor(&self, at: u32) -> TensorSeen {
        let node = self.look.node(at);
        TensorSeen {
            shape: sizes(&node.shape),
            dtype: node.dtype.name().to_owned(),
            range: node.range,
            role: node.role,
            parameter: node.slot.map(|slot| self.parameter_name(slot)),
            made_by: made_by(&self.look, at),
        }
    }

    /// The batch elements that the producer's bad elements were made of.
    fn origins(&self, producer: u32, batches: &[Arc<[Sample]>]) -> Vec<Origin> {
        let node = self.look.node(producer);
        let mut start = producer;
        let mut positions: BTreeSet<usize> = node.bad_positions.iter().copied().collect();
        if node.phase == Phase::Backward {
            // A gradient has the shape of the forward tensor it belongs to, so its elements are followed from there.
            match self.forward_of(node) {
                Some(forward) => start = forward,
                None => positions.clear(),
            }
        }
        if positions.is_empty() {
            return Vec::new();
        }
        let mut origins = Vec::new();
        for data in origin::data_behind(&self.look, start, Elements::At(positions)) {
            self.tell_origins(&data, batches, &mut origins);
        }
        // Tensors of the batch first; values the program made on the way (anchors, weights) after them.
        origins.sort_by_key(|origin: &Origin| origin.sample.is_none());
        origins.truncate(MOST_ORIGINS);
        origins
    }

    /// The forward tensor of a gradient's shape that the call read or made.
    fn forward_of(&self, gradient: &Node) -> Option<u32> {
        let call = gradient.call.as_deref()?;
        let is_call = |node: &Node| {
            node.phase == Phase::Forward
                && node.place == gradient.forward_place
                && (&*node.name == crate::describe::plain_name(call) || node.call.as_deref() == Some(call))
        };
        let calls = (0..).zip(self.look.nodes()).filter(|(_, node)| is_call(node));
        let same = |at: &u32| self.look.node(*at).shape == gradient.shape;
        let mut found =
            calls.filter_map(|(at, node)| node.inputs.iter().copied().find(same).or(Some(at).filter(same)));
        found.next()
    }

    fn tell_origins(
        &self,
        data: &origin::DataElements,
        batches: &[Arc<[Sample]>],
        origins: &mut Vec<Origin>,
    ) {
        let node = self.look.node(data.node);
        let samples = batches.concat();
        // Where its own batch begins among them, and how long that is.
        let own = node.samples.as_ref().and_then(|own| batches.iter().position(|batch| batch == own));
        let (first_row, batch_length) = match own {
            Some(own) => (batches[..own].iter().map(|batch| batch.len()).sum(), batches[own].len()),
            None => (0, samples.len()),
        };
        let taken = self.look.batch_of(data.node);
        let last = node.shape.last().copied().unwrap_or(1).max(1);
        let elements: Vec<(usize, Vec<usize>)> = match &data.elements {
            Elements::At(positions) => {
                positions.iter().map(|&position| (position, origin::unravel(position, &node.shape))).collect()
            }
            Elements::Rows(rows) => {
                let length: usize = node.shape.iter().skip(1).product();
                rows.iter().map(|&row| (row * length, vec![row])).collect()
            }
        };
        let mut told = BTreeSet::new();
        for (position, place_in_tensor) in elements {
            let first = position % last / Origin::LONGEST_VECTOR * Origin::LONGEST_VECTOR;
            let width = (last - first).min(Origin::LONGEST_VECTOR);
            let from = position / last * last + first;
            let row = match &taken {
                Some(rows) => {
                    let of_data = place_in_tensor.first().copied().unwrap_or(0) as u64;
                    rows.iter().position(|&row| row == of_data)
                }
                None => origin::batch_row(&self.look, data.node, position, batch_length)
                    .map(|row| first_row + row),
            };
            // One origin per vector and sample: its other elements say nothing new.
            if !told.insert((from, row)) || told.len() > MOST_VECTORS {
                continue;
            }
            // Of a data set that is too large to keep, the batch that was taken of it is kept.
            let (values, from) = match row.and_then(|row| Some((row, self.look.batch_taken_from(data.node)?)))
            {
                Some((row, batch)) if node.values.is_empty() => {
                    let length: usize = node.shape.iter().skip(1).product();
                    (&self.look.node(batch).values, row * length + from % length.max(1))
                }
                _ => (&node.values, from),
            };
            origins.push(Origin {
                shape: sizes(&node.shape),
                position: place_in_tensor.iter().map(|&at| at as u64).collect(),
                vector: values.get(from..(from + width).min(values.len())).unwrap_or_default().to_vec(),
                range: node.range,
                columns: Origin::columns_of(values, last, first, width),
                batch_row: row.map(|row| row as u64),
                sample: row.and_then(|row| samples.get(row).cloned()),
                place: self.place_of(node.place),
            });
        }
    }
}

/// The call as the user knows it.
fn call_name(node: &Node) -> String {
    let call = node.call.as_deref().filter(|call| !READS.contains(call));
    let call = match call {
        // How the record tells the layer's modes apart is nothing the user wrote.
        Some("batch_norm_train") => Some("batch_norm"),
        call => call,
    };
    call.unwrap_or(&node.name).to_owned()
}

/// The call of the forward pass that made a tensor's values; views of it are looked through.
fn made_by(look: &Look, mut at: u32) -> Option<String> {
    loop {
        let node = look.node(at);
        if node.phase != Phase::Forward || node.inputs.is_empty() {
            return None;
        }
        match node.geometry {
            Geometry::Reshape
            | Geometry::Permute(_)
            | Geometry::Flip(_)
            | Geometry::Slice(_)
            | Geometry::Pick(..) => at = node.inputs[0],
            _ => return Some(crate::describe::plain_name(&call_name(node)).to_owned()),
        }
    }
}
