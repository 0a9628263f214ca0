//! The call that `safe-op` is about, and what the record has of it.

use super::PatchContext;
use denan_record::model::{Operation, Phase, Place};

/// The call as the intervention names it.
pub(super) struct Call<'a> {
    pub(super) op: &'a str,
    pub(super) is_form: bool,
    pub(super) file: &'a str,
    pub(super) line: u32,
    pub(super) margin: f64,
}

impl Call<'_> {
    /// The operation of the record that the intervention is about.
    pub(super) fn recorded<'a>(&self, context: &PatchContext<'a>) -> Option<&'a Operation> {
        let mut seen = std::iter::once(&context.break_.producer).chain(&context.break_.trail);
        seen.find(|operation| operation.op == self.op && self.place_of(operation).is_some())
    }

    /// The place of an operation, if it is the call's.
    pub(super) fn place_of<'a>(&self, operation: &'a Operation) -> Option<&'a Place> {
        let places = [operation.forward_place.as_ref(), operation.place.as_ref()];
        places.into_iter().flatten().find(|place| place.file == self.file && place.line == self.line)
    }
}

/// Whether the recorded inputs are those of the user's call itself.
pub(super) fn is_forward(operation: &Operation) -> bool {
    let same = operation.carried_out.as_ref().is_none_or(|carried_out| *carried_out == operation.op);
    same && !matches!(operation.phase, Phase::Backward | Phase::Optimizer)
}
