//! `freeze-released`, `lower-released-rate`.

use super::{NoPatch, PatchContext, SourceTree};
use denan_finding::Patch;
use denan_record::plan::Chosen;

pub(super) fn freeze(_: &[Chosen], _: &PatchContext<'_>, _: &dyn SourceTree) -> Result<Patch, NoPatch> {
    Err(NoPatch::new("not written yet", "keep the part frozen"))
}

pub(super) fn lower(_: f64, _: &PatchContext<'_>, _: &dyn SourceTree) -> Result<Patch, NoPatch> {
    Err(NoPatch::new("not written yet", "give the part a lower rate"))
}
