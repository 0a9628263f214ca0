//! What becomes of an update: `lower-learning-rate`, `constant-learning-rate`, `warm-up`, `change-optimizer`,
//! `weight-decay`, `raise-epsilon`, and parts that are held or slowed down.
//!
//! Every optimizer of burn ends in `parameter - delta`, with `delta` the last product with the rate.

use super::Facts;
use crate::channel::{Engine, fresh_id};
use crate::element;
use crate::watch::float_handle;
use burn_ir::{BinaryOpIr, HandleKind, NumericOperationIr, OperationIr, ScalarIr, TensorId, TensorStatus};
use denan_record::model::{Birth, Phase};
use denan_record::plan::{Chosen, Intervention, OtherOptimizer};
use real_flex::FlexTensor;
use rustc_hash::FxHashMap;

/// Decay of the first moment of Adam (Kingma and Ba 2015, algorithm 1).
const BETA_1: f64 = 0.9;
/// Decay of its second moment.
const BETA_2: f64 = 0.999;
/// What keeps its divisor away from 0: burn's default.
const EPSILON: f64 = 1e-5;

/// What has to be remembered from one operation of the optimizer to the next.
#[derive(Default)]
pub struct Updating {
    /// Gradients as the optimizer read them, of the current update.
    gradients: FxHashMap<TensorId, Vec<f64>>,
    /// What was last multiplied by a scalar, by the product.
    unscaled: FxHashMap<TensorId, FlexTensor>,
    /// Factor by which decoupled weight decay last shrank a parameter: 1 less rate times decay.
    shrinks: Option<f64>,
    /// That decay, from a step with a rate of which it can be told.
    decay: Option<f64>,
    /// Moments of the optimizer that has taken over.
    moments: FxHashMap<Birth, Moments>,
}

#[derive(Default)]
struct Moments {
    first: Vec<f64>,
    second: Vec<f64>,
    largest: Vec<f64>,
    steps: i32,
}

/// Whether an intervention changes what is subtracted from a parameter.
pub fn changes_updates(intervention: &Intervention) -> bool {
    matches!(
        intervention,
        Intervention::LowerLearningRate { .. }
            | Intervention::ConstantLearningRate { .. }
            | Intervention::WarmUp { .. }
            | Intervention::ChangeOptimizer { .. }
            | Intervention::WeightDecay { .. }
            | Intervention::FreezeReleased { .. }
            | Intervention::LowerReleasedRate { .. }
    )
}

impl Updating {
    /// The optimizer is about to read a gradient.
    pub fn reads_gradient(&mut self, id: TensorId, gradient: FlexTensor) {
        self.gradients.clear();
        self.gradients.insert(id, element::values(&gradient));
    }

    /// `parameter - delta` with another delta. Tells whether anything changed.
    pub fn rewrite(
        &mut self,
        engine: &mut Engine,
        mut op: OperationIr,
        intervention: &Option<Intervention>,
        facts: &Facts<'_>,
    ) -> (OperationIr, bool) {
        let Some(intervention) = intervention.as_ref().filter(|_| facts.phase == Phase::Optimizer) else {
            return (op, false);
        };
        let OperationIr::NumericFloat(_, numeric) = &mut op else { return (op, false) };
        match numeric {
            // A rate that is not a number spoils the product, so what it is made of is kept; it spoils decoupled weight
            // decay as well (Loshchilov and Hutter 2019).
            NumericOperationIr::MulScalar(product)
                if let Intervention::ConstantLearningRate { rate } = intervention =>
            {
                if is_parameter(facts) {
                    self.shrinks = Some(product.rhs.elem());
                    let Some(decay) = self.decay else { return (op, false) };
                    product.rhs = ScalarIr::Float(1.0 - rate * decay);
                    return (op, true);
                }
                if let Some(tensor) = float_handle(engine, &product.lhs) {
                    self.unscaled.insert(product.out.id, element::mapped(&tensor, |x| x));
                }
                (op, false)
            }
            NumericOperationIr::Sub(sub) if is_update(facts) => {
                let acted = self.update(engine, sub, intervention, facts);
                self.unscaled.clear();
                (op, acted)
            }
            _ => (op, false),
        }
    }

    fn update(
        &mut self,
        engine: &mut Engine,
        sub: &mut BinaryOpIr,
        intervention: &Intervention,
        facts: &Facts<'_>,
    ) -> bool {
        let Some(delta) = float_handle(engine, &sub.rhs) else { return false };
        let birth = facts.updated.map(|(birth, _)| birth);
        let rate = facts.inputs.get(1).and_then(|&delta| facts.graph.node(delta).scalar);
        let is_of = |parameters: &[Chosen]| {
            birth.is_some() && parameters.iter().any(|parameter| parameter.birth == birth)
        };
        let new = match intervention {
            Intervention::LowerLearningRate { factor } => Some(element::mapped(&delta, |x| x * factor)),
            Intervention::WarmUp { steps } => {
                let factor = ((facts.step + 1) as f64 / (*steps).max(1) as f64).min(1.0);
                (factor < 1.0).then(|| element::mapped(&delta, |x| x * factor))
            }
            Intervention::ConstantLearningRate { rate: constant } => {
                let decay = self.shrinks.take().zip(rate).map(|(shrinks, rate)| (1.0 - shrinks) / rate);
                self.decay = self.decay.or(decay.filter(|decay| decay.is_finite() && *decay > 0.0));
                self.unscaled.get(&sub.rhs.id).map(|unscaled| element::mapped(unscaled, |x| x * constant))
            }
            Intervention::FreezeReleased { parameters } if is_of(parameters) => {
                Some(element::mapped(&delta, |_| 0.0))
            }
            Intervention::FreezeBatchNorm { parameters, .. } if is_of(parameters) => {
                Some(element::mapped(&delta, |_| 0.0))
            }
            Intervention::LowerReleasedRate { parameters, factor } if is_of(parameters) => {
                Some(element::mapped(&delta, |x| x * factor))
            }
            Intervention::WeightDecay { penalty } => {
                rate.zip(float_handle(engine, &sub.lhs)).map(|(rate, parameter)| {
                    let values = element::values(&parameter);
                    element::mapped_by_position(&delta, |at, x| x + rate * penalty * values[at])
                })
            }
            Intervention::ChangeOptimizer { to, rate } => {
                let gradient = facts.updated.and_then(|(_, id)| self.gradients.get(&id?));
                birth.zip(gradient).map(|(birth, gradient)| {
                    let steps = self.moments.entry(birth).or_default().update(*to, gradient);
                    element::mapped_by_position(&delta, |at, _| rate * steps[at])
                })
            }
            _ => None,
        };
        drop(delta);
        let Some(new) = new else { return false };
        if sub.rhs.status == TensorStatus::ReadWrite {
            engine.register_op(OperationIr::Drop(sub.rhs.clone()));
        }
        sub.rhs.id = fresh_id();
        sub.rhs.status = TensorStatus::ReadWrite;
        engine.register_tensor_to_device(sub.rhs.id, HandleKind::Float(new));
        true
    }
}

impl Moments {
    /// What an optimizer makes of a gradient, before the rate.
    fn update(&mut self, optimizer: OtherOptimizer, gradient: &[f64]) -> Vec<f64> {
        if optimizer == OtherOptimizer::Sgd {
            return gradient.to_vec();
        }
        let count = gradient.len();
        self.first.resize(count, 0.0);
        self.second.resize(count, 0.0);
        self.largest.resize(count, 0.0);
        self.steps += 1;
        let (correction_1, correction_2) = (1.0 - BETA_1.powi(self.steps), 1.0 - BETA_2.powi(self.steps));
        gradient
            .iter()
            .enumerate()
            .map(|(at, &gradient)| {
                self.first[at] = BETA_1 * self.first[at] + (1.0 - BETA_1) * gradient;
                self.second[at] = BETA_2 * self.second[at] + (1.0 - BETA_2) * gradient * gradient;
                self.largest[at] = self.largest[at].max(self.second[at]);
                let second =
                    if optimizer == OtherOptimizer::AmsGrad { self.largest[at] } else { self.second[at] };
                self.first[at] / correction_1 / ((second / correction_2).sqrt() + EPSILON)
            })
            .collect()
    }
}

/// Whether an operation reads a parameter first.
fn is_parameter(facts: &Facts<'_>) -> bool {
    facts.inputs.first().is_some_and(|&input| {
        let node = facts.graph.node(input);
        node.used_forward && !node.of_gradient
    })
}

/// Whether a subtraction is the last step of an update: the second operand is a product with the rate.
fn is_update(facts: &Facts<'_>) -> bool {
    facts.inputs.get(1).is_some_and(|&delta| {
        let delta = facts.graph.node(delta);
        delta.name == "mul" && delta.scalar.is_some()
    })
}

/// `sqrt(v) + eps` of an adaptive optimizer gets another eps.
pub fn raise_epsilon(op: OperationIr, epsilon: f64, facts: &Facts<'_>) -> OperationIr {
    match op {
        OperationIr::NumericFloat(dtype, NumericOperationIr::AddScalar(mut add))
            if facts.phase == Phase::Optimizer
                && facts.inputs.first().is_some_and(|&input| facts.graph.node(input).name == "sqrt") =>
        {
            add.rhs = ScalarIr::Float(epsilon.max(add.rhs.elem()));
            OperationIr::NumericFloat(dtype, NumericOperationIr::AddScalar(add))
        }
        op => op,
    }
}
