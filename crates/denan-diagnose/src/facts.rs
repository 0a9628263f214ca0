//! What a cure has to know of a run besides its causes: which parameters, which calls, which numbers.

use crate::Context;
use crate::causes::bad_anchors;
use crate::causes::bad_initialization::misfit_slots;
use crate::causes::sum_reduction;
use crate::causes::unfrozen_backbone;
use crate::evidence::Evidence;
use crate::evidence::view::View;
use denan_record::model::{Node, Parameter, Phase, Place, Role, Run};

/// A layer with weights, as its call is on the record.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerCall {
    /// Plain name of the operation: `linear`, `conv2d`.
    pub op: String,
    /// The user's line.
    pub place: Option<Place>,
    /// Slot of its weight.
    pub slot: Option<u32>,
    /// Largest magnitude of what it made over that of what it read.
    pub growth: f64,
    /// Whether what it made went through a rectifier next, rather than `tanh` or another function.
    pub is_rectified: bool,
}

/// A table of anchor boxes and the targets it should fit.
#[derive(Clone, Debug, PartialEq)]
pub struct AnchorTable {
    /// Where it entered the engine.
    pub place: Place,
    /// Its elements in row-major order, widths and heights or corners.
    pub values: Vec<f64>,
    /// Elements of one anchor: 2 or 4.
    pub width: usize,
    /// Widths and heights of the targets of the batch that are on the record.
    pub targets: Vec<[f64; 2]>,
}

/// The layers with weights of the first step, in the order in which they were called.
pub fn layers(run: &Run) -> Vec<LayerCall> {
    let Some(graph) = run.graphs.first() else { return Vec::new() };
    let view = View::of(graph);
    let call = |layer: crate::evidence::view::Layer| {
        let next = view.descendants(layer.output, 4);
        let is_rectified = next.iter().any(|&at| view.node(at).op.contains("relu"));
        LayerCall {
            op: view.node(layer.output).op.clone(),
            place: view.place(layer.output).cloned(),
            slot: layer.slot,
            growth: layer.output_max / layer.input_max.max(f64::MIN_POSITIVE),
            is_rectified,
        }
    };
    view.layers().into_iter().map(call).collect()
}

/// Parameters of the layers whose first weights do not fit, by slot.
pub fn misfits(run: &Run) -> Vec<u32> {
    Evidence::of(run, &Context::default()).map(|evidence| misfit_slots(&evidence)).unwrap_or_default()
}

/// Weights and biases of BatchNorm layers, by slot.
pub fn batch_norm_parameters(run: &Run) -> Vec<u32> {
    let mut slots = Vec::new();
    for graph in &run.graphs {
        let view = View::of(graph);
        for (_, node) in view.forward().filter(|(index, _)| view.is_normalisation(*index)) {
            let own = node.inputs.iter().filter_map(|&input| view.node(view.parameter(input)?).slot);
            slots.extend(own);
        }
    }
    slots.sort_unstable();
    slots.dedup();
    slots
}

/// Parameters that had their first update in the step in which a part was released, by slot.
pub fn released(run: &Run) -> Vec<u32> {
    Evidence::of(run, &Context::default())
        .and_then(|evidence| {
            Some(unfrozen_backbone::released(&evidence, unfrozen_backbone::released_at(&evidence)?))
        })
        .unwrap_or_default()
}

/// Lines of the first step that add what a branch has made to what it was made of, each once.
pub fn residual_sums(run: &Run) -> Vec<Place> {
    let Some(graph) = run.graphs.first() else { return Vec::new() };
    let made = |&at: &u32| graph.nodes.get(at as usize).filter(|node| node.role == Role::Activation);
    let is_residual = |node: &&Node| {
        let of_shape = |at: &u32| made(at).is_some_and(|input| input.shape == node.shape);
        let is_sum = node.op == "add" && node.phase == Phase::Forward && node.shape.len() > 1;
        is_sum && node.inputs.len() == 2 && node.inputs.iter().all(of_shape)
    };
    let mut places: Vec<Place> = Vec::new();
    for node in graph.nodes.iter().filter(is_residual) {
        let place = node.place.and_then(|at| graph.places.get(at as usize));
        places.extend(place.filter(|place| !places.contains(place)).cloned());
    }
    places
}

/// Rows of the tensors that the program takes its batches out of, where it holds the data set in memory.
pub fn rows_in_memory(run: &Run) -> Option<u64> {
    let graph = run.graphs.last()?;
    let is_data = |node: &&Node| node.role == Role::Data && node.inputs.is_empty() && node.shape.len() > 1;
    let read_by = |name: &str| {
        let first = |node: &Node| node.inputs.first().and_then(|&at| graph.nodes.get(at as usize));
        let readers = graph.nodes.iter().filter(|node| node.op == name && node.phase == Phase::Forward);
        readers.filter_map(first).find(is_data).map(|node| node.shape[0])
    };
    // An index names rows; a part in one piece may be of anything.
    read_by("select").or_else(|| read_by("slice"))
}

/// Elements that the loss adds up instead of averaging, and the line of the sum, if it is one sum alone. Where each
/// sample is a sum, elements of the largest.
pub fn summed_loss(run: &Run) -> Option<(u64, Option<Place>)> {
    let views = || run.graphs.iter().map(View::of);
    let whole = views().find_map(|view| {
        let sum = sum_reduction::summed_loss(&view)?;
        Some((sum.elements, view.place(sum.at).filter(|_| sum.terms == 1).cloned()))
    });
    let per_sample = || {
        let sums = views().filter_map(|view| {
            let (sum, elements) = sum_reduction::sum_per_sample(&view)?;
            Some((elements, view.place(sum).cloned()))
        });
        sums.max_by_key(|(elements, _)| *elements)
    };
    whole.or_else(per_sample)
}

/// The table of anchors that fits none of the targets.
pub fn anchors(run: &Run) -> Option<AnchorTable> {
    bad_anchors::table(&Evidence::of(run, &Context::default())?)
}

/// Inputs of one unit of a layer with this weight, and outputs; channels times kernel of a convolution `[out, in, …]`.
///
/// A matrix is `[in, out]`, or `[out, in]` where its layer turns it round (PyTorch's `Linear`): what the layer read in
/// the first step says which.
pub fn fans(run: &Run, parameter: &Parameter) -> Option<(u64, u64)> {
    match parameter.shape[..] {
        [rows, columns] if width_read(run, parameter.slot) == Some(columns) => Some((columns, rows)),
        [rows, columns] => Some((rows, columns)),
        [out, channels, ref kernel @ ..] if !kernel.is_empty() => {
            let kernel: u64 = kernel.iter().product();
            Some((channels * kernel, out * kernel))
        }
        _ => None,
    }
}

/// Length of the vectors that the layer with this weight read.
fn width_read(run: &Run, slot: u32) -> Option<u64> {
    let view = View::of(run.graphs.first()?);
    let layer = view.layers().into_iter().find(|layer| layer.slot == Some(slot))?;
    view.node(layer.input).shape.last().copied()
}
