//! From a bad value back to the operation that made it: one rule for the watching device and for a step that
//! is read from a record.

use crate::model::{Node, Role, StepGraph};
use denan_numerics::Range;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The tensors of a step, by number; what an operation reads has been made before what it makes.
pub trait Tensors {
    /// One of them.
    fn tensor(&self, at: u32) -> Tensor<'_>;
}

/// A tensor, as far as the rule looks at it.
#[derive(Clone, Copy, Debug)]
pub struct Tensor<'a> {
    /// Plain name of the operation that made it.
    pub op: &'a str,
    /// That operation's scalar argument.
    pub scalar: Option<f64>,
    /// Numbers of the tensors it was made of.
    pub inputs: &'a [u32],
    /// Its values in figures.
    pub range: &'a Range,
    /// What it is to the training.
    pub role: Role,
    /// Made in this step.
    pub is_new: bool,
    /// Order of execution within its step.
    pub sequence: u64,
}

impl Tensor<'_> {
    fn is_bad(&self) -> bool {
        self.range.nonfinite() > 0
    }
}

impl Tensors for StepGraph {
    fn tensor(&self, at: u32) -> Tensor<'_> {
        let Node { op, scalar, inputs, range, role, is_new, .. } = &self.nodes[at as usize];
        let (scalar, role, is_new) = (*scalar, *role, *is_new);
        Tensor { op, scalar, inputs, range, role, is_new, sequence: at.into() }
    }
}

/// The producer of a bad value, and the way from there to where it was noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// First operation with finite inputs and a non-finite output.
    pub producer: u32,
    /// The operations that handed it on, ending where it was noticed.
    pub trail: Vec<u32>,
}

impl Path {
    /// Longest trail that is told; longer ones lose their middle.
    const LONGEST_TRAIL: usize = 64;

    /// The trail, without its middle if it is too long to tell.
    pub fn told_trail(&self) -> impl Iterator<Item = u32> + '_ {
        let length = self.trail.len();
        let ends = if length > Self::LONGEST_TRAIL { Self::LONGEST_TRAIL / 2 } else { length };
        self.trail[..ends].iter().chain(&self.trail[(length - ends).max(ends)..]).copied()
    }
}

/// Finds the producer of the bad value in a tensor.
pub fn producer(tensors: &impl Tensors, noticed: u32) -> Path {
    // Breadth first from the end, so that the trail is a shortest one.
    let mut next: BTreeMap<u32, u32> = BTreeMap::new();
    let mut queue = VecDeque::from([noticed]);
    let mut seen = BTreeSet::from([noticed]);
    let mut producers = Vec::new();
    while let Some(at) = queue.pop_front() {
        let sources = bad_sources(tensors, at);
        if sources.is_empty() {
            producers.push(at);
        }
        for source in sources {
            if seen.insert(source) {
                next.insert(source, at);
                queue.push_back(source);
            }
        }
    }
    let age = |at: u32| {
        let tensor = tensors.tensor(at);
        (tensor.is_new, tensor.sequence)
    };
    let producer = producers.into_iter().min_by_key(|&at| age(at)).unwrap_or(noticed);
    let mut trail = Vec::new();
    let mut at = producer;
    while let Some(&after) = next.get(&at) {
        trail.push(after);
        at = after;
    }
    Path { producer, trail }
}

/// The inputs that a tensor's bad value came from; none if its own operation made it.
fn bad_sources(tensors: &impl Tensors, at: u32) -> Vec<u32> {
    let tensor = tensors.tensor(at);
    let bad: Vec<u32> =
        tensor.inputs.iter().copied().filter(|&input| tensors.tensor(input).is_bad()).collect();
    if tensor.range.nan == 0 {
        return bad;
    }
    // NaN handed on, or made of infinities. One that the program put there on purpose (an attention mask) is no
    // fault: the operation that turned it into NaN is.
    let is_source = |&input: &u32| tensors.tensor(input).range.nan > 0 || !is_deliberate(tensors, input);
    bad.into_iter().filter(is_source).collect()
}

/// Whether the infinities of a tensor were written there as a fill value.
fn is_deliberate(tensors: &impl Tensors, at: u32) -> bool {
    let tensor = tensors.tensor(at);
    if tensor.range.nan > 0 {
        return false;
    }
    let mut sources =
        tensor.inputs.iter().copied().filter(|&input| tensors.tensor(input).is_bad()).peekable();
    if sources.peek().is_none() {
        let filled = matches!(tensor.op, "mask_fill" | "full") && tensor.scalar.is_some_and(f64::is_infinite);
        // A mask may also be made by the program and handed over; nobody masks with plus infinity.
        let handed_over = tensor.role == Role::Data && tensor.op == "input" && tensor.range.pos_inf == 0;
        return filled || handed_over;
    }
    sources.all(|source| is_deliberate(tensors, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_trail_loses_its_middle() {
        for (length, told) in [(0, vec![]), (3, vec![0, 1, 2]), (64, (0..64).collect::<Vec<u32>>())] {
            let path = Path { producer: 0, trail: (0..length).collect() };
            assert_eq!(path.told_trail().collect::<Vec<_>>(), told, "{length}");
        }
        let path = Path { producer: 0, trail: (0..100).collect() };
        let told: Vec<u32> = path.told_trail().collect();
        assert_eq!((told.len(), told[31], told[32], told[63]), (64, 31, 68, 99));
    }
}
