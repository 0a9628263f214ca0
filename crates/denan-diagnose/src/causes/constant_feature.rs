//! A column without spread is normalised: 0 divided by 0.

use crate::blame::rows;
use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::view::{Index, View};
use crate::evidence::{Divisor, Evidence};
use crate::operators::is_power;
use crate::words;
use denan_finding::{BlamedSample, Finding};
use denan_finding::number::{counted, float};
use denan_record::model::{Kind, Phase, Role};

pub(crate) struct ConstantFeature;

cause!(ConstantFeature, "constant-feature");

/// The divisor is the spread of columns of the data, and the columns that broke never change.
const COLUMN_IS_CONSTANT: f64 = 0.95;

/// The divisor is such a spread, but the column is not on the record.
const SPREAD_IS_ZERO: f64 = 0.9;

/// Operations between a spread and the data it is the spread of.
const STEPS_OF_SPREAD: usize = 12;

impl Cause for ConstantFeature {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        let broken = evidence.broken;
        // A reciprocal or a negative power of the spread is infinite at first, and NaN once it meets the 0 of the
        // centred column.
        let executed = evidence.executed();
        let is_bad_kind = broken.kind == Kind::Nan || executed == "recip" || is_power(&executed);
        if !matches!(broken.phase, Phase::Forward | Phase::Loss) || !is_bad_kind {
            return None;
        }
        let Some(Divisor::Tensor(divisor)) = evidence.divisor() else { return None };
        let view = evidence.breaking()?;
        // The divisor is what a division reads last, and all that a reciprocal does.
        let index = *view.node(view.producer()?).inputs.last()?;
        // One spread for everything is no column's; spreads that are all 0 are those of a single row.
        let is_some_column =
            divisor.range.count > 1 && (1..divisor.range.count).contains(&divisor.range.zeros);
        // One spread for each row of the batch is that of a sample, not of a column.
        let shape = &view.node(index).shape;
        let rank = view.node(view.producer()?).shape.len();
        let is_per_row = rank > 1 && shape.len() == rank && shape[1..].iter().product::<u64>() == 1;
        if !is_some_column || is_per_row || !(is_spread_of_data(view, index) || is_known_spread(view, index)) {
            return None;
        }
        let columns = columns(evidence);
        let place = words::at(evidence.producer());
        let (confidence, what) = match &columns[..] {
            [] => (SPREAD_IS_ZERO, format!("{} of its columns", divisor.range.zeros)),
            known => {
                let names: Vec<String> = known.iter().map(|(column, _)| column.to_string()).collect();
                let word = if known.len() == 1 { "column" } else { "columns" };
                (COLUMN_IS_CONSTANT, format!("{word} {} of the data", words::joined(&names)))
            }
        };
        let mut observations: Vec<String> = columns
            .iter()
            .map(|(column, value)| format!("column {column} is {} in every row", float(*value)))
            .collect();
        observations.push(evidence.input_in_words(divisor));
        observations.push(format!(
            "{} of {} a standard deviation of 0",
            counted(divisor.range.zeros, "column", "columns"),
            if divisor.range.zeros == 1 {
                format!("{} has", divisor.range.count)
            } else {
                format!("{} have", divisor.range.count)
            },
        ));
        observations.extend(evidence.path_in_words());
        Some(Finding {
            evidence: observations,
            remedies: vec![
                "drop the column: it tells nothing".to_owned(),
                format!(
                    "keep the divisor away from 0: {}",
                    evidence.code("(x - mean) / (std + 1e-6)", "(x - mean) / (std + 1e-6)"),
                ),
            ],
            interventions: if evidence.is_in_few_rows() && !evidence.samples.is_empty() {
                vec!["safe-op".to_owned(), "drop-samples".to_owned()]
            } else {
                vec!["safe-op".to_owned()]
            },
            ..self.finding(
                confidence,
                format!("{what} never changes, and normalising divides by its spread{place}"),
            )
        })
    }

    /// Where each sample is normalised by itself, those in which a column is constant.
    fn blamed(&self, evidence: &Evidence<'_>) -> Vec<BlamedSample> {
        rows(evidence)
    }

    fn names(&self) -> Names {
        Names::Datum
    }

    fn explains(&self) -> &'static [Explains] {
        const { &[Explains::from(0.9, &["division-by-zero", "learning-rate-too-high"])] }
    }
}

/// Whether a tensor is a spread of data: a mean or sum of distances or of their squares, perhaps with a root, or
/// largest less smallest.
fn is_spread_of_data(view: &View<'_>, index: Index) -> bool {
    let made_of: Vec<Index> = [index].into_iter().chain(view.ancestors(index, STEPS_OF_SPREAD)).collect();
    let has = |name: &str| made_of.iter().any(|&at| view.node(at).op == name);
    let is_averaged = has("mean") || has("sum");
    let is_root = has("sqrt") && is_averaged || has("std") || has("var");
    let is_distance = has("sub") && is_averaged && ["mul", "powi", "powf", "abs"].into_iter().any(has);
    let is_width = has("max") && has("min") && has("sub");
    (is_root || is_distance || is_width) && view.is_of_data(index)
}

/// Whether a divisor was there before the step (worked out once for the whole data set), and what it divides are data
/// from which something else that was there is taken off first.
fn is_known_spread(view: &View<'_>, divisor: Index) -> bool {
    let was_there = |index: Index| {
        let source = view.node(view.source(index));
        !source.is_new && source.inputs.is_empty() && source.slot.is_none() && source.role == Role::Data
    };
    let numerator = view.producer().and_then(|at| view.node(at).inputs.first().copied());
    let is_centred = numerator.is_some_and(|numerator| {
        let node = view.node(view.source(numerator));
        node.op == "sub" && node.inputs.get(1).is_some_and(|&mean| was_there(mean))
    });
    was_there(divisor) && is_centred && numerator.is_some_and(|numerator| view.is_of_data(numerator))
}

/// The columns that broke, with their value, as far as the elements are on the record.
fn columns(evidence: &Evidence<'_>) -> Vec<(u64, f64)> {
    let mut found: Vec<(u64, f64)> = Vec::new();
    for origin in &evidence.origins {
        let (Some(&column), Some(place)) = (origin.position.last(), origin.place_in_vector()) else {
            continue;
        };
        let Some(range) = origin.columns.get(place) else { continue };
        if range.count > 1 && range.min == range.max && found.iter().all(|(known, _)| *known != column) {
            found.push((column, range.min));
        }
    }
    found.sort_by_key(|(column, _)| *column);
    found
}
