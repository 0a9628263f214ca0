//! Carrying a taped step out again, operation by operation: the program behind `denan replay`.
//!
//! Nothing is watched here; the figures of every tensor are all that is told. Tensors keep their ids until
//! their last use on the tape, so that a change is seen by everything that reads the changed tensor later,
//! the gradient of the operation included.

use crate::channel::Engine;
use crate::element;
use burn_backend::TensorData;
use burn_ir::{HandleKind, NumericOperationIr, OperationIr, TensorId, TensorIr, TensorStatus};
use denan_numerics::Range;
use denan_record::tape::{Alteration, Change, Entry, Replayed, Task};
use real_flex::{FlexDevice, FlexTensor};
use rustc_hash::FxHashMap;
use std::io::{Read, Write};
use std::process::ExitCode;

/// Reads a [`Task`] from standard input and writes a [`Replayed`] to standard output, both in postcard.
pub fn main() -> ExitCode {
    let mut bytes = Vec::new();
    let task = std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())
        .and_then(|_| postcard::from_bytes(&bytes).map_err(|error| format!("this is no tape: {error}")));
    let replayed = task.and_then(|task| replay(&task));
    let told = replayed.and_then(|replayed| {
        let bytes = postcard::to_stdvec(&replayed).map_err(|error| error.to_string())?;
        std::io::stdout().lock().write_all(&bytes).map_err(|error| error.to_string())
    });
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Carries a tape out.
///
/// # Errors
/// The tape is of another version of the engine, or not whole.
pub fn replay(task: &Task) -> Result<Replayed, String> {
    let entries = task.tape.entries.iter().map(Decoded::of).collect::<Result<Vec<_>, _>>()?;
    let mut last_use: FxHashMap<TensorId, usize> = FxHashMap::default();
    for (at, entry) in entries.iter().enumerate() {
        for tensor in entry.tensors() {
            last_use.insert(tensor.id, at);
        }
    }
    let mut player =
        Player { engine: Engine::new(FlexDevice), told: Replayed::default(), numbers: FxHashMap::default() };
    for (at, (decoded, entry)) in entries.iter().zip(&task.tape.entries).enumerate() {
        let of_entry = |change: &&Change| entry_makes(entry, change.node);
        let changes: Vec<&Change> = task.changes.iter().filter(of_entry).collect();
        match decoded {
            Decoded::Given(tensor, elements) => player.give(tensor, elements, entry, &changes)?,
            Decoded::Operation(op) => player.carry_out(op, entry, &changes)?,
        }
        for tensor in decoded.tensors().filter(|tensor| last_use.get(&tensor.id) == Some(&at)) {
            player.forget(tensor);
        }
        if task.until.is_some_and(|last| entry_makes(entry, last)) {
            break;
        }
    }
    Ok(player.told)
}

fn entry_makes(entry: &Entry, node: u32) -> bool {
    match entry {
        Entry::Given { node: made, .. } => *made == Some(node),
        Entry::Operation { nodes, .. } => nodes.contains(&Some(node)),
    }
}

/// An entry in the engine's own types.
enum Decoded<'a> {
    Given(TensorIr, &'a [u8]),
    Operation(Box<OperationIr>),
}

impl<'a> Decoded<'a> {
    fn of(entry: &'a Entry) -> Result<Self, String> {
        let other_version =
            |error: postcard::Error| format!("the tape is of another version of burn: {error}");
        match entry {
            Entry::Given { tensor, elements, .. } => postcard::from_bytes(tensor)
                .map(|tensor| Self::Given(tensor, elements))
                .map_err(other_version),
            Entry::Operation { operation, .. } => {
                postcard::from_bytes(operation).map(Self::Operation).map_err(other_version)
            }
        }
    }

    fn tensors(&self) -> Box<dyn Iterator<Item = &TensorIr> + '_> {
        match self {
            Self::Given(tensor, _) => Box::new(std::iter::once(tensor)),
            Self::Operation(op) => Box::new(op.inputs().chain(op.outputs())),
        }
    }
}

struct Player {
    engine: Engine,
    told: Replayed,
    /// Numbers of the nodes of live tensors.
    numbers: FxHashMap<TensorId, u32>,
}

impl Player {
    fn give(
        &mut self,
        tensor: &TensorIr,
        elements: &[u8],
        entry: &Entry,
        changes: &[&Change],
    ) -> Result<(), String> {
        let data = TensorData::try_from_bytes_vec(elements.to_vec(), tensor.shape.clone(), tensor.dtype)
            .map_err(|error| format!("a tensor on the tape is not whole: {error}"))?;
        self.engine.register_tensor_data_id(tensor.id, data);
        if let Entry::Given { node, .. } = entry {
            self.made(tensor, *node);
        }
        for change in changes {
            self.alter(tensor, change);
        }
        Ok(())
    }

    fn carry_out(&mut self, op: &OperationIr, entry: &Entry, changes: &[&Change]) -> Result<(), String> {
        let Entry::Operation { nodes, .. } = entry else { return Ok(()) };
        if let Some(missing) = op.inputs().find(|tensor| !self.engine_has(tensor)) {
            return Err(format!("the tape lacks {} that an operation reads", missing.id));
        }
        for change in changes.iter().filter(|change| !matches!(change.how, Alteration::Value(_))) {
            match argument(op) {
                Some(argument) => self.alter(&argument, change),
                None => self.told.without_effect.push((*change).clone()),
            }
        }
        let mut op = op.clone();
        let inputs: Vec<TensorId> = op.inputs().map(|tensor| tensor.id).collect();
        op.mark_read_only(&inputs);
        let outputs: Vec<TensorIr> = op.outputs().cloned().collect();
        self.engine.register_op(op);
        self.told.operations += 1;
        for (tensor, node) in outputs.iter().zip(nodes) {
            self.made(tensor, *node);
        }
        if let Some(output) = outputs.first() {
            for change in changes.iter().filter(|change| matches!(change.how, Alteration::Value(_))) {
                self.alter(output, change);
            }
        }
        Ok(())
    }

    fn engine_has(&self, tensor: &TensorIr) -> bool {
        self.numbers.contains_key(&tensor.id)
    }

    /// Notes the figures of a tensor that has been made.
    fn made(&mut self, tensor: &TensorIr, node: Option<u32>) {
        // Tensors without a number (of what the program's threads do beside the training) are just kept.
        self.numbers.insert(tensor.id, node.unwrap_or(u32::MAX));
        if let Some(node) = node {
            let range = self.view(tensor).map_or(Range::EMPTY, |made| element::range(&made));
            self.told.figures.push((node, range));
        }
    }

    /// Changes a tensor for all that read it from now on.
    fn alter(&mut self, tensor: &TensorIr, change: &Change) {
        let Some(values) = self.view(tensor).filter(element::is_float) else {
            self.told.without_effect.push(change.clone());
            return;
        };
        let altered = element::mapped(&values, |x| altered(x, change.how));
        drop(values);
        let range = element::range(&altered);
        self.engine.register_tensor_to_device(tensor.id, HandleKind::Float(altered));
        if let Some(&number) = self.numbers.get(&tensor.id).filter(|&&number| number != u32::MAX) {
            self.told.figures.push((number, range));
        }
    }

    fn view(&mut self, tensor: &TensorIr) -> Option<FlexTensor> {
        let read = TensorIr { status: TensorStatus::ReadOnly, ..tensor.clone() };
        match self.engine.get_tensor_handle(&read) {
            HandleKind::Float(tensor) | HandleKind::Int(tensor) | HandleKind::Bool(tensor) => Some(tensor),
            HandleKind::Quantized(_) => None,
        }
    }

    fn forget(&mut self, tensor: &TensorIr) {
        if self.numbers.remove(&tensor.id).is_some() {
            let last = TensorIr { status: TensorStatus::ReadWrite, ..tensor.clone() };
            self.engine.register_op(OperationIr::Drop(last));
        }
    }
}

/// A number after a change.
fn altered(x: f64, how: Alteration) -> f64 {
    match how {
        // `max` and `min` of Rust take the number when the other one is NaN.
        Alteration::AtLeast(limit) => x.max(limit),
        Alteration::AtMost(limit) => x.min(limit),
        Alteration::Plus(addend) => x + addend,
        Alteration::Value(value) => value,
    }
}

/// What an operation is about: the divisor of a division, otherwise the first float tensor that it reads.
fn argument(op: &OperationIr) -> Option<TensorIr> {
    match op {
        OperationIr::NumericFloat(_, NumericOperationIr::Div(d)) => Some(d.rhs.clone()),
        _ => op.inputs().find(|tensor| tensor.dtype.is_float()).cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn_backend::{DType, Shape};
    use burn_ir::{FloatOperationIr, UnaryOpIr};
    use denan_record::model::StepGraph;
    use denan_record::tape::Tape;

    fn tensor(id: u64) -> TensorIr {
        TensorIr {
            id: TensorId::new(id),
            shape: Shape::new([3]),
            status: TensorStatus::ReadWrite,
            dtype: DType::F32,
        }
    }

    /// `x = [0, 0.5, 1]`, `y = log(x)`, `z = exp(y)`, and `w = log(x)` again, as a gradient reads what the call read.
    fn tape() -> Tape {
        let given = Entry::Given {
            node: Some(0),
            tensor: postcard::to_stdvec(&tensor(1)).unwrap(),
            elements: [0.0_f32, 0.5, 1.0].iter().flat_map(|x| x.to_ne_bytes()).collect(),
        };
        let unary = |of: u64, out: u64, op: fn(UnaryOpIr) -> FloatOperationIr, node: u32| {
            let op = op(UnaryOpIr { input: tensor(of), out: tensor(out) });
            let operation = postcard::to_stdvec(&OperationIr::Float(DType::F32, op)).unwrap();
            Entry::Operation { nodes: vec![Some(node)], operation }
        };
        let entries = vec![
            given,
            unary(1, 2, FloatOperationIr::Log, 1),
            unary(2, 3, FloatOperationIr::Exp, 2),
            unary(1, 4, FloatOperationIr::Log, 3),
        ];
        Tape { engine: "burn 0.22.1".to_owned(), graph: StepGraph::default(), entries, watched: vec![3] }
    }

    fn replayed(changes: &[(u32, Alteration)], until: Option<u32>) -> Replayed {
        let changes = changes.iter().map(|&(node, how)| Change { node, how }).collect();
        replay(&Task { tape: tape(), changes, until }).unwrap()
    }

    fn last(replayed: &Replayed, node: u32) -> Range {
        replayed.figures.iter().rev().find(|(number, _)| *number == node).unwrap().1
    }

    #[test]
    fn a_tape_is_carried_out_as_it_was() {
        let replayed = replayed(&[], None);
        assert_eq!(replayed.operations, 3);
        assert_eq!((last(&replayed, 1).neg_inf, last(&replayed, 2).min), (1, 0.0));
    }

    #[test]
    fn what_an_operation_reads_is_changed_for_all_that_read_it_later() {
        let replayed = replayed(&[(1, Alteration::AtLeast(0.25))], None);
        for node in [0, 1, 2, 3] {
            assert!(last(&replayed, node).is_finite(), "{node}");
        }
        assert_eq!(last(&replayed, 0).min, 0.25);
    }

    #[test]
    fn what_an_operation_makes_can_be_set_and_the_rest_left_out() {
        let replayed = replayed(&[(1, Alteration::Value(2.0))], Some(2));
        assert_eq!((last(&replayed, 1).min, last(&replayed, 1).max), (2.0, 2.0));
        assert_eq!(replayed.operations, 2);
    }

    #[test]
    fn a_tape_that_is_not_whole_is_an_error() {
        let mut cut = tape();
        cut.entries.remove(0);
        assert!(replay(&Task { tape: cut, changes: vec![], until: None }).unwrap_err().contains("lacks"));
        let mut foreign = tape();
        foreign.entries[1] = Entry::Operation { nodes: vec![], operation: vec![0xff; 4] };
        assert!(
            replay(&Task { tape: foreign, changes: vec![], until: None }).unwrap_err().contains("version")
        );
        let mut short = tape();
        if let Entry::Given { elements, .. } = &mut short.entries[0] {
            elements.pop();
        }
        assert!(
            replay(&Task { tape: short, changes: vec![], until: None }).unwrap_err().contains("not whole")
        );
    }
}
