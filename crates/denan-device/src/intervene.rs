//! The one change an experiment makes to a training, at the level of its operations.

use crate::channel::{Engine, fresh_id};
use crate::describe::Call;
use crate::element;
use crate::graph::{Graph, NodeIndex};
use crate::watch::float_handle;
use burn_ir::{
    FloatOperationIr, HandleKind, NumericOperationIr, OperationIr, ScalarIr, TensorId, TensorIr, TensorStatus,
};
use denan_numerics::Summary;
use denan_record::model::{Phase, Place};
use denan_record::plan::{Intervention, exponent_limit};
use real_flex::FlexTensor;
use rustc_hash::FxHashMap;

/// Carries the intervention of a plan out.
pub struct Intervene {
    intervention: Option<Intervention>,
    /// It has changed something.
    acted: bool,
    /// Arguments that were moved away from the edge, by the tensor they stand for.
    moved: FxHashMap<TensorId, Moved>,
}

/// An argument that was moved away from the edge of its call's domain.
struct Moved {
    op: String,
    /// The argument as the call got it.
    argument: FlexTensor,
    /// 1 where it was left alone, 0 where it was moved: the slope of a clamp.
    slope: Vec<f64>,
}

impl Intervene {
    /// Nothing if there is no intervention, or it acts elsewhere (the data loader drops samples).
    pub fn new(intervention: Option<Intervention>) -> Self {
        Self { intervention, acted: false, moved: FxHashMap::default() }
    }

    /// Whether it has changed anything so far.
    pub fn has_acted(&self) -> bool {
        self.acted
    }

    /// Whether it may change an operation, rather than a gradient or what the data loader does.
    pub fn rewrites(&self) -> bool {
        !matches!(
            self.intervention,
            None | Some(Intervention::DropSamples { .. } | Intervention::ClipGradients { .. })
        )
    }

    /// A parameter's gradient is about to be read by the optimizer.
    pub fn gradient(&mut self, engine: &mut Engine, gradient: &TensorIr, summary: Option<&Summary>) {
        let Some(Intervention::ClipGradients { max_norm }) = self.intervention else { return };
        // As burn's own clipping by norm does: per tensor; a non-finite norm is let through.
        let Some(norm) = summary.map(Summary::l2_norm).filter(|&norm| norm > max_norm) else { return };
        let Some(tensor) = float_handle(engine, gradient) else { return };
        self.acted = true;
        let factor = max_norm / norm;
        let clipped = element::mapped(&tensor, |x| x * factor);
        drop(tensor);
        engine.register_tensor_to_device(gradient.id, HandleKind::Float(clipped));
    }

    /// The operation to carry out instead.
    #[expect(clippy::too_many_arguments, reason = "one operation's facts, gathered on a hot path")]
    pub fn rewrite(
        &mut self,
        engine: &mut Engine,
        op: OperationIr,
        call: &Call,
        phase: Phase,
        rule: Option<&str>,
        place: Option<&Place>,
        graph: &Graph,
        inputs: &[NodeIndex],
    ) -> OperationIr {
        match &self.intervention {
            None | Some(Intervention::DropSamples { .. } | Intervention::ClipGradients { .. }) => op,
            Some(Intervention::LowerLearningRate { factor }) => {
                self.acted |= phase == Phase::Optimizer;
                lower_rate(engine, op, phase, *factor, graph, inputs)
            }
            Some(Intervention::RaiseEpsilon { epsilon }) => {
                self.acted |= phase == Phase::Optimizer;
                raise_epsilon(op, phase, *epsilon, graph, inputs)
            }
            Some(Intervention::SafeOp { op: name, file, line, margin }) => {
                let is_the_call = phase == Phase::Forward
                    && call.name == name
                    && place.is_some_and(|place| place.line == *line && &place.file == file);
                let (name, margin) = (name.clone(), *margin);
                if is_the_call {
                    self.move_argument(engine, op, &name, margin)
                } else if phase == Phase::Backward && rule == Some(name.as_str()) {
                    self.use_moved(engine, op, &name)
                } else {
                    op
                }
            }
        }
    }

    /// Moves the argument of a forward call away from the edge of the call's domain.
    fn move_argument(
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

    /// Gives the gradient of the call the moved argument too, and the slope of the move: 0 where it moved.
    fn use_moved(&mut self, engine: &mut Engine, mut op: OperationIr, name: &str) -> OperationIr {
        let mut is_moved =
            |tensor: &&TensorIr| self.moved.get(&tensor.id).is_some_and(|moved| moved.op == name);
        let Some(original) = op.inputs().find(&mut is_moved).cloned() else { return op };
        let Some(moved) = self.moved.get(&original.id) else { return op };
        let slots = op.inputs().filter(|tensor| tensor.id == original.id).count();
        let is_last_use =
            op.inputs().any(|tensor| tensor.id == original.id && tensor.status == TensorStatus::ReadWrite);
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
        let id = fresh_id();
        engine.register_tensor_to_device(id, HandleKind::Float(replacement));
        if is_last_use {
            engine.register_op(OperationIr::Drop(original.clone()));
        }
        let mut left = slots;
        visit_tensors(&mut op, |tensor| {
            if tensor.id == original.id {
                left -= 1;
                tensor.id = id;
                tensor.status = if left == 0 { TensorStatus::ReadWrite } else { TensorStatus::ReadOnly };
            }
        });
        op
    }

    /// A tensor is gone; so is what stood for it.
    pub fn release(&mut self, id: TensorId) {
        self.moved.remove(&id);
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

fn visit_tensors(op: &mut OperationIr, visit: impl FnMut(&mut TensorIr)) {
    struct Visitor<F>(F);
    impl<F: FnMut(&mut TensorIr)> burn_ir::IrVisitorMut for Visitor<F> {
        fn visit_tensor_mut(&mut self, tensor: &mut TensorIr) {
            (self.0)(tensor);
        }
    }
    op.visit_mut(&mut Visitor(visit));
}

/// `parameter - delta` becomes `parameter - factor * delta`, which is what a rate lower by the factor does.
fn lower_rate(
    engine: &mut Engine,
    mut op: OperationIr,
    phase: Phase,
    factor: f64,
    graph: &Graph,
    inputs: &[NodeIndex],
) -> OperationIr {
    if phase != Phase::Optimizer {
        return op;
    }
    if let OperationIr::NumericFloat(_, NumericOperationIr::Sub(sub)) = &mut op
        && inputs
            .get(1)
            .is_some_and(|&delta| graph.node(delta).name == "mul" && graph.node(delta).scalar.is_some())
    {
        let Some(delta) = float_handle(engine, &sub.rhs) else { return op };
        let scaled = element::mapped(&delta, |x| x * factor);
        drop(delta);
        if sub.rhs.status == TensorStatus::ReadWrite {
            engine.register_op(OperationIr::Drop(sub.rhs.clone()));
        }
        sub.rhs.id = fresh_id();
        sub.rhs.status = TensorStatus::ReadWrite;
        engine.register_tensor_to_device(sub.rhs.id, HandleKind::Float(scaled));
    }
    op
}

/// `sqrt(v) + eps` of an adaptive optimizer gets another eps.
fn raise_epsilon(
    op: OperationIr,
    phase: Phase,
    epsilon: f64,
    graph: &Graph,
    inputs: &[NodeIndex],
) -> OperationIr {
    match op {
        OperationIr::NumericFloat(dtype, NumericOperationIr::AddScalar(mut add))
            if phase == Phase::Optimizer
                && inputs.first().is_some_and(|&input| graph.node(input).name == "sqrt") =>
        {
            add.rhs = ScalarIr::Float(epsilon.max(add.rhs.elem()));
            OperationIr::NumericFloat(dtype, NumericOperationIr::AddScalar(add))
        }
        op => op,
    }
}
