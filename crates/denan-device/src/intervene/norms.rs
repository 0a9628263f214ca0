//! `insert-norm`, `freeze-batch-norm`: other statistics in normalisation layers, and a layer where there is none.

use super::{Facts, replace_inputs};
use crate::channel::Engine;
use crate::element;
use crate::graph::NodeIndex;
use crate::watch::float_handle;
use burn_backend::Shape;
use burn_ir::{OperationIr, TensorId, TensorIr};
use denan_record::model::Phase;
use denan_record::plan::{BatchNormFreeze, CallAt};
use real_flex::FlexTensor;
use rustc_hash::FxHashMap;

/// What keeps the divisor of an inserted layer away from 0: that of burn's `LayerNorm`.
const EPSILON: f64 = 1e-5;

/// What has to be remembered from the forward pass to the gradient.
#[derive(Default)]
pub struct Norms {
    /// Outputs that were normalised in this step, oldest first.
    inserted: Vec<Inserted>,
    step: u64,
    /// Gradients of such outputs, as the call's own gradient has to read them.
    gradients: FxHashMap<TensorId, FlexTensor>,
    /// Divisors of BatchNorm layers, as their gradient has to read them.
    divisors: FxHashMap<TensorId, FlexTensor>,
}

/// A call whose output was normalised.
struct Inserted {
    op: &'static str,
    /// Nodes it read.
    inputs: Vec<NodeIndex>,
    normalised: Vec<f64>,
    /// Elements that were normalised together.
    length: usize,
    /// Standard deviation of each such group.
    stds: Vec<f64>,
}

impl Norms {
    /// The output of a call, normalised, if a layer is to stand behind it.
    pub fn normalised(
        &mut self,
        made: &FlexTensor,
        after: &[CallAt],
        facts: &Facts<'_>,
    ) -> Option<FlexTensor> {
        if facts.step != self.step {
            self.step = facts.step;
            self.inserted.clear();
            self.gradients.clear();
        }
        let place = facts.place.filter(|_| facts.phase == Phase::Forward)?;
        let is_here =
            |call: &CallAt| call.op == facts.call.name && call.line == place.line && call.file == place.file;
        if !after.iter().any(is_here) {
            return None;
        }
        let sizes = made.layout().shape().as_slice().to_vec();
        // The features of a row; the channels and places of an image.
        let length: usize = match sizes.len() {
            0 => return None,
            1..=3 => *sizes.last()?,
            _ => sizes[1..].iter().product(),
        };
        if length < 2 {
            return None;
        }
        let mut values = element::values(made);
        let mut stds = Vec::new();
        for group in values.chunks_mut(length) {
            let (mean, std) = mean_and_std(group);
            group.iter_mut().for_each(|x| *x = (*x - mean) / std);
            stds.push(std);
        }
        let result = element::of_values(values.clone(), Shape::from(sizes), made.dtype());
        self.inserted.push(Inserted {
            op: facts.call.name,
            inputs: facts.inputs.to_vec(),
            normalised: values,
            length,
            stds,
        });
        Some(result)
    }

    /// Gives the gradient of such a call what the gradient of the layer behind it makes of the incoming one.
    pub fn gradient(&mut self, engine: &mut Engine, mut op: OperationIr, facts: &Facts<'_>) -> OperationIr {
        let Some(rule) = facts.rule.filter(|_| facts.phase == Phase::Backward) else { return op };
        let tensors: Vec<TensorIr> = op.inputs().cloned().collect();
        for tensor in &tensors {
            if !self.gradients.contains_key(&tensor.id) {
                let Some(at) = self.inserted_for(rule, tensor, facts) else { continue };
                let Some(gradient) = float_handle(engine, tensor) else { continue };
                let inserted = self.inserted.remove(at);
                self.gradients.insert(tensor.id, inserted.gradient(&gradient));
            }
        }
        replace_inputs(engine, &mut op, &self.gradients);
        op
    }

    /// The normalised call to which an incoming gradient belongs: the latest that has this shape and shares a
    /// tensor with the operation that reads the gradient.
    fn inserted_for(&self, rule: &str, gradient: &TensorIr, facts: &Facts<'_>) -> Option<usize> {
        let node = facts.graph.of(gradient.id)?;
        // What the rule itself has made is no incoming gradient; nor is what the forward pass left behind.
        if facts.graph.node(node).phase != Phase::Backward {
            return None;
        }
        let count = gradient.shape.num_elements();
        let mut related: Vec<NodeIndex> =
            facts.inputs.iter().copied().filter(|&input| input != node).collect();
        for _ in 0..3 {
            let before = related.clone();
            for at in before {
                let node = facts.graph.node(at);
                if node.phase == Phase::Backward && node.is_new {
                    related.extend(node.inputs.iter().copied());
                }
            }
        }
        let fits = |inserted: &Inserted| inserted.op == rule && inserted.normalised.len() == count;
        let shares = |inserted: &Inserted| inserted.inputs.iter().any(|input| related.contains(input));
        self.inserted.iter().rposition(|inserted| fits(inserted) && shares(inserted))
    }

    /// BatchNorm in evaluation mode with the batch's statistics in the place of the running ones.
    ///
    /// Its gradient takes the divisor for a constant, which the statistics of a frozen layer are.
    pub fn freeze(
        &mut self,
        engine: &mut Engine,
        mut op: OperationIr,
        how: BatchNormFreeze,
        facts: &Facts<'_>,
    ) -> (OperationIr, bool) {
        if how != BatchNormFreeze::Recompute {
            return (op, false);
        }
        if facts.phase == Phase::Backward {
            replace_inputs(engine, &mut op, &self.divisors);
            return (op, false);
        }
        let is_division = facts.called == Some("batch_norm") && facts.call.name == "div";
        if !is_division {
            return (op, false);
        }
        let tensors: Vec<TensorIr> = op.inputs().cloned().collect();
        let [centred, divisor] = &tensors[..] else { return (op, false) };
        let Some(values) = float_handle(engine, centred) else { return (op, false) };
        let (stds, shape) = (channel_stds(&values), divisor.shape.clone());
        if stds.len() != shape.num_elements() {
            return (op, false);
        }
        let new = element::of_values(stds, shape, values.dtype());
        drop(values);
        self.divisors.insert(divisor.id, new);
        replace_inputs(engine, &mut op, &self.divisors);
        (op, true)
    }

    /// A tensor is gone.
    pub fn release(&mut self, id: TensorId) {
        self.gradients.remove(&id);
        self.divisors.remove(&id);
    }
}

impl Inserted {
    /// With y = (x - mean) / std: dx = (dy - mean(dy) - y * mean(dy * y)) / std (Ba et al. 2016).
    fn gradient(&self, incoming: &FlexTensor) -> FlexTensor {
        let mut values = element::values(incoming);
        for (group, (gradient, normalised)) in
            values.chunks_mut(self.length).zip(self.normalised.chunks(self.length)).enumerate()
        {
            let count = gradient.len() as f64;
            let mean = gradient.iter().sum::<f64>() / count;
            let along = gradient.iter().zip(normalised).map(|(g, y)| g * y).sum::<f64>() / count;
            for (g, y) in gradient.iter_mut().zip(normalised) {
                *g = (*g - mean - y * along) / self.stds[group];
            }
        }
        element::of_values(values, incoming.layout().shape().clone(), incoming.dtype())
    }
}

/// Statistics of the batch that are not to be used, and what follows from their use in the gradient.
///
/// In training mode both statistics are means over the batch. Frozen, the layer keeps mean 0 and variance 1 with
/// which it begins; its running statistics, averages of these, stay what they are; and no gradient flows through
/// them.
pub fn without_feedback(made: &FlexTensor, how: BatchNormFreeze, facts: &Facts<'_>) -> Option<FlexTensor> {
    let recomputes = how == BatchNormFreeze::Recompute;
    match (facts.phase, facts.call.name) {
        (Phase::Forward, "mean") if how == BatchNormFreeze::Statistics => {
            if facts.called != Some("batch_norm_train") {
                return None;
            }
            let value = f64::from(u8::from(is_variance(facts)));
            Some(element::mapped(made, |_| value))
        }
        (Phase::Backward, "mean")
            if how == BatchNormFreeze::Statistics && facts.rule == Some("batch_norm_train") =>
        {
            Some(element::mapped(made, |_| 0.0))
        }
        // `x - running mean`, which differs from `x - mean` by a constant per channel.
        (Phase::Forward, "sub") if recomputes && facts.called == Some("batch_norm") => Some(centred(made)),
        _ => None,
    }
}

/// Whether a mean is that of squares.
fn is_variance(facts: &Facts<'_>) -> bool {
    let mut at = facts.inputs.first().copied();
    while let Some(index) = at {
        let node = facts.graph.node(index);
        match node.name {
            "reshape" | "swap_dims" => at = node.inputs.first().copied(),
            name => return name == "mul",
        }
    }
    false
}

fn mean_and_std(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / count;
    (mean, (variance + EPSILON).sqrt())
}

/// Elements of one channel that lie side by side, and the number of channels.
fn channels(tensor: &FlexTensor) -> (usize, usize) {
    let sizes = tensor.layout().shape().as_slice();
    (sizes.iter().skip(2).product::<usize>().max(1), sizes.get(1).copied().unwrap_or(1).max(1))
}

fn by_channel(tensor: &FlexTensor) -> (Vec<Vec<f64>>, usize) {
    let (inner, count) = channels(tensor);
    let mut values = vec![Vec::new(); count];
    for (position, value) in element::values(tensor).into_iter().enumerate() {
        values[position / inner % count].push(value);
    }
    (values, inner)
}

fn channel_stds(tensor: &FlexTensor) -> Vec<f64> {
    by_channel(tensor).0.iter().map(|values| mean_and_std(values).1).collect()
}

fn centred(tensor: &FlexTensor) -> FlexTensor {
    let (values, inner) = by_channel(tensor);
    let means: Vec<f64> = values.iter().map(|values| mean_and_std(values).0).collect();
    element::mapped_by_position(tensor, |position, x| x - means[position / inner % means.len()])
}
