//! The samples behind a break, and what is wrong with each.

use crate::Context;
use crate::cause::CAUSES;
use crate::diagnose;
use crate::evidence::Evidence;
use crate::words;
use denan_finding::BlamedSample;
use denan_record::model::{Origin, Run};

/// The samples that the break was followed back to, in the order of their rows, and why.
///
/// Empty when nothing broke, when the training itself ran away (every sample would have done), and
/// when most of the batch carries the bad value.
pub fn blamed_samples(run: &Run, context: &Context<'_>) -> Vec<BlamedSample> {
    let Some(evidence) = Evidence::of(run, context) else {
        return Vec::new();
    };
    let findings = diagnose(run, context);
    let cause = findings.first().and_then(|first| CAUSES.iter().find(|cause| cause.id() == first.rule));
    let Some(cause) = cause else {
        return Vec::new();
    };
    let mut blamed = cause.blamed(&evidence);
    blamed.sort_by_key(|blame| blame.batch_row);
    blamed
}

/// For causes in the arithmetic: the rows whose values reached the operation, if they are few.
pub(crate) fn rows(evidence: &Evidence<'_>) -> Vec<BlamedSample> {
    if !evidence.is_in_few_rows() {
        return Vec::new();
    }
    let broken = evidence.broken;
    let operation = evidence.operation_in_words();
    let known =
        evidence.origins.iter().filter(|origin| origin.sample.is_some() || origin.batch_row.is_some());
    let traced = of_origins(known, |origin| {
        format!(
            "followed from {operation} back to element {}: {}",
            words::shape(&origin.position),
            words::vector(&origin.vector),
        )
    });
    if !traced.is_empty() {
        return traced;
    }
    broken
        .batch_rows
        .iter()
        .map(|row| BlamedSample {
            sample: usize::try_from(*row).ok().and_then(|row| evidence.samples.get(row)).cloned(),
            batch_row: Some(*row),
            why: format!("its row carries the bad value that {operation} made"),
        })
        .collect()
}

/// One entry for each sample, with the reason of its first origin.
pub(crate) fn of_origins<'a>(
    origins: impl Iterator<Item = &'a Origin>,
    why: impl Fn(&Origin) -> String,
) -> Vec<BlamedSample> {
    let mut blamed: Vec<BlamedSample> = Vec::new();
    for origin in origins {
        let blame =
            BlamedSample { sample: origin.sample.clone(), batch_row: origin.batch_row, why: why(origin) };
        if !blamed.iter().any(|known| is_same(known, &blame)) {
            blamed.push(blame);
        }
    }
    blamed
}

pub(crate) fn is_same(a: &BlamedSample, b: &BlamedSample) -> bool {
    match (&a.sample, &b.sample) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a.batch_row == b.batch_row,
        _ => false,
    }
}
