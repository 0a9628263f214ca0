//! `reinitialize`: the first values of parameters.

use super::{NoPatch, PatchContext, SourceTree};
use denan_finding::Patch;
use denan_record::plan::NewValues;

pub(super) fn patch(_: &[NewValues], _: &PatchContext<'_>, _: &dyn SourceTree) -> Result<Patch, NoPatch> {
    Err(NoPatch::new("not written yet", "initialise the weights by their fan-in"))
}
