//! The tensors of burn's steps, as the forecast of overflows samples them.

use crate::element;
use crate::graph::Node;
use crate::sites::SiteIndex;
use burn_backend::DType;
use denan_record::forecast::{self, Outlook};
use denan_record::model::Phase;
use rustc_hash::FxHashMap;

/// A tensor of a step: the `occurrence`-th of this name that is made at this place in the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The place.
    pub site: SiteIndex,
    /// Name of the operation.
    pub name: &'static str,
    occurrence: u32,
    /// Part of the step in which it is made.
    pub phase: Phase,
    /// Its element type.
    pub dtype: DType,
}

/// Samples tensors and says which will overflow.
#[derive(Default)]
pub struct Forecaster {
    forecaster: forecast::Forecaster<Key>,
    occurrences: FxHashMap<(SiteIndex, &'static str), u32>,
}

impl Forecaster {
    /// Looks at the tensors of a step that has ended, if it is time for a sample.
    pub fn look(&mut self, step: u64, nodes: &[Node]) -> Vec<Outlook<Key>> {
        if !self.forecaster.is_due(step) {
            return Vec::new();
        }
        self.occurrences.clear();
        let mut outlooks = Vec::new();
        for node in nodes {
            let limit = forecast::largest_power(element::dtype_name(node.dtype));
            let Some(limit) = limit.filter(|_| node.is_new && !node.inputs.is_empty()) else { continue };
            let occurrence = self.occurrences.entry((node.site, node.name)).or_default();
            let Node { site, name, phase, dtype, .. } = *node;
            let key = Key { site, name, occurrence: *occurrence, phase, dtype };
            *occurrence += 1;
            let mut largest = node.range.abs_max();
            // A mean overflows in the sum that it is made of.
            if node.name == "mean" {
                let read = node.inputs.first().map_or(1, |&input| nodes[input as usize].range.count);
                largest *= (read / node.range.count.max(1)).max(1) as f64;
            }
            let largest = if node.range.nonfinite() > 0 { 0.0 } else { largest };
            outlooks.extend(self.forecaster.sample(key, step, largest, limit));
        }
        outlooks
    }
}
