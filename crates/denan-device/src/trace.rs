//! From the operation that made a bad value on to the data behind it.
//!
//! How that operation is found stands in [`denan_record::producer`].

use crate::describe::Geometry;
use crate::graph::{Graph, NodeIndex};
use burn_backend::Shape;
use denan_record::model::{Phase, Role};
use std::collections::{BTreeSet, HashMap, VecDeque};

/// Elements that are followed at once; more are followed as whole rows.
const MOST_ELEMENTS: usize = 4096;
/// Origins that are reported.
const MOST_ORIGINS: usize = 16;

/// Elements of one tensor, by row-major position, or whole rows of its first dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Elements {
    /// Single elements.
    At(BTreeSet<usize>),
    /// Whole rows.
    Rows(BTreeSet<usize>),
}

/// A data tensor that bad elements were made of, and which of its elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataElements {
    /// The tensor.
    pub node: NodeIndex,
    /// The elements.
    pub elements: Elements,
}

/// The data elements that these elements of a tensor were made of.
///
/// Only data made in the current step counts: what has been there for longer is no sample.
pub fn data_behind(graph: &Graph, node: NodeIndex, elements: Elements) -> Vec<DataElements> {
    let mut found: Vec<DataElements> = Vec::new();
    let mut queue = VecDeque::from([(node, elements)]);
    let mut seen = HashMap::<NodeIndex, u32>::new();
    while let Some((at, elements)) = queue.pop_front() {
        // A tensor read on many ways is followed on a few of them; the rest say the same.
        let visits = seen.entry(at).or_default();
        *visits += 1;
        if *visits > 4 {
            continue;
        }
        let current = graph.node(at);
        if current.role == Role::Data {
            if current.is_new || current.batch.is_some() {
                if let Some(data) = found.iter_mut().find(|data| data.node == at) {
                    merge(&mut data.elements, elements);
                } else if found.len() < MOST_ORIGINS {
                    found.push(DataElements { node: at, elements });
                }
            }
            continue;
        }
        for (number, &input) in current.inputs.iter().enumerate() {
            if let Some(elements) = elements_of_input(graph, at, number, input, &elements) {
                queue.push_back((input, elements));
            }
        }
    }
    found
}

fn merge(into: &mut Elements, other: Elements) {
    match (into, other) {
        (Elements::At(into), Elements::At(other)) | (Elements::Rows(into), Elements::Rows(other)) => {
            into.extend(other)
        }
        // Single elements say more than the rows they lie in.
        (into @ Elements::Rows(_), other @ Elements::At(_)) => *into = other,
        (Elements::At(_), Elements::Rows(_)) => {}
    }
}

fn elements_of_input(
    graph: &Graph,
    at: NodeIndex,
    number: usize,
    input: NodeIndex,
    elements: &Elements,
) -> Option<Elements> {
    let node = graph.node(at);
    let source = graph.node(input);
    match elements {
        Elements::At(positions) => {
            let mut found = BTreeSet::new();
            for &position in positions {
                let place = unravel(position, &node.shape);
                if !place_in_input(graph, at, number, input, &place, &mut found) {
                    return rows_of_input(graph, at, number, input, &rows_of(positions, &node.shape)?);
                }
                if found.len() > MOST_ELEMENTS {
                    return rows_of(&found, &source.shape).map(Elements::Rows);
                }
            }
            (!found.is_empty()).then_some(Elements::At(found))
        }
        Elements::Rows(rows) => rows_of_input(graph, at, number, input, rows),
    }
}

/// Adds the input elements that one output element was made of. `false` if they cannot be told singly.
fn place_in_input(
    graph: &Graph,
    at: NodeIndex,
    number: usize,
    input: NodeIndex,
    place: &[usize],
    found: &mut BTreeSet<usize>,
) -> bool {
    let node = graph.node(at);
    let shape = &graph.node(input).shape;
    let mut single = |place: &[usize]| {
        if let Some(position) = ravel(place, shape) {
            found.insert(position);
        }
    };
    match &node.geometry {
        Geometry::Created => {}
        Geometry::Elementwise => single(&broadcast(place, shape)),
        Geometry::Reshape => {
            if let Some(position) = ravel(place, &node.shape) {
                found.insert(position);
            }
        }
        Geometry::Permute(axes) => {
            let mut inner = vec![0; place.len()];
            for (&axis, &p) in axes.iter().zip(place) {
                inner[axis] = p;
            }
            single(&inner);
        }
        Geometry::Slice(ranges) => {
            let inner: Vec<usize> = ranges
                .iter()
                .zip(place)
                .map(|(&(start, step), &p)| (start + p as isize * step).max(0) as usize)
                .collect();
            single(&inner);
        }
        Geometry::Cat(dim) => {
            let before: usize =
                node.inputs[..number].iter().map(|&other| graph.node(other).shape.as_slice()[*dim]).sum();
            let size = shape.as_slice()[*dim];
            if (before..before + size).contains(&place[*dim]) {
                let mut inner = place.to_vec();
                inner[*dim] -= before;
                single(&inner);
            }
        }
        Geometry::Flip(axes) => {
            let mut inner = place.to_vec();
            for &axis in axes {
                inner[axis] = shape.as_slice()[axis] - 1 - inner[axis];
            }
            single(&inner);
        }
        Geometry::Select(dim, _) | Geometry::Gather(dim, _) => {
            let Some(indices) = &node.indices else { return false };
            let integers = crate::element::integers(indices);
            let index = match node.geometry {
                Geometry::Select(..) => integers.get(place[*dim]),
                _ => ravel(place, &node.shape).and_then(|position| integers.get(position)),
            };
            let Some(&index) = index else { return false };
            let mut inner = place.to_vec();
            inner[*dim] = index.max(0) as usize;
            single(&inner);
        }
        Geometry::Reduce(dims) => {
            let count: usize = dims.iter().map(|&dim| shape.as_slice()[dim]).product();
            if count > MOST_ELEMENTS || place.len() != shape.num_dims() {
                return false;
            }
            for number in 0..count {
                let mut inner = place.to_vec();
                let mut rest = number;
                for &dim in dims {
                    inner[dim] = rest % shape.as_slice()[dim];
                    rest /= shape.as_slice()[dim];
                }
                single(&inner);
            }
        }
        Geometry::Rows | Geometry::Whole => return false,
    }
    true
}

/// For each element of a view, in row-major order, its position in what it is a view of; `None` if that
/// cannot be told.
pub fn places_in_view(graph: &Graph, view: NodeIndex, source: NodeIndex) -> Option<Vec<usize>> {
    let shape = &graph.node(view).shape;
    let mut found = BTreeSet::new();
    let position = |position| {
        found.clear();
        place_in_input(graph, view, 0, source, &unravel(position, shape), &mut found).then_some(())?;
        found.first().copied()
    };
    (0..shape.num_elements()).map(position).collect()
}

/// Rows of an input that whole rows of the output were made of.
fn rows_of_input(
    graph: &Graph,
    at: NodeIndex,
    number: usize,
    input: NodeIndex,
    rows: &BTreeSet<usize>,
) -> Option<Elements> {
    let node = graph.node(at);
    let (out, inner) = (*node.shape.as_slice().first()?, *graph.node(input).shape.as_slice().first()?);
    let same = |rows: &BTreeSet<usize>| Some(Elements::Rows(rows.clone()));
    match &node.geometry {
        Geometry::Elementwise
            if out == inner && node.shape.num_dims() == graph.node(input).shape.num_dims() =>
        {
            same(rows)
        }
        Geometry::Rows if number == 0 && out == inner => same(rows),
        Geometry::Reduce(dims) if !dims.contains(&0) && out == inner => same(rows),
        Geometry::Permute(axes) if axes.first() == Some(&0) => same(rows),
        Geometry::Flip(axes) if !axes.contains(&0) => same(rows),
        Geometry::Cat(dim) | Geometry::Gather(dim, _) | Geometry::Select(dim, _)
            if *dim != 0 && out == inner =>
        {
            same(rows)
        }
        Geometry::Slice(ranges) => {
            let (start, step) = *ranges.first()?;
            Some(Elements::Rows(
                rows.iter().map(|&row| (start + row as isize * step).max(0) as usize).collect(),
            ))
        }
        Geometry::Reshape if out == inner => same(rows),
        Geometry::Reshape if inner > 0 && out % inner == 0 => {
            Some(Elements::Rows(rows.iter().map(|row| row / (out / inner)).collect()))
        }
        _ => None,
    }
}

fn rows_of(positions: &BTreeSet<usize>, shape: &Shape) -> Option<BTreeSet<usize>> {
    let row_length: usize = shape.as_slice().iter().skip(1).product();
    (shape.num_dims() > 0 && row_length > 0).then(|| positions.iter().map(|at| at / row_length).collect())
}

/// Row-major position → place.
pub fn unravel(position: usize, shape: &Shape) -> Vec<usize> {
    let mut place = vec![0; shape.num_dims()];
    let mut rest = position;
    for (at, &size) in place.iter_mut().zip(shape.as_slice()).rev() {
        *at = rest % size.max(1);
        rest /= size.max(1);
    }
    place
}

/// Place → row-major position; `None` outside of the shape.
fn ravel(place: &[usize], shape: &Shape) -> Option<usize> {
    if place.len() != shape.num_dims() {
        return None;
    }
    let mut position = 0;
    for (&at, &size) in place.iter().zip(shape.as_slice()) {
        if at >= size {
            return None;
        }
        position = position * size + at;
    }
    Some(position)
}

/// The place in an input that was broadcast: trailing dimensions align, dimensions of size 1 repeat.
fn broadcast(place: &[usize], shape: &Shape) -> Vec<usize> {
    let sizes = shape.as_slice();
    let skipped = place.len().saturating_sub(sizes.len());
    place[skipped..].iter().zip(sizes).map(|(&at, &size)| if size == 1 { 0 } else { at }).collect()
}

/// The row of the batch that an element of a data tensor ends up in: data is often handed over flat, or
/// sample by sample, and only then put into the shape of a batch.
pub fn batch_row(graph: &Graph, data: NodeIndex, position: usize, batch_length: usize) -> Option<usize> {
    let (mut at, mut position) = (data, position);
    for _ in 0..6 {
        let shape = graph.node(at).shape.as_slice();
        let count: usize = shape.iter().product();
        if shape.first() == Some(&batch_length) && batch_length > 0 {
            return Some(position / (count / batch_length).max(1));
        }
        (at, position) = graph.consumers(at).find_map(|consumer| match &graph.node(consumer).geometry {
            Geometry::Reshape => Some((consumer, position)),
            Geometry::Cat(0) => {
                let inputs = &graph.node(consumer).inputs;
                let before = inputs.iter().take_while(|&&input| input != at);
                let elements =
                    |&input: &NodeIndex| graph.node(input).shape.as_slice().iter().product::<usize>();
                Some((consumer, position + before.map(elements).sum::<usize>()))
            }
            _ => None,
        })?;
    }
    None
}

/// The forward operation that an operation of the backward pass computes the gradient of: the
/// one of the rule's name that shares a tensor with it, or the only one of that name.
pub fn forward_of(graph: &Graph, backward: NodeIndex, name: &str) -> Option<NodeIndex> {
    let candidates: Vec<NodeIndex> = graph
        .newest_first()
        .filter(|&at| {
            let node = graph.node(at);
            node.is_new && node.phase == Phase::Forward && node.name == name
        })
        .collect();
    // What the rule saved reaches the operation directly or through the rule's own intermediate results.
    let mut near = vec![backward];
    for _ in 0..6 {
        // Two calls may share an argument (an exponent): the one meant shares the most.
        let shared = |candidate: NodeIndex| {
            let inputs = near.iter().flat_map(|&at| &graph.node(at).inputs);
            let mut own: Vec<NodeIndex> = inputs
                .copied()
                .filter(|input| *input == candidate || graph.node(candidate).inputs.contains(input))
                .collect();
            own.sort_unstable();
            own.dedup();
            own.len()
        };
        // Of equals the newest, which the backward pass meets first.
        let related = candidates.iter().copied().rev().max_by_key(|&candidate| shared(candidate));
        if related.is_some_and(|candidate| shared(candidate) > 0) {
            return related;
        }
        near = near
            .iter()
            .flat_map(|&at| graph.node(at).inputs.iter().copied())
            .filter(|&input| {
                let node = graph.node(input);
                node.phase == Phase::Backward && node.site != 0 && node.is_new
            })
            .collect();
    }
    match candidates[..] {
        [only] => Some(only),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Node;
    use burn_backend::DType;
    use burn_ir::TensorId;
    use denan_numerics::Range;
    use denan_record::model::Birth;
    use denan_record::producer::{Path, producer};
    use smallvec::SmallVec;

    /// Builds graphs by hand: every node is a tensor of its own.
    struct Builder {
        graph: Graph,
        next: u64,
    }

    impl Builder {
        fn new() -> Self {
            Self { graph: Graph::default(), next: 0 }
        }

        fn add(
            &mut self,
            name: &'static str,
            shape: &[usize],
            geometry: Geometry,
            inputs: &[NodeIndex],
        ) -> NodeIndex {
            let role = match name {
                "input" => Role::Data,
                _ if inputs.is_empty() => Role::Constant,
                _ => Role::Activation,
            };
            let node = Node {
                sequence: self.next,
                name,
                scalar: None,
                geometry,
                site: 0,
                phase: Phase::Forward,
                shape: Shape::from(shape.to_vec()),
                dtype: DType::F32,
                range: Range { count: 4, ..Range::EMPTY },
                subnormals: None,
                summary: None,
                inputs: SmallVec::from_slice(inputs),
                role,
                slot: None,
                batch: None,
                is_new: true,
                of_data: false,
                of_gradient: false,
                used_forward: false,
                data: None,
                indices: None,
                bad_positions: Vec::new(),
                birth: Birth { thread: 0, operation: self.next },
                window: None,
            };
            self.next += 1;
            self.graph.insert(TensorId::new(self.next), node)
        }

        fn made(&mut self, name: &'static str, inputs: &[NodeIndex]) -> NodeIndex {
            self.add(name, &[4], Geometry::Elementwise, inputs)
        }

        fn nan(&mut self, at: NodeIndex) {
            self.graph.node_mut(at).range.nan = 1;
        }

        fn infinite(&mut self, at: NodeIndex) {
            self.graph.node_mut(at).range.neg_inf = 1;
        }
    }

    fn names(graph: &Graph, path: &Path) -> (&'static str, Vec<&'static str>) {
        (graph.node(path.producer).name, path.trail.iter().map(|&at| graph.node(at).name).collect())
    }

    #[test]
    fn the_producer_has_finite_inputs_and_the_trail_leads_to_the_loss() {
        let mut build = Builder::new();
        let data = build.made("input", &[]);
        let log = build.made("log", &[data]);
        let mul = build.made("mul", &[log, data]);
        let loss = build.made("mean", &[mul]);
        build.infinite(log);
        build.nan(mul);
        build.nan(loss);
        assert_eq!(names(&build.graph, &producer(&build.graph, loss)), ("log", vec!["mul", "mean"]));
    }

    #[test]
    fn the_first_of_two_producers_counts() {
        let mut build = Builder::new();
        let data = build.made("input", &[]);
        let early = build.made("div", &[data]);
        let late = build.made("log", &[data]);
        let loss = build.made("add", &[late, early]);
        for at in [early, late, loss] {
            build.nan(at);
        }
        assert_eq!(build.graph.node(producer(&build.graph, loss).producer).name, "div");
    }

    #[test]
    fn a_mask_of_infinities_is_no_producer() {
        let mut build = Builder::new();
        let scores = build.made("matmul", &[]);
        let masked = build.made("mask_fill", &[scores]);
        build.graph.node_mut(masked).scalar = Some(f64::NEG_INFINITY);
        build.infinite(masked);
        let softmax = build.made("softmax", &[masked]);
        build.nan(softmax);
        let loss = build.made("mean", &[softmax]);
        build.nan(loss);
        assert_eq!(names(&build.graph, &producer(&build.graph, loss)), ("softmax", vec!["mean"]));
        build.graph.node_mut(masked).scalar = Some(0.0);
        let path = producer(&build.graph, loss);
        assert_eq!(
            build.graph.node(path.producer).name,
            "mask_fill",
            "infinities nobody asked for are a fault"
        );
    }

    fn behind(build: &Builder, at: NodeIndex, positions: &[usize]) -> Vec<(NodeIndex, Elements)> {
        let elements = Elements::At(positions.iter().copied().collect());
        data_behind(&build.graph, at, elements).into_iter().map(|data| (data.node, data.elements)).collect()
    }

    fn at(positions: &[usize]) -> Elements {
        Elements::At(positions.iter().copied().collect())
    }

    #[test]
    fn elements_are_followed_through_views_and_broadcasts() {
        let mut build = Builder::new();
        // [2, 3, 4] boxes; the size is right minus left; divided by an anchor of shape [1, 2]; flattened.
        let boxes = build.add("input", &[2, 3, 4], Geometry::Created, &[]);
        let left = build.add("slice", &[2, 3, 2], Geometry::Slice(vec![(0, 1), (0, 1), (0, 1)]), &[boxes]);
        let right = build.add("slice", &[2, 3, 2], Geometry::Slice(vec![(0, 1), (0, 1), (2, 1)]), &[boxes]);
        let size = build.add("sub", &[2, 3, 2], Geometry::Elementwise, &[right, left]);
        let anchor = build.add("full", &[1, 1, 2], Geometry::Created, &[]);
        let ratio = build.add("div", &[2, 3, 2], Geometry::Elementwise, &[size, anchor]);
        let flat = build.add("reshape", &[12], Geometry::Reshape, &[ratio]);
        let turned = build.add("permute", &[2, 2, 3], Geometry::Permute(vec![0, 2, 1]), &[ratio]);
        // Element [1, 2, 1] of the ratio: flat position 11.
        let expected = vec![(boxes, at(&[12 + 8 + 1, 12 + 8 + 3]))];
        assert_eq!(behind(&build, flat, &[11]), expected);
        assert_eq!(behind(&build, turned, &[6 + 3 + 2]), expected);
    }

    #[test]
    fn elements_become_rows_where_an_operation_mixes_them() {
        let mut build = Builder::new();
        let data = build.add("input", &[4, 3], Geometry::Created, &[]);
        let weight = build.add("random", &[3, 2], Geometry::Created, &[]);
        let hidden = build.add("matmul", &[4, 2], Geometry::Rows, &[data, weight]);
        let exp = build.add("exp", &[4, 2], Geometry::Elementwise, &[hidden]);
        assert_eq!(behind(&build, exp, &[5]), [(data, Elements::Rows(BTreeSet::from([2])))]);
        let mean = build.add("mean", &[1], Geometry::Whole, &[exp]);
        assert_eq!(behind(&build, mean, &[0]), [], "all rows are none");
    }

    #[test]
    fn a_reduction_leads_to_all_it_added_up() {
        let mut build = Builder::new();
        let data = build.add("input", &[2, 3], Geometry::Created, &[]);
        let sum = build.add("sum", &[2, 1], Geometry::Reduce(vec![1]), &[data]);
        assert_eq!(behind(&build, sum, &[1]), [(data, at(&[3, 4, 5]))]);
    }

    #[test]
    fn the_row_is_found_however_a_batch_was_put_together() {
        let mut build = Builder::new();
        let flat = build.add("input", &[12], Geometry::Created, &[]);
        build.add("reshape", &[4, 3], Geometry::Reshape, &[flat]);
        assert_eq!(batch_row(&build.graph, flat, 7, 4), Some(2));
        let samples: Vec<NodeIndex> =
            (0..4).map(|_| build.add("input", &[3], Geometry::Created, &[])).collect();
        let rows: Vec<NodeIndex> =
            samples.iter().map(|&one| build.add("reshape", &[1, 3], Geometry::Reshape, &[one])).collect();
        build.add("cat", &[4, 3], Geometry::Cat(0), &rows);
        assert_eq!(batch_row(&build.graph, samples[2], 1, 4), Some(2));
        let alone = build.add("input", &[5], Geometry::Created, &[]);
        assert_eq!(batch_row(&build.graph, alone, 1, 4), None);
    }

    #[test]
    fn plus_infinity_in_the_data_is_a_fault() {
        let mut build = Builder::new();
        let data = build.made("input", &[]);
        build.graph.node_mut(data).range.pos_inf = 1;
        let conv = build.made("conv2d", &[data]);
        build.nan(conv);
        assert_eq!(build.graph.node(producer(&build.graph, conv).producer).name, "input");
    }

    #[test]
    fn old_data_is_no_sample() {
        let mut build = Builder::new();
        let anchors = build.add("input", &[2], Geometry::Created, &[]);
        build.graph.node_mut(anchors).is_new = false;
        let log = build.add("log", &[2], Geometry::Elementwise, &[anchors]);
        assert_eq!(behind(&build, log, &[0]), []);
    }

    #[test]
    fn the_forward_call_of_a_gradient_shares_what_it_saved() {
        let mut build = Builder::new();
        let (a, b) = (build.made("input", &[]), build.made("input", &[]));
        let first = build.made("log", &[a]);
        let second = build.made("log", &[b]);
        let recip = build.made("recip", &[a]);
        build.graph.node_mut(recip).phase = Phase::Backward;
        build.graph.node_mut(recip).site = 1;
        let product = build.made("mul", &[recip]);
        build.graph.node_mut(product).phase = Phase::Backward;
        assert_eq!(forward_of(&build.graph, recip, "log"), Some(first));
        assert_eq!(forward_of(&build.graph, product, "log"), Some(first));
        assert_ne!(first, second);
        assert_eq!(forward_of(&build.graph, recip, "sqrt"), None);
    }
}
