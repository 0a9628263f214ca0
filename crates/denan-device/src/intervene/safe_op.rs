//! `safe-op`: the argument of one call is moved away from the edge of its domain, in the forward pass and
//! in its gradient.
//!
//! `log(exp(x) + 1)` can be kept whole instead: above a margin it is `x`, with slope 1. There the exponential
//! reads the margin, the logarithm gets back by how much `x` is above it, and the gradient, e^m / (e^m + 1) at
//! the margin, is 1 up to rounding. That is what burn's `softplus` computes.

use super::replace_inputs;
use crate::channel::{Engine, fresh_id};
use crate::element;
use crate::watch::float_handle;
use burn_ir::{
    FloatOperationIr, HandleKind, NumericOperationIr, OperationIr, ScalarIr, TensorId, TensorIr, TensorStatus,
};
use denan_record::plan::exponent_limit;
use real_flex::FlexTensor;
use rustc_hash::FxHashMap;

/// Arguments that were moved, by the tensor they stand for.
#[derive(Default)]
pub struct SafeOp {
    moved: FxHashMap<TensorId, Moved>,
    /// By how much the argument of an exponential is above the margin, by what was made of the exponential.
    excess: FxHashMap<TensorId, FlexTensor>,
    /// What has to be added to a logarithm that is being carried out.
    owed: Option<(TensorId, FlexTensor)>,
    /// An argument has been moved.
    pub acted: bool,
}

/// An argument that was moved away from the edge of its call's domain.
struct Moved {
    op: String,
    /// The argument as the call got it.
    argument: FlexTensor,
    /// 1 where it was left alone, 0 where it was moved: the slope of a clamp.
    slope: Vec<f64>,
}

impl SafeOp {
    /// Moves the argument of a forward call away from the edge of the call's domain.
    pub fn move_argument(
        &mut self,
        engine: &mut Engine,
        mut op: OperationIr,
        name: &str,
        margin: f64,
    ) -> OperationIr {
        let Some(argument) = argument(&mut op) else { return op };
        let Some(tensor) = float_handle(engine, argument) else { return op };
        let limit = exponent_limit(element::dtype_name(tensor.dtype()));
        let away_from_edge = |x| away_from_edge(name, x, margin, limit);
        let moved = element::mapped(&tensor, away_from_edge);
        let slope: Vec<f64> =
            element::values(&tensor).into_iter().map(|x| f64::from(away_from_edge(x) == x)).collect();
        drop(tensor);
        self.acted |= slope.contains(&0.0);
        let original = argument.id;
        if argument.status == TensorStatus::ReadWrite {
            engine.register_op(OperationIr::Drop(argument.clone()));
        }
        let id = fresh_id();
        engine.register_tensor_to_device(id, HandleKind::Float(moved.clone()));
        argument.id = id;
        argument.status = TensorStatus::ReadWrite;
        self.moved.insert(original, Moved { op: name.to_owned(), argument: moved, slope });
        op
    }

    /// Bounds an infinite factor, which is 1 over a count of nothing: the program counted, not the engine.
    pub fn bound_factor(&mut self, mut op: OperationIr, margin: f64) -> OperationIr {
        if let OperationIr::NumericFloat(_, NumericOperationIr::MulScalar(product)) = &mut op {
            let factor: f64 = product.rhs.elem();
            if factor.is_infinite() {
                product.rhs = ScalarIr::Float(margin.copysign(factor));
                self.acted = true;
            }
        }
        op
    }

    /// Gives the exponential of a softplus the margin where its argument is above it.
    pub fn enter_softplus(&mut self, engine: &mut Engine, mut op: OperationIr, margin: f64) -> OperationIr {
        let Some(out) = op.outputs().next().map(|out| out.id) else { return op };
        let Some(argument) = argument(&mut op).cloned() else { return op };
        let Some(tensor) = float_handle(engine, &argument) else { return op };
        let excess = element::mapped(&tensor, |x| (x - margin).max(0.0));
        let moved = element::mapped(&tensor, |x| x.min(margin));
        drop(tensor);
        self.acted |= element::range(&excess).abs_max() > 0.0;
        self.excess.insert(out, excess);
        replace_inputs(engine, &mut op, &FxHashMap::from_iter([(argument.id, moved.clone())]));
        // The gradient reads the moved argument too, and nowhere is its slope 0.
        self.moved.insert(argument.id, Moved { op: "exp".to_owned(), argument: moved, slope: Vec::new() });
        op
    }

    /// Follows the exponential of a softplus to its logarithm.
    pub fn follow_softplus(&mut self, op: &OperationIr) {
        match op {
            OperationIr::NumericFloat(_, NumericOperationIr::AddScalar(d)) => {
                if let Some(excess) = self.excess.get(&d.lhs.id).filter(|_| d.rhs.elem::<f64>() == 1.0) {
                    let excess = excess.clone();
                    self.excess.insert(d.out.id, excess);
                }
            }
            OperationIr::Float(_, FloatOperationIr::Log(d) | FloatOperationIr::Log1p(d)) => {
                self.owed = self.excess.get(&d.input.id).map(|excess| (d.out.id, excess.clone()));
            }
            _ => {}
        }
    }

    /// The logarithm of a softplus with what it is owed.
    pub fn leave_softplus(&mut self, id: TensorId, made: &FlexTensor) -> Option<FlexTensor> {
        let (_, excess) = self.owed.take_if(|(owed_to, _)| *owed_to == id)?;
        let excess = element::values(&excess);
        Some(element::mapped_by_position(made, |at, x| x + excess.get(at).copied().unwrap_or(0.0)))
    }

    /// Gives an operation of a softmax a large finite number in the place of minus infinity: a row that is
    /// masked everywhere becomes even.
    pub fn unmask(&mut self, engine: &mut Engine, mut op: OperationIr, margin: f64) -> OperationIr {
        let tensors: Vec<TensorIr> = op.inputs().cloned().collect();
        let mut others = FxHashMap::default();
        for tensor in &tensors {
            let Some(values) = float_handle(engine, tensor) else { continue };
            if element::range(&values).neg_inf > 0 {
                others.insert(tensor.id, element::mapped(&values, |x| x.max(-margin)));
            }
        }
        self.acted |= !others.is_empty();
        replace_inputs(engine, &mut op, &others);
        op
    }

    /// Gives the gradient of the call the moved argument too, and the slope of the move: 0 where it moved.
    pub fn use_moved(&mut self, engine: &mut Engine, mut op: OperationIr, name: &str) -> OperationIr {
        let mut is_moved =
            |tensor: &&TensorIr| self.moved.get(&tensor.id).is_some_and(|moved| moved.op == name);
        let Some(original) = op.inputs().find(&mut is_moved).cloned() else { return op };
        let Some(moved) = self.moved.get(&original.id) else { return op };
        let slots = op.inputs().filter(|tensor| tensor.id == original.id).count();
        let replacement = match vanishing(name, &op, slots) {
            None => moved.argument.clone(),
            Some(vanishing) => {
                let slope = &moved.slope;
                let at = std::cell::Cell::new(0);
                element::mapped(&moved.argument, |x| {
                    let index = at.replace(at.get() + 1);
                    if slope.get(index).is_some_and(|&slope| slope == 0.0) { vanishing } else { x }
                })
            }
        };
        replace_inputs(engine, &mut op, &FxHashMap::from_iter([(original.id, replacement)]));
        op
    }

    /// A tensor is gone; so is what stood for it.
    pub fn release(&mut self, id: TensorId) {
        self.moved.remove(&id);
        self.excess.remove(&id);
    }
}

/// What the gradient of a call has to read in the place of an argument that was moved, so that the slope
/// there becomes 0, the slope of a clamp; `None` if the moved argument itself will do.
///
/// `recip(x)`, `x^p` and `x * x` carry the singularity into a product with the incoming gradient. An
/// argument at which they are 0, or by which is divided and which is infinite, makes that product 0.
fn vanishing(name: &str, op: &OperationIr, slots: usize) -> Option<f64> {
    if matches!(name, "acos" | "asin" | "atanh" | "sinh") {
        // Their slope is 1 / sqrt(1 - x^2) or the like, which no argument makes 0.
        return None;
    }
    match op {
        OperationIr::Float(_, FloatOperationIr::Exp(_)) => Some(f64::NEG_INFINITY),
        OperationIr::Float(_, FloatOperationIr::Sinh(_)) => Some(0.0),
        // 1 / (1 + x).
        OperationIr::NumericFloat(_, NumericOperationIr::AddScalar(_)) if name == "log1p" => {
            Some(f64::INFINITY)
        }
        // That of a quotient by its numerator, 1 / divisor, stays as it is.
        OperationIr::Float(_, FloatOperationIr::Recip(_)) if name == "div" => None,
        OperationIr::Float(_, FloatOperationIr::Recip(_)) => Some(f64::INFINITY),
        OperationIr::Float(_, FloatOperationIr::PowfScalar(d)) => {
            (d.rhs.elem::<f64>() < 0.0).then_some(f64::INFINITY)
        }
        OperationIr::NumericFloat(_, NumericOperationIr::PowiScalar(_)) => Some(f64::INFINITY),
        // The square by which is divided.
        OperationIr::NumericFloat(_, NumericOperationIr::Mul(_)) if slots == 2 => Some(f64::INFINITY),
        OperationIr::NumericFloat(_, NumericOperationIr::Mul(_)) => Some(0.0),
        _ => None,
    }
}

/// The nearest argument at which the call and its gradient are finite.
fn away_from_edge(name: &str, x: f64, margin: f64, exponent_limit: f64) -> f64 {
    match name {
        "log" | "sqrt" | "powf" => x.max(margin),
        "log1p" => x.max(margin - 1.0),
        "exp" => x.clamp(-exponent_limit, margin),
        "sinh" | "cosh" => x.clamp(-margin, margin),
        "acos" | "asin" | "atanh" => x.clamp(margin - 1.0, 1.0 - margin),
        // Which is what the patch can say in one call of burn's, `mask_fill`.
        _ if x.abs() < margin => margin,
        _ => x,
    }
}

/// The argument whose edge matters: the divisor of a division, the only one otherwise.
fn argument(op: &mut OperationIr) -> Option<&mut TensorIr> {
    match op {
        OperationIr::NumericFloat(_, NumericOperationIr::Div(d)) => Some(&mut d.rhs),
        OperationIr::Float(_, FloatOperationIr::PowfScalar(d)) => Some(&mut d.lhs),
        OperationIr::Float(
            _,
            FloatOperationIr::Log(d)
            | FloatOperationIr::Log1p(d)
            | FloatOperationIr::Sqrt(d)
            | FloatOperationIr::Exp(d)
            | FloatOperationIr::Recip(d)
            | FloatOperationIr::Sinh(d)
            | FloatOperationIr::Cosh(d)
            | FloatOperationIr::ArcCos(d)
            | FloatOperationIr::ArcSin(d)
            | FloatOperationIr::ArcTanh(d),
        ) => Some(&mut d.input),
        _ => None,
    }
}
