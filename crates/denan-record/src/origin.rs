//! From elements of a tensor back to the elements of the data that they were made of.
//!
//! Each operation says by its [`Geometry`] how its output's elements relate to its inputs'. Elements are followed
//! singly as long as that is possible, and as whole rows of the batch from an operation on that mixes them.
//! What an adapter knows of a step comes in as [`Ways`], so that the rule is one for all engines.

use std::collections::{BTreeSet, HashMap, VecDeque};

/// The tensors of a step, by number, and how each was made of others.
pub trait Ways {
    /// One of them.
    fn way(&self, at: u32) -> Way<'_>;

    /// The integers of the index tensor of a select or gather, in row-major order, if they are known.
    fn indices(&self, at: u32) -> Option<Vec<i64>>;

    /// What was made of a tensor, in the order in which it was made.
    fn readers(&self, at: u32) -> Vec<u32>;
}

/// How a tensor was made.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// Sizes of the dimensions.
    pub shape: &'a [usize],
    /// Numbers of the tensors it was made of.
    pub inputs: &'a [u32],
    /// How its elements relate to theirs.
    pub geometry: &'a Geometry,
    /// Handed to the engine by the program.
    pub is_data: bool,
    /// Data of this step's batch; what has been there for longer is no sample.
    pub is_sample: bool,
}

/// Elements that are followed at once; more are followed as whole rows.
const MOST_ELEMENTS: usize = 4096;
/// Origins that are reported.
const MOST_ORIGINS: usize = 16;

/// Which input elements an output element was made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Geometry {
    /// Made of nothing.
    Created,
    /// The element at the same place of each input, after broadcasting.
    Elementwise,
    /// The element at the same row-major position.
    Reshape,
    /// Dimension `i` of the output is dimension `axes[i]` of the input.
    Permute(Vec<usize>),
    /// Output place `p` is input place `start + p * step`, per dimension.
    Slice(Vec<(isize, isize)>),
    /// One index along a dimension, which is gone from the output.
    Pick(usize, usize),
    /// Inputs one behind the other along a dimension.
    Cat(usize),
    /// Inputs one behind the other along a dimension that they do not have.
    Stack(usize),
    /// Reversed along these dimensions.
    Flip(Vec<usize>),
    /// Input slices named by an index tensor along a dimension.
    Select(usize),
    /// Input elements named by an index tensor of the output's shape, along a dimension.
    Gather(usize),
    /// Input elements named by their row-major positions.
    Picked,
    /// All elements along these dimensions.
    Reduce(Vec<usize>),
    /// Everything in the same row (first dimension) of the first input.
    Rows,
    /// Everything.
    Whole,
}

impl Geometry {
    /// Whether the output holds the very values of the input, so that its figures need no second look.
    pub fn is_same_values(&self) -> bool {
        matches!(self, Self::Reshape | Self::Permute(_) | Self::Flip(_))
    }
}

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
    pub node: u32,
    /// The elements.
    pub elements: Elements,
}

/// The data elements that these elements of a tensor were made of.
///
/// Only samples count, see [`Way::is_sample`].
pub fn data_behind(tensors: &impl Ways, node: u32, elements: Elements) -> Vec<DataElements> {
    let mut found: Vec<DataElements> = Vec::new();
    let mut queue = VecDeque::from([(node, elements)]);
    let mut seen = HashMap::<u32, u32>::new();
    while let Some((at, elements)) = queue.pop_front() {
        // A tensor read on many ways is followed on a few of them; the rest say the same.
        let visits = seen.entry(at).or_default();
        *visits += 1;
        if *visits > 4 {
            continue;
        }
        let current = tensors.way(at);
        if current.is_data {
            if current.is_sample {
                if let Some(data) = found.iter_mut().find(|data| data.node == at) {
                    merge(&mut data.elements, elements);
                } else if found.len() < MOST_ORIGINS {
                    found.push(DataElements { node: at, elements });
                }
            }
            continue;
        }
        for (number, &input) in current.inputs.iter().enumerate() {
            if let Some(elements) = elements_of_input(tensors, at, number, input, &elements) {
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
    tensors: &impl Ways,
    at: u32,
    number: usize,
    input: u32,
    elements: &Elements,
) -> Option<Elements> {
    let node = tensors.way(at);
    let source = tensors.way(input);
    match elements {
        Elements::At(positions) => {
            let mut found = BTreeSet::new();
            for &position in positions {
                let place = unravel(position, node.shape);
                if !place_in_input(tensors, at, number, input, &place, &mut found) {
                    return rows_of_input(tensors, at, number, input, &rows_of(positions, node.shape)?);
                }
                if found.len() > MOST_ELEMENTS {
                    return rows_of(&found, source.shape).map(Elements::Rows);
                }
            }
            (!found.is_empty()).then_some(Elements::At(found))
        }
        Elements::Rows(rows) => rows_of_input(tensors, at, number, input, rows),
    }
}

/// Adds the input elements that one output element was made of. `false` if they cannot be told singly.
fn place_in_input(
    tensors: &impl Ways,
    at: u32,
    number: usize,
    input: u32,
    place: &[usize],
    found: &mut BTreeSet<usize>,
) -> bool {
    let node = tensors.way(at);
    let shape = &tensors.way(input).shape;
    let mut single = |place: &[usize]| {
        if let Some(position) = ravel(place, shape) {
            found.insert(position);
        }
    };
    match node.geometry {
        Geometry::Created => {}
        Geometry::Elementwise => single(&broadcast(place, shape)),
        Geometry::Reshape => {
            if let Some(position) = ravel(place, node.shape) {
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
                node.inputs[..number].iter().map(|&other| tensors.way(other).shape[*dim]).sum();
            let size = shape[*dim];
            if (before..before + size).contains(&place[*dim]) {
                let mut inner = place.to_vec();
                inner[*dim] -= before;
                single(&inner);
            }
        }
        Geometry::Pick(dim, index) => {
            let mut inner = place.to_vec();
            inner.insert(*dim, *index);
            single(&inner);
        }
        Geometry::Stack(dim) => {
            if place[*dim] == number {
                let mut inner = place.to_vec();
                inner.remove(*dim);
                single(&inner);
            }
        }
        Geometry::Picked => {
            let Some(positions) = tensors.indices(at).filter(|_| number == 0) else { return number > 0 };
            let Some(&picked) = ravel(place, node.shape).and_then(|position| positions.get(position)) else {
                return false;
            };
            found.insert(picked.max(0) as usize);
        }
        Geometry::Flip(axes) => {
            let mut inner = place.to_vec();
            for &axis in axes {
                inner[axis] = shape[axis] - 1 - inner[axis];
            }
            single(&inner);
        }
        Geometry::Select(dim) | Geometry::Gather(dim) => {
            let Some(integers) = tensors.indices(at) else { return false };
            let index = match node.geometry {
                Geometry::Select(..) => integers.get(place[*dim]),
                _ => ravel(place, node.shape).and_then(|position| integers.get(position)),
            };
            let Some(&index) = index else { return false };
            let mut inner = place.to_vec();
            inner[*dim] = index.max(0) as usize;
            single(&inner);
        }
        Geometry::Reduce(dims) => {
            let count: usize = dims.iter().map(|&dim| shape[dim]).product();
            let mut place = place.to_vec();
            if place.len() + dims.len() == shape.len() {
                // The dimensions are gone from the output.
                let mut gone = dims.clone();
                gone.sort_unstable();
                gone.iter().for_each(|&dim| place.insert(dim, 0));
            }
            if count > MOST_ELEMENTS || place.len() != shape.len() {
                return false;
            }
            for number in 0..count {
                let mut inner = place.to_vec();
                let mut rest = number;
                for &dim in dims {
                    inner[dim] = rest % shape[dim];
                    rest /= shape[dim];
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
pub fn places_in_view(tensors: &impl Ways, view: u32, source: u32) -> Option<Vec<usize>> {
    let shape = &tensors.way(view).shape;
    let mut found = BTreeSet::new();
    let position = |position| {
        found.clear();
        place_in_input(tensors, view, 0, source, &unravel(position, shape), &mut found).then_some(())?;
        found.first().copied()
    };
    (0..shape.iter().product::<usize>()).map(position).collect()
}

/// Rows of an input that whole rows of the output were made of.
fn rows_of_input(
    tensors: &impl Ways,
    at: u32,
    number: usize,
    input: u32,
    rows: &BTreeSet<usize>,
) -> Option<Elements> {
    let node = tensors.way(at);
    let (out, inner) = (*node.shape.first()?, *tensors.way(input).shape.first()?);
    let same = |rows: &BTreeSet<usize>| Some(Elements::Rows(rows.clone()));
    match node.geometry {
        Geometry::Elementwise if out == inner && node.shape.len() == tensors.way(input).shape.len() => {
            same(rows)
        }
        Geometry::Rows if number == 0 && out == inner => same(rows),
        Geometry::Reduce(dims) if !dims.contains(&0) && out == inner => same(rows),
        Geometry::Permute(axes) if axes.first() == Some(&0) => same(rows),
        Geometry::Flip(axes) if !axes.contains(&0) => same(rows),
        Geometry::Cat(dim) | Geometry::Gather(dim) | Geometry::Select(dim) if *dim != 0 && out == inner => {
            same(rows)
        }
        Geometry::Slice(ranges) => {
            let (start, step) = *ranges.first()?;
            Some(Elements::Rows(
                rows.iter().map(|&row| (start + row as isize * step).max(0) as usize).collect(),
            ))
        }
        Geometry::Pick(dim, _) if *dim != 0 && out == inner => same(rows),
        Geometry::Stack(0) => rows.contains(&number).then(|| Elements::Rows((0..inner).collect())),
        Geometry::Select(0) if number == 0 => {
            let indices = tensors.indices(at)?;
            let chosen = rows.iter().filter_map(|&row| indices.get(row));
            Some(Elements::Rows(chosen.map(|&row| row.max(0) as usize).collect()))
        }
        Geometry::Reshape if out == inner => same(rows),
        Geometry::Reshape if inner > 0 && out % inner == 0 => {
            Some(Elements::Rows(rows.iter().map(|row| row / (out / inner)).collect()))
        }
        _ => None,
    }
}

fn rows_of(positions: &BTreeSet<usize>, shape: &[usize]) -> Option<BTreeSet<usize>> {
    let row_length: usize = shape.iter().skip(1).product();
    (!shape.is_empty() && row_length > 0).then(|| positions.iter().map(|at| at / row_length).collect())
}

/// Row-major position → place.
pub fn unravel(position: usize, shape: &[usize]) -> Vec<usize> {
    let mut place = vec![0; shape.len()];
    let mut rest = position;
    for (at, &size) in place.iter_mut().zip(shape).rev() {
        *at = rest % size.max(1);
        rest /= size.max(1);
    }
    place
}

/// Place → row-major position; `None` outside of the shape.
fn ravel(place: &[usize], shape: &[usize]) -> Option<usize> {
    if place.len() != shape.len() {
        return None;
    }
    let mut position = 0;
    for (&at, &size) in place.iter().zip(shape) {
        if at >= size {
            return None;
        }
        position = position * size + at;
    }
    Some(position)
}

/// The place in an input that was broadcast: trailing dimensions align, dimensions of size 1 repeat.
fn broadcast(place: &[usize], shape: &[usize]) -> Vec<usize> {
    let skipped = place.len().saturating_sub(shape.len());
    place[skipped..].iter().zip(shape).map(|(&at, &size)| if size == 1 { 0 } else { at }).collect()
}

/// The row of the batch that an element of a data tensor ends up in: data is often handed over flat, or
/// sample by sample, and only then put into the shape of a batch.
pub fn batch_row(tensors: &impl Ways, data: u32, position: usize, batch_length: usize) -> Option<usize> {
    let (mut at, mut position) = (data, position);
    for _ in 0..6 {
        let shape = tensors.way(at).shape;
        let count: usize = shape.iter().product();
        if shape.first() == Some(&batch_length) && batch_length > 0 {
            return Some(position / (count / batch_length).max(1));
        }
        (at, position) =
            tensors.readers(at).into_iter().find_map(|reader| match tensors.way(reader).geometry {
                Geometry::Reshape => Some((reader, position)),
                Geometry::Cat(0) => {
                    let before = tensors.way(reader).inputs.iter().take_while(|&&input| input != at);
                    let elements = |&input: &u32| tensors.way(input).shape.iter().product::<usize>();
                    Some((reader, position + before.map(elements).sum::<usize>()))
                }
                Geometry::Stack(0) => {
                    let number = tensors.way(reader).inputs.iter().position(|&input| input == at)?;
                    Some((reader, position + number * count))
                }
                _ => None,
            })?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps built by hand: every node is a tensor of its own.
    #[derive(Default)]
    struct Builder {
        nodes: Vec<Made>,
    }

    struct Made {
        shape: Vec<usize>,
        geometry: Geometry,
        inputs: Vec<u32>,
        is_data: bool,
        is_sample: bool,
    }

    impl Ways for Builder {
        fn way(&self, at: u32) -> Way<'_> {
            let Made { shape, geometry, inputs, is_data, is_sample } = &self.nodes[at as usize];
            Way { shape, inputs, geometry, is_data: *is_data, is_sample: *is_sample }
        }

        fn indices(&self, _: u32) -> Option<Vec<i64>> {
            Some(vec![2, 0])
        }

        fn readers(&self, at: u32) -> Vec<u32> {
            (0..)
                .zip(&self.nodes)
                .filter(|(_, node)| node.inputs.contains(&at))
                .map(|(index, _)| index)
                .collect()
        }
    }

    impl Builder {
        fn new() -> Self {
            Self::default()
        }

        fn add(&mut self, name: &str, shape: &[usize], geometry: Geometry, inputs: &[u32]) -> u32 {
            let is_data = name == "input";
            self.nodes.push(Made {
                shape: shape.to_vec(),
                geometry,
                inputs: inputs.to_vec(),
                is_data,
                is_sample: is_data,
            });
            self.nodes.len() as u32 - 1
        }
    }

    fn behind(build: &Builder, at: u32, positions: &[usize]) -> Vec<(u32, Elements)> {
        let elements = Elements::At(positions.iter().copied().collect());
        data_behind(build, at, elements).into_iter().map(|data| (data.node, data.elements)).collect()
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
        assert_eq!(batch_row(&build, flat, 7, 4), Some(2));
        let samples: Vec<u32> = (0..4).map(|_| build.add("input", &[3], Geometry::Created, &[])).collect();
        let rows: Vec<u32> =
            samples.iter().map(|&one| build.add("reshape", &[1, 3], Geometry::Reshape, &[one])).collect();
        build.add("cat", &[4, 3], Geometry::Cat(0), &rows);
        assert_eq!(batch_row(&build, samples[2], 1, 4), Some(2));
        let alone = build.add("input", &[5], Geometry::Created, &[]);
        assert_eq!(batch_row(&build, alone, 1, 4), None);
    }

    #[test]
    fn rows_that_were_selected_are_found_again() {
        let mut build = Builder::new();
        let data = build.add("input", &[3, 2], Geometry::Created, &[]);
        let order = build.add("randperm", &[2], Geometry::Created, &[]);
        let batch = build.add("select", &[2, 2], Geometry::Select(0), &[data, order]);
        // Row 0 of the batch is row 2 of the data.
        assert_eq!(behind(&build, batch, &[1])[0], (data, at(&[5])));
    }

    #[test]
    fn samples_that_were_stacked_are_told_apart() {
        let mut build = Builder::new();
        let samples: Vec<u32> = (0..3).map(|_| build.add("input", &[2], Geometry::Created, &[])).collect();
        let batch = build.add("stack", &[3, 2], Geometry::Stack(0), &samples);
        let second = build.add("slice", &[3], Geometry::Pick(1, 1), &[batch]);
        // Row 2 of the second column.
        assert_eq!(behind(&build, second, &[2]), [(samples[2], at(&[1]))]);
        assert_eq!(batch_row(&build, samples[2], 1, 3), Some(2));
    }

    #[test]
    fn a_reduction_that_drops_its_dimension_leads_to_all_it_added_up() {
        let mut build = Builder::new();
        let data = build.add("input", &[2, 3], Geometry::Created, &[]);
        let sum = build.add("sum", &[2], Geometry::Reduce(vec![1]), &[data]);
        assert_eq!(behind(&build, sum, &[1]), [(data, at(&[3, 4, 5]))]);
    }

    #[test]
    fn old_data_is_no_sample() {
        let mut build = Builder::new();
        let anchors = build.add("input", &[2], Geometry::Created, &[]);
        build.nodes[anchors as usize].is_sample = false;
        let log = build.add("log", &[2], Geometry::Elementwise, &[anchors]);
        assert_eq!(behind(&build, log, &[0]), []);
    }
}
