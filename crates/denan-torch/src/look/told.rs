//! What is told of a step that was looked at: its graph as the record keeps it, and what its tensors were made of.

use super::{Look, Node, sizes};
use denan_record::model::{self, Phase, Place, Role, Rows, Sample, StepGraph};
use denan_record::origin::{self, Geometry, Way, Ways};
use denan_record::producer;
use rustc_hash::FxHashSet;
use std::sync::Arc;

impl producer::Tensors for Look {
    fn tensor(&self, at: u32) -> producer::Tensor<'_> {
        let node = self.node(at);
        producer::Tensor {
            op: &node.name,
            scalar: node.scalar,
            inputs: &node.inputs,
            range: &node.range,
            role: node.role,
            is_new: node.is_new,
            sequence: at.into(),
        }
    }
}

impl Look {
    /// The step under way as the record keeps it.
    pub(crate) fn graph(&self, places: &[Place], producer: Option<u32>, batch: usize) -> StepGraph {
        graph(&self.nodes, self.step, places, producer, |at| self.rows(at, batch))
    }

    /// The step looked at before, as the record keeps it.
    pub(crate) fn previous_graph(&self, places: &[Place]) -> Option<StepGraph> {
        let (step, nodes) = self.previous.as_ref()?;
        Some(graph(nodes, *step, places, None, |_| None))
    }

    /// How the elements of a data tensor lie in the batch.
    fn rows(&self, at: u32, batch: usize) -> Option<Rows> {
        let node = self.node(at);
        if !node.of_data {
            return None;
        }
        let count: usize = node.shape.iter().product();
        let size = match batch {
            0 => node.shape.first().copied()?,
            size => size,
        };
        let first = origin::batch_row(self, at, 0, size)?;
        let last = origin::batch_row(self, at, count.checked_sub(1)?, size)?;
        let rows = (last - first + 1).max(1);
        Some(Rows { first: first as u64, length: (count / rows).max(1) as u64 })
    }

    /// The batches that a tensor was made of, by their samples, in the order in which they were read.
    pub(crate) fn batches_behind(&self, node: u32) -> Vec<Arc<[Sample]>> {
        let mut behind = FxHashSet::from_iter([node]);
        let mut queue = vec![node];
        while let Some(at) = queue.pop() {
            queue.extend(self.node(at).inputs.iter().filter(|&&input| behind.insert(input)));
        }
        let mut nodes: Vec<u32> = behind.into_iter().collect();
        nodes.sort_unstable();
        let mut batches: Vec<Arc<[Sample]>> = Vec::new();
        for samples in nodes.into_iter().filter_map(|at| self.node(at).samples.as_ref()) {
            if !batches.contains(samples) {
                batches.push(Arc::clone(samples));
            }
        }
        batches
    }
}

impl Ways for Look {
    fn way(&self, at: u32) -> Way<'_> {
        let node = self.node(at);
        let is_data = node.role == Role::Data && node.inputs.is_empty() && node.buffer.is_none();
        Way {
            shape: &node.shape,
            inputs: &node.inputs,
            geometry: &node.geometry,
            is_data,
            is_sample: is_data && (node.is_new || self.batch_of(at).is_some()),
        }
    }

    fn indices(&self, at: u32) -> Option<Vec<i64>> {
        self.node(at).indices.clone()
    }

    fn readers(&self, at: u32) -> Vec<u32> {
        (at + 1..self.nodes.len() as u32).filter(|&reader| self.node(reader).inputs.contains(&at)).collect()
    }
}

/// Rows of a data set in memory that the program took for its batch.
struct Taken {
    /// The tensor that they make up.
    batch: u32,
    rows: Vec<u64>,
    /// Whether an index named them.
    is_named: bool,
}

impl Look {
    /// The rows of a data set in memory that the program took for its batch: `x[order]`, `x[a:b]`.
    pub(crate) fn batch_of(&self, data: u32) -> Option<Vec<u64>> {
        self.taken_from(data).map(|taken| taken.rows)
    }

    /// The tensor of the rows that the program took of a data set for its batch.
    pub(crate) fn batch_taken_from(&self, data: u32) -> Option<u32> {
        self.taken_from(data).map(|taken| taken.batch)
    }

    /// The rows of whatever data set was taken from; rows that an index names rather than a part in one piece, which
    /// may be that of the index itself.
    pub(crate) fn taken(&self) -> Option<Vec<u64>> {
        let all: Vec<Taken> = (0..self.nodes.len() as u32).filter_map(|at| self.taken_from(at)).collect();
        let named = all.iter().find(|taken| taken.is_named);
        named.or(all.first()).map(|taken| taken.rows.clone())
    }

    /// Rows taken from a data tensor.
    fn taken_from(&self, data: u32) -> Option<Taken> {
        let node = self.node(data);
        let size = *node.shape.first()?;
        if node.role != Role::Data || !node.inputs.is_empty() || size < 2 {
            return None;
        }
        self.readers(data).into_iter().find_map(|reader| {
            let taken = self.node(reader);
            if taken.inputs.first() != Some(&data) || taken.phase != Phase::Forward {
                return None;
            }
            let length = *taken.shape.first()?;
            match &taken.geometry {
                Geometry::Select(0) => {
                    let rows = taken.indices.as_ref()?.iter().map(|&row| row.max(0) as u64);
                    Some(Taken { batch: reader, rows: rows.collect(), is_named: true })
                }
                Geometry::Slice(ranges) if taken.shape[1..] == node.shape[1..] && length < size => {
                    let is_index = |&reader: &u32| {
                        let node = self.node(reader);
                        node.inputs.first() != Some(&data) && &*node.name == "select"
                    };
                    if self.readers(reader).iter().any(is_index) {
                        return None;
                    }
                    let (start, step) = *ranges.first()?;
                    let rows = (0..length as isize).map(|at| (start + at * step).max(0) as u64);
                    Some(Taken { batch: reader, rows: rows.collect(), is_named: false })
                }
                _ => None,
            }
        })
    }
}

fn graph(
    nodes: &[Node],
    step: u64,
    places: &[Place],
    producer: Option<u32>,
    rows: impl Fn(u32) -> Option<Rows>,
) -> StepGraph {
    let mut used: Vec<u32> = nodes.iter().filter_map(|node| node.place).collect();
    used.sort_unstable();
    used.dedup();
    let number_of = |place: u32| used.binary_search(&place).ok().map(|at| at as u32);
    let told = (0..).zip(nodes).map(|(at, node)| model::Node {
        op: node.name.to_string(),
        call: node.call.as_ref().filter(|call| ***call != *node.name).map(ToString::to_string),
        phase: node.phase,
        scalar: node.scalar,
        window: node.window.clone(),
        place: node.place.and_then(number_of),
        inputs: node.inputs.clone(),
        shape: sizes(&node.shape),
        dtype: node.dtype.name().to_owned(),
        role: node.role,
        slot: node.slot,
        is_new: node.is_new,
        range: node.range,
        values: node.values.clone(),
        rows: if node.of_data { rows(at) } else { None },
    });
    let whole = StepGraph {
        step,
        nodes: told.collect(),
        places: used.iter().filter_map(|&at| places.get(at as usize).cloned()).collect(),
        producer,
        left_out: 0,
    };
    whole.shortened()
}
