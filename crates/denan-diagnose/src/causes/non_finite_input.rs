//! A sample carries NaN or infinity into the batch.

use crate::blame::of_origins;
use crate::boxes::position_in_image;
use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::{Evidence, is_bad_itself};
use crate::words;
use denan_finding::number::{count, float};
use denan_finding::{BlamedSample, Finding};
use denan_numerics::Range;
use denan_record::model::{Kind, Origin, Phase, Role};

pub(crate) struct NonFiniteInput;

cause!(NonFiniteInput, "non-finite-input");

/// The bad element itself was found in a batch tensor: nothing is left to infer.
const ELEMENT_NAMED: f64 = 0.97;

/// A batch tensor was non-finite on entry, but the element is not on the record.
const TENSOR_NAMED: f64 = 0.9;

/// Nothing but -inf: that is how attention masks are written, so it may be there on purpose.
const PERHAPS_A_MASK: f64 = 0.6;

impl Cause for NonFiniteInput {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        // What a parameter was loaded with is no sample.
        if evidence.broken.phase == Phase::Parameter {
            return None;
        }
        let origin = evidence.origins.iter().find(|origin| is_bad_itself(origin));
        let range = origin.map(|origin| origin.range).or_else(|| range_on_entry(evidence))?;
        let named = if origin.is_some() { ELEMENT_NAMED } else { TENSOR_NAMED };
        let is_perhaps_a_mask = range.nan == 0 && range.pos_inf == 0 && range.neg_inf > 0;
        let confidence = if is_perhaps_a_mask { PERHAPS_A_MASK } else { named };
        Some(Finding {
            evidence: observations(evidence, origin, &range),
            remedies: remedies(evidence),
            interventions: vec!["drop-samples".to_owned()],
            ..self.finding(confidence, summary(evidence, origin))
        })
    }
    fn blamed(&self, evidence: &Evidence<'_>) -> Vec<BlamedSample> {
        let origins = evidence.origins.iter().filter(|origin| is_bad_itself(origin));
        of_origins(origins, |origin| format!("{} in {}", value(evidence, origin), element(origin)))
    }

    fn names(&self) -> Names {
        Names::Datum
    }

    fn explains(&self) -> &'static [Explains] {
        // A bad element of the batch makes every later operation bad, whatever else is wrong.
        const { &[Explains::from(0.9, &[])] }
    }
}

/// The figures of a data tensor that was non-finite before any operation touched it.
fn range_on_entry(evidence: &Evidence<'_>) -> Option<Range> {
    let producer = evidence.producer();
    let bad_data = producer
        .inputs
        .iter()
        .find(|seen| seen.role == Role::Data && !seen.range.is_finite())
        .map(|seen| seen.range);
    let is_entry = evidence.broken.phase == Phase::Input || evidence.call() == "input";
    bad_data.or_else(|| is_entry.then_some(producer.output.range))
}

fn summary(evidence: &Evidence<'_>, origin: Option<&Origin>) -> String {
    let step = evidence.broken.step;
    match origin {
        Some(origin) => format!(
            "{} carries {} into the training: {}",
            words::owner(origin),
            value(evidence, origin),
            element(origin),
        ),
        None => format!(
            "the data of step {step} carries {} into the training{}",
            words::kind(evidence.broken.kind),
            words::at(evidence.producer()),
        ),
    }
}

/// `row 3, column 7 of a batch tensor of shape [16, 10]`.
fn element(origin: &Origin) -> String {
    let place = match origin.position.as_slice() {
        [row, column] => format!("row {row}, column {column}"),
        [row, .., column] if position_in_image(origin).is_some() && origin.position.len() == 3 => {
            format!("row {row}, vector {}, column {column}", origin.position[1])
        }
        position => format!("element {}", words::shape(position)),
    };
    format!("{place} of a batch tensor of shape {}", words::shape(&origin.shape))
}

/// The bad value's class, read off the vector where it holds it.
fn value(evidence: &Evidence<'_>, origin: &Origin) -> &'static str {
    let bad = origin.vector.iter().find(|value| !value.is_finite());
    words::kind(match bad {
        Some(value) if value.is_nan() => Kind::Nan,
        Some(value) if *value > 0.0 => Kind::Infinity,
        Some(_) => Kind::NegativeInfinity,
        None => evidence.broken.kind,
    })
}

fn observations(evidence: &Evidence<'_>, origin: Option<&Origin>, range: &Range) -> Vec<String> {
    let mut seen = Vec::new();
    if range.nonfinite() > 0 {
        seen.push(format!(
            "the batch tensor holds {} in {} values; the others are {}",
            words::nonfinite(range),
            count(range.count),
            words::range(&Range { nan: 0, pos_inf: 0, neg_inf: 0, ..*range }),
        ));
    }
    if let Some(origin) = origin {
        seen.push(format!("the vector of that element is {}", words::vector(&origin.vector)));
        if let Some(column) = ordinary_column(origin) {
            seen.push(column);
        }
        let place = origin.place.as_ref().map(words::place);
        seen.extend(place.map(|place| format!("it entered the engine at {place}")));
        seen.extend(annotation(evidence, origin));
    }
    let others = evidence.origins.iter().filter(|other| is_bad_itself(other)).skip(1);
    let others: Vec<String> =
        others.map(|other| format!("{}, {}", words::owner(other), element(other))).collect();
    if let Some(first) = others.first() {
        let more = if others.len() > 1 { format!(" and {} more", others.len() - 1) } else { String::new() };
        seen.push(format!("also bad: {first}{more}"));
    }
    seen
}

/// What stands in the same column of the other rows.
fn ordinary_column(origin: &Origin) -> Option<String> {
    let range = origin.columns.get(origin.place_in_vector()?)?;
    let (min, max) = (range.min_opt()?, range.max_opt()?);
    Some(format!("the finite values of that column lie between {} and {}", float(min), float(max)))
}

/// A box without area in the sample's annotation explains a non-finite target that was worked out
/// of it before it entered the engine.
fn annotation(evidence: &Evidence<'_>, origin: &Origin) -> Option<String> {
    let sample = origin.sample.as_ref()?;
    let boxes = evidence.annotations.boxes(sample)?;
    let (flat, fault) = boxes.iter().find_map(|found| Some((found, found.fault()?)))?;
    Some(format!("{} of {} {fault}", flat.name(), sample.called()))
}

fn remedies(evidence: &Evidence<'_>) -> Vec<String> {
    vec![
        "drop the sample, or put a measured value in its place".to_owned(),
        format!(
            "check every batch as it is made: {}",
            evidence.code(
                "assert!(!batch.clone().contains_nan().into_scalar::<bool>())",
                "assert torch.isfinite(batch).all()",
            ),
        ),
        "run denan scan over the data set: there may be more of them".to_owned(),
    ]
}
