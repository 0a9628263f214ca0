//! The telling of a step's operations as a graph, for the record.

use super::{Watch, sizes, tensor_handle};
use crate::channel::Engine;
use crate::describe::plain_name;
use crate::element;
use crate::graph::{Node, NodeIndex};
use crate::sites::Part;
use burn_ir::{TensorId, TensorIr, TensorStatus};
use denan_record::event::Event;
use denan_record::model::{self, Phase, Place, Role, Rows, StepGraph};
use denan_record::origin::{self, Geometry};
use rustc_hash::FxHashMap;

/// Elements of one data tensor that are told.
const MOST_ELEMENTS: usize = 1 << 14;
/// Elements of all of them together.
const MOST_ELEMENTS_TOGETHER: usize = 1 << 17;

impl Watch {
    /// Tells the operations of the step that has just ended, if it is the first.
    pub(super) fn keep_first_step(&mut self) {
        if self.steps_done == 0 && self.first_break.is_none() {
            let graph = self.step_graph(self.graph.nodes(), 0, &[], None);
            self.teller.tell(Event::Graph(Box::new(graph)));
        }
    }

    /// Tells the operations of the breaking step so far, those of the step before, and all data.
    pub(super) fn keep_break(&mut self, engine: &mut Engine, producer: NodeIndex) {
        if self.steps_done > 1 && !self.graph.previous().is_empty() {
            let before = self.step_graph(self.graph.previous(), self.steps_done - 1, &[], None);
            self.teller.tell(Event::Graph(Box::new(before)));
        }
        let values = self.data_values(engine);
        let breaking = self.step_graph(self.graph.nodes(), self.steps_done, &values, Some(producer));
        self.teller.tell(Event::Graph(Box::new(breaking)));
        self.teller.tell(Event::Data(self.entering.seen()));
    }

    pub(super) fn step_graph(
        &self,
        nodes: &[Node],
        step: u64,
        values: &[Vec<f64>],
        producer: Option<NodeIndex>,
    ) -> StepGraph {
        let mut places: Vec<Place> = Vec::new();
        let mut known: FxHashMap<u32, u32> = FxHashMap::default();
        let mut told = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            let place = known.get(&node.site).copied().or_else(|| {
                let place = self.sites.get(node.site).place.clone()?;
                let number = places.iter().position(|known| *known == place).unwrap_or_else(|| {
                    places.push(place);
                    places.len() - 1
                }) as u32;
                known.insert(node.site, number);
                Some(number)
            });
            told.push(model::Node {
                op: node.name.to_owned(),
                call: self.call_around(node),
                phase: node.phase,
                scalar: node.scalar,
                window: node.window.as_deref().cloned(),
                place,
                inputs: node.inputs.to_vec(),
                shape: sizes(&node.shape),
                dtype: element::dtype_name(node.dtype).to_owned(),
                // Data that were put into shape in an earlier step are still data.
                role: if node.of_data && node.inputs.is_empty() { Role::Data } else { node.role },
                slot: node.slot,
                is_new: node.is_new,
                range: node.range,
                values: values.get(index).cloned().unwrap_or_default(),
                rows: if values.is_empty() { None } else { self.rows(index as NodeIndex) },
            });
        }
        StepGraph { step, nodes: told, places, producer, left_out: 0 }.shortened()
    }

    /// The call an operation was part of, if that has another name.
    fn call_around(&self, node: &Node) -> Option<String> {
        let site = self.sites.get(node.site);
        let call = match &site.part {
            Part::Backward { rule: Some(rule) } => plain_name(rule),
            Part::Forward { .. } => site.call.as_deref().map(plain_name)?,
            Part::Optimizer { name: Some(name) } => name,
            _ => return None,
        };
        (call != node.name).then(|| call.to_owned())
    }

    /// How the elements of a data tensor lie in the batch.
    fn rows(&self, index: NodeIndex) -> Option<Rows> {
        let node = self.graph.node(index);
        if !self.is_data_or_view(index) {
            return None;
        }
        let count = node.shape.num_elements();
        let batch = node.batch.and_then(|batch| self.batches.get(&batch)).map(Vec::len);
        let length = batch.unwrap_or_else(|| self.samples_of_step().count());
        let size = match length {
            0 => node.shape.as_slice().first().copied().filter(|_| node.shape.num_dims() > 0)?,
            length => length,
        };
        let first = origin::batch_row(&self.graph, index, 0, size)?;
        let last = origin::batch_row(&self.graph, index, count.checked_sub(1)?, size)?;
        let rows = (last - first + 1).max(1);
        Some(Rows { first: first as u64, length: (count / rows).max(1) as u64 })
    }

    /// The elements of the small data tensors of this step and of views of data, by node; empty for others.
    fn data_values(&self, engine: &mut Engine) -> Vec<Vec<f64>> {
        let ids: FxHashMap<NodeIndex, TensorId> = self.graph.alive().map(|(id, index)| (index, id)).collect();
        let mut room = MOST_ELEMENTS_TOGETHER;
        let count = self.graph.len();
        let mut values: Vec<Vec<f64>> = vec![Vec::new(); count];
        for index in 0..count as NodeIndex {
            let node = self.graph.node(index);
            let elements = node.shape.num_elements();
            if elements > MOST_ELEMENTS.min(room) || !self.is_data_or_view(index) {
                continue;
            }
            let tensor = node.data.clone().or_else(|| {
                let id = *ids.get(&index)?;
                let read = TensorIr {
                    id,
                    shape: node.shape.clone(),
                    status: TensorStatus::ReadOnly,
                    dtype: node.dtype,
                };
                tensor_handle(engine, &read)
            });
            values[index as usize] = match tensor {
                Some(tensor) => element::values(&tensor),
                None => self.values_of_view(index, &values),
            };
            room -= values[index as usize].len();
        }
        values
    }

    /// Whether a tensor holds nothing but elements of data.
    fn is_data_or_view(&self, index: NodeIndex) -> bool {
        let node = self.graph.node(index);
        match node.geometry {
            _ if node.phase != Phase::Forward => false,
            _ if node.of_data => true,
            _ if node.inputs.is_empty() => false,
            Geometry::Reshape
            | Geometry::Permute(_)
            | Geometry::Slice(_)
            | Geometry::Flip(_)
            | Geometry::Select(..) => self.is_data_or_view(node.inputs[0]),
            _ => false,
        }
    }

    /// The elements of a view that is gone, out of those of what it was a view of.
    fn values_of_view(&self, index: NodeIndex, known: &[Vec<f64>]) -> Vec<f64> {
        let node = self.graph.node(index);
        let Some(&input) = node.inputs.first() else { return Vec::new() };
        let source = self.graph.node(input);
        let owned;
        let from: &[f64] = match &known[input as usize] {
            values if !values.is_empty() => values,
            _ => match &source.data {
                Some(tensor) => {
                    owned = element::values(tensor);
                    &owned
                }
                None => return Vec::new(),
            },
        };
        let places = origin::places_in_view(&self.graph, index, input);
        places
            .map(|places| places.iter().filter_map(|&at| from.get(at).copied()).collect())
            .unwrap_or_default()
    }
}
