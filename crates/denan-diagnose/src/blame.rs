//! The samples behind a break, and what is wrong with each.

use crate::Context;
use crate::causes::degenerate_box::suspects;
use crate::causes::non_finite_input::{element, value};
use crate::diagnose;
use crate::evidence::{Evidence, is_bad_itself};
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
    let Some(cause) = findings.first() else {
        return Vec::new();
    };
    let mut blamed = match cause.rule.as_str() {
        "non-finite-input" => bad_elements(&evidence),
        "degenerate-box" => flat_boxes(&evidence),
        "learning-rate-too-high" | "optimizer-epsilon" => Vec::new(),
        _ if evidence.is_in_few_rows() => rows(&evidence),
        _ => Vec::new(),
    };
    blamed.sort_by_key(|blame| blame.batch_row);
    blamed
}

fn bad_elements(evidence: &Evidence<'_>) -> Vec<BlamedSample> {
    let origins = evidence.origins.iter().filter(|origin| is_bad_itself(origin));
    of_origins(origins, |origin| format!("{} in {}", value(evidence, origin), element(origin)))
}

fn flat_boxes(evidence: &Evidence<'_>) -> Vec<BlamedSample> {
    let mut blamed: Vec<BlamedSample> = Vec::new();
    for suspect in suspects(evidence) {
        let why = format!("{} {}", suspect.label, suspect.fault);
        let blame = BlamedSample { sample: suspect.sample, batch_row: suspect.batch_row, why };
        match blamed.iter_mut().find(|known| is_same(known, &blame)) {
            Some(known) => known.why = format!("{}; {}", known.why, blame.why),
            None => blamed.push(blame),
        }
    }
    blamed
}

/// For causes in the arithmetic: the rows whose values reached the operation.
fn rows(evidence: &Evidence<'_>) -> Vec<BlamedSample> {
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
fn of_origins<'a>(
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

fn is_same(a: &BlamedSample, b: &BlamedSample) -> bool {
    match (&a.sample, &b.sample) {
        (Some(a), Some(b)) => a == b,
        (None, None) => a.batch_row == b.batch_row,
        _ => false,
    }
}
