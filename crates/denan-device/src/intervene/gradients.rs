//! `clip-gradients`, `scale-loss`, `mean-loss`: what the optimizer reads, and what the backward pass starts from.

use super::Facts;
use crate::channel::Engine;
use crate::element;
use crate::graph::Graph;
use crate::watch::float_handle;
use burn_ir::{TensorIr, TensorStatus};
use denan_numerics::Summary;
use denan_record::model::Phase;
use denan_record::plan::ClipBy;
use real_flex::FlexTensor;

/// How a gradient has to be changed; `None` if it is small enough. A norm that is not finite is let through,
/// as burn's own clipping does.
pub fn clip(
    engine: &mut Engine,
    by: ClipBy,
    limit: f64,
    summary: Option<&Summary>,
    graph: &Graph,
    step: u64,
    together: &mut Option<(u64, f64)>,
) -> Option<Box<dyn Fn(f64) -> f64>> {
    let summary = summary?;
    let factor = match by {
        ClipBy::Value => {
            let is_larger = summary.abs_max() > limit;
            return is_larger.then(|| Box::new(move |x: f64| x.clamp(-limit, limit)) as Box<_>);
        }
        ClipBy::Norm => limit / summary.l2_norm(),
        ClipBy::GlobalNorm => match *together {
            Some((of, factor)) if of == step => factor,
            _ => {
                let factor = limit / global_norm(engine, graph);
                *together = Some((step, factor));
                factor
            }
        },
    };
    (factor < 1.0).then(|| Box::new(move |x| x * factor) as Box<_>)
}

/// Euclidean norm over all gradients that wait for the optimizer.
fn global_norm(engine: &mut Engine, graph: &Graph) -> f64 {
    let waiting = waiting(graph);
    let squares = waiting.iter().filter_map(|tensor| float_handle(engine, tensor)).map(|tensor| {
        let norm = element::summary(&tensor).l2_norm();
        norm * norm
    });
    squares.sum::<f64>().sqrt()
}

/// The gradients that wait for the optimizer: what the backward pass made and is alive.
pub fn waiting(graph: &Graph) -> Vec<TensorIr> {
    let alive = graph.alive().map(|(id, index)| (id, graph.node(index)));
    let gradients =
        alive.filter(|(_, node)| node.phase == Phase::Backward && node.is_new && node.dtype.is_float());
    let tensor = |(id, node): (_, &crate::graph::Node)| TensorIr {
        id,
        shape: node.shape.clone(),
        status: TensorStatus::ReadOnly,
        dtype: node.dtype,
    };
    gradients.map(tensor).collect()
}

/// What the backward pass starts from, times a factor.
pub fn start(made: &FlexTensor, factor: f64, facts: &Facts<'_>) -> Option<FlexTensor> {
    let is_start = facts.phase == Phase::Backward && facts.rule.is_none() && facts.call.name == "ones";
    is_start.then(|| element::mapped(made, |x| x * factor))
}
