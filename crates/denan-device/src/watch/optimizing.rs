//! What the optimizer does to the parameters, and the figures of the step that it ends.

use super::{Watch, float_handle, sizes};
use crate::channel::Engine;
use crate::element;
use crate::graph::NodeIndex;
use burn_ir::{OperationIr, TensorIr};
use denan_numerics::Summary;
use denan_record::event::Event;
use denan_record::model::{Batch, Ending, Parameter, ParameterStep, Role, Step};
use smallvec::SmallVec;
use std::collections::BTreeSet;

impl Watch {
    /// Before an operation of the optimizer: gradients, parameters and updates are told by what it reads.
    pub(super) fn note_optimizer_reads(
        &mut self,
        engine: &mut Engine,
        op: &OperationIr,
        tensors: &[&TensorIr],
        inputs: &[NodeIndex],
    ) {
        // Where a tensor is unknown to the graph, there are fewer inputs than tensors.
        let known: SmallVec<[&TensorIr; 4]>;
        let tensors = if tensors.len() == inputs.len() {
            tensors
        } else {
            known = tensors.iter().copied().filter(|tensor| self.graph.of(tensor.id).is_some()).collect();
            &known
        };
        for (&input, tensor) in inputs.iter().zip(tensors) {
            if self.updates.reads_new_gradient(&self.graph, input) {
                let summary = self.summary(engine, input, tensor.id);
                if let Some(update) = self.updates.current() {
                    update.gradient_summary = summary;
                    update.gradient_id = Some(tensor.id);
                }
                if self.graph.node(input).is_bad() {
                    self.broke(engine, input, None);
                }
                self.intervene.gradient(engine, tensor, summary.as_ref(), &self.graph, self.steps_done);
            }
        }
        let mut reads_parameter = false;
        for (&input, tensor) in inputs.iter().zip(tensors) {
            let reads = self.updates.reads(&self.graph, input);
            reads_parameter |= reads;
            // What it is before its first update says how it was initialised.
            if reads
                && self
                    .graph
                    .node(input)
                    .slot
                    .and_then(|slot| self.parameters.get(&slot))
                    .is_none_or(|parameter| parameter.initial.is_none() && parameter.first_update.is_none())
                && let Some(update) = self.updates.current()
                && update.before == Some(input)
                && update.before_summary.is_none()
            {
                update.before_summary = float_handle(engine, tensor).map(|tensor| element::summary(&tensor));
            }
        }
        // `parameter - delta` is how every optimizer ends.
        if reads_parameter
            && let OperationIr::NumericFloat(_, burn_ir::NumericOperationIr::Sub(sub)) = op
            && let Some(delta) = self.graph.of(sub.rhs.id)
        {
            let summary = self.summary(engine, delta, sub.rhs.id);
            let node = self.graph.node(delta);
            if let Some(update) = self.updates.current() {
                update.delta_summary = summary;
                if node.name == "mul" {
                    update.learning_rate = node.scalar;
                }
            }
        }
    }

    /// An intervention may have put another update in the place of the optimizer's.
    pub(super) fn note_changed_update(&mut self, engine: &mut Engine, op: &OperationIr) {
        let OperationIr::NumericFloat(_, burn_ir::NumericOperationIr::Sub(sub)) = op else { return };
        // Tensors of an intervention are unknown to the graph.
        if self.graph.of(sub.rhs.id).is_none()
            && let Some(update) = self.updates.current()
        {
            update.delta_summary = float_handle(engine, &sub.rhs).map(|tensor| element::summary(&tensor));
        }
    }

    /// The program has said what a parameter is called.
    pub(super) fn name_parameter(&mut self, input: NodeIndex, name: String) {
        let slot = self.slot_of(input);
        if let Some(parameter) = self.parameters.get_mut(&slot)
            && parameter.name.as_ref() != Some(&name)
        {
            parameter.name = Some(name);
            self.teller.tell(Event::Parameter(parameter.clone()));
        }
    }

    /// The slot of a parameter, given one if it has none yet.
    pub(super) fn slot_of(&mut self, index: NodeIndex) -> u32 {
        if let Some(slot) = self.graph.node(index).slot {
            return slot;
        }
        let slot = self.slots;
        self.slots += 1;
        let node = self.graph.node_mut(index);
        node.slot = Some(slot);
        node.role = Role::Parameter;
        let parameter = Parameter {
            slot,
            name: None,
            shape: sizes(&node.shape),
            dtype: element::dtype_name(node.dtype).to_owned(),
            first_use: self.sites.get(node.site).place.clone(),
            first_update: None,
            initial: None,
            birth: Some(node.birth),
        };
        self.teller.tell(Event::Parameter(parameter.clone()));
        self.parameters.insert(slot, parameter);
        slot
    }

    /// An optimizer step is over.
    pub(super) fn end_step(&mut self, engine: &mut Engine) {
        let number = self.steps_done;
        let updates: Vec<_> = self.updates.all().to_vec();
        let mut rows = Vec::with_capacity(updates.len());
        let mut learning_rate = None;
        let mut lost = None;
        for update in &updates {
            let (Some(before), Some(after)) = (update.before, update.after) else { continue };
            let slot = self.slot_of(before);
            if let Some(parameter) = self.parameters.get_mut(&slot)
                && parameter.first_update.is_none()
            {
                parameter.first_update = Some(number);
                parameter.initial = parameter.initial.or(update.before_summary);
                self.teller.tell(Event::Parameter(parameter.clone()));
            }
            let node = self.graph.node_mut(after);
            node.slot = Some(slot);
            node.role = Role::Parameter;
            let node = self.graph.node(after);
            // What was bad from the start counts when it reaches the loss: an embedding may never be looked up.
            let is_worse = node.range.nonfinite() > self.graph.node(before).range.nonfinite();
            if is_worse && lost.is_none() {
                lost = Some((after, slot));
            }
            learning_rate = learning_rate.or(update.learning_rate);
            rows.push(ParameterStep {
                slot,
                gradient: update.gradient_summary,
                value: update.after_summary,
                update: update.delta_summary,
            });
        }
        if let Some((after, slot)) = lost {
            self.broke(engine, after, Some(slot));
        }
        for &batch in &self.step.batches {
            if let Some(samples) = self.batches.get(&batch) {
                self.teller.tell(Event::Batch(Batch { step: number, samples: samples.clone() }));
            }
        }
        let figures = std::mem::take(&mut self.step);
        self.teller.tell(Event::Step(Step {
            step: number,
            loss: figures.loss,
            loss_bits: figures.loss_bits,
            learning_rate,
            gradient_norm: norm(rows.iter().map(|row| row.gradient)),
            weight_norm: norm(rows.iter().map(|row| row.value)),
            update_norm: norm(rows.iter().map(|row| row.update)),
            largest_value: (figures.operations > 0).then_some(figures.largest),
            operations: figures.operations,
            elapsed_us: self.began.elapsed().as_micros() as u64,
            watching_us: figures.watching.as_micros() as u64,
            carries_gradients: None,
            parameters: rows,
        }));
        self.keep_first_step();
        self.look_ahead();
        self.tell_tape();
        self.steps_done += 1;
        self.updates.clear();
        self.bad_loss_read = None;
        self.graph.end_step();
        self.begin_tape();
        self.sites.step_ended();
        let live: BTreeSet<u32> =
            self.graph.alive().filter_map(|(_, index)| self.graph.node(index).batch).collect();
        let newest = self.next_batch.saturating_sub(64);
        self.batches.retain(|batch, _| *batch >= newest || live.contains(batch));

        if lost.is_some() {
            self.teller.tell(Event::ParametersLost);
            if self.plan.stop_after_break {
                self.stop(Ending::StoppedAfterBreak);
            }
        }
        if self.plan.stop_at_step.is_some_and(|last| self.steps_done >= last) {
            self.stop(Ending::StoppedAtStep);
        }
    }
}

/// Euclidean norm over several tensors; NaN or infinity if one of them is not finite.
fn norm(summaries: impl Iterator<Item = Option<Summary>>) -> Option<f64> {
    let mut squares = None;
    for summary in summaries.flatten() {
        let norm = if summary.nan > 0 {
            f64::NAN
        } else if summary.nonfinite() > 0 {
            f64::INFINITY
        } else {
            summary.l2_norm()
        };
        *squares.get_or_insert(0.0) += norm * norm;
    }
    squares.map(f64::sqrt)
}
