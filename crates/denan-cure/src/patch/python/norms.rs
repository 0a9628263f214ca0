//! `insert-norm`, `freeze-batch-norm`.

use super::{NoPatch, PatchContext, SourceTree};
use denan_finding::Patch;
use denan_record::plan::{BatchNormFreeze, CallAt};

pub(super) fn insert(_: &[CallAt], _: &PatchContext<'_>, _: &dyn SourceTree) -> Result<Patch, NoPatch> {
    Err(NoPatch::new("not written yet", "put a LayerNorm behind the layers"))
}

pub(super) fn freeze(_: BatchNormFreeze, _: &PatchContext<'_>, _: &dyn SourceTree) -> Result<Patch, NoPatch> {
    Err(NoPatch::new("not written yet", "freeze the BatchNorm layers"))
}
