//! A pooling moves further than its kernel reaches, so that part of its input is never seen.
//!
//! It breaks no training by itself, so it is a note and never a finding.

use crate::cause::{Cause, Names, cause};
use crate::evidence::Evidence;
use crate::words;
use denan_finding::Finding;
use denan_finding::number::percent;
use denan_record::model::Run;

pub(crate) struct PoolStride;

cause!(PoolStride, "pool-stride");

impl Cause for PoolStride {
    fn examine(&self, _: &Evidence<'_>) -> Option<Finding> {
        None
    }

    fn names(&self) -> Names {
        Names::Setting
    }

    fn note(&self, run: &Run) -> Option<String> {
        let graph = run.graphs.first()?;
        graph.nodes.iter().find_map(|node| {
            let window = node.window.as_ref()?;
            let pairs = || window.kernel.iter().zip(&window.stride);
            if pairs().all(|(kernel, stride)| stride <= kernel) {
                return None;
            }
            let seen: f64 =
                pairs().map(|(kernel, stride)| (*kernel as f64 / *stride as f64).min(1.0)).product();
            let place = words::at_place(node.place.and_then(|place| graph.places.get(place as usize)));
            Some(format!(
                "{}{place} moves by {} with a kernel of {}: {} of its input is never seen (pool-stride)",
                node.op,
                words::shape(&window.stride),
                words::shape(&window.kernel),
                percent(1.0 - seen),
            ))
        })
    }
}
