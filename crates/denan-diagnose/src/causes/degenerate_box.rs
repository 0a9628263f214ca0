//! A box of no area reaches an operation that is not defined for a side of 0.

use crate::annotations::AnnotatedBox;
use crate::blame::is_same;
use crate::boxes::{FlatBox, Layout, may_be_target, position_in_image};
use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::operators::{is_logarithm, is_steep};
use crate::words;
use denan_finding::number::counted;
use denan_finding::{BlamedSample, Finding};
use denan_record::model::{Origin, Phase, Role, Sample};

pub(crate) struct DegenerateBox;

cause!(DegenerateBox, "degenerate-box");

/// The bad value was followed to a sample whose annotation file holds a box without area.
const FILE_AND_ORIGIN: f64 = 0.97;

/// As above, but the vector it was followed to cannot be read as that box (encoded or cut).
const FILE_AND_SAMPLE: f64 = 0.93;

/// A sample of the breaking batch has such a box, but the value was not followed to it.
const FILE_IN_BATCH: f64 = 0.85;

/// As the first, but the sample has been in an earlier batch and did no harm there, so that the
/// box alone cannot be the whole reason.
const SURVIVED_BEFORE: f64 = 0.6;

/// Without a file: corners that coincide exactly, in a tensor `[batch, boxes, values]`.
const CORNERS_PER_IMAGE: f64 = 0.75;

/// Without a file: a width or height of 0 in a tensor `[batch, boxes, values]`.
const SIZE_PER_IMAGE: f64 = 0.7;

/// Without a file: corners that coincide in a table `[rows, values]` or a single vector, which may also be
/// features.
const CORNERS_IN_TABLE: f64 = 0.6;

/// Operations between a divisor and the sides it was made of.
const STEPS_TO_SIDE: usize = 10;

impl Cause for DegenerateBox {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if !depends_on_side(evidence) {
            return None;
        }
        let suspects = suspects(evidence);
        let strongest = suspects.iter().max_by(|a, b| a.confidence.total_cmp(&b.confidence))?;
        let summary = format!(
            "a box of no area reached {}: {} {}",
            evidence.operation_in_words(),
            strongest.name,
            strongest.fault,
        );
        Some(Finding {
            evidence: observations(evidence, strongest, suspects.len()),
            remedies: remedies(evidence),
            interventions: vec!["drop-samples".to_owned(), "safe-op".to_owned()],
            ..self.finding(strongest.confidence, summary)
        })
    }
    fn blamed(&self, evidence: &Evidence<'_>) -> Vec<BlamedSample> {
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

    fn names(&self) -> Names {
        Names::Datum
    }

    fn explains(&self) -> &'static [Explains] {
        const {
            &[
                // A side of 0 that the annotation file confirms is where the value came from, exactly.
                Explains::from(0.9, &[]),
                // Read off the tensor alone, it still says where the 0 of these three came from; whether the
                // training also ran away is another question.
                Explains::from(0.0, &["log-of-zero", "division-by-zero", "infinite-gradient"]),
            ]
        }
    }
}

/// A box that may be the reason.
struct Suspect {
    /// Whose box it is, when known.
    sample: Option<Sample>,
    /// Its row in the batch.
    batch_row: Option<u64>,
    /// `box 12 (RBC)`.
    label: String,
    /// `box 12 (RBC) of BloodImage_00338.xml`.
    name: String,
    /// `has width 0: xmin 504, xmax 504`.
    fault: String,
    confidence: f64,
    observations: Vec<String>,
}

/// The boxes without area behind this break, in the order of their rows.
fn suspects(evidence: &Evidence<'_>) -> Vec<Suspect> {
    let origins = &evidence.origins;
    let mut suspects: Vec<Suspect> =
        origins.iter().filter_map(|origin| from_origin(evidence, origin)).collect();
    // When values were followed to named samples, the rest of the batch is acquitted.
    if suspects.is_empty() && origins.iter().all(|origin| origin.sample.is_none()) {
        suspects = from_batch(evidence);
    }
    let mut known = Vec::new();
    suspects.retain(|suspect| {
        let is_new = !known.contains(&suspect.name);
        known.push(suspect.name.clone());
        is_new
    });
    suspects
}

/// Whether the producer fails for a side of 0 or less, and has read such a value.
fn depends_on_side(evidence: &Evidence<'_>) -> bool {
    let Some(suspect) = evidence.suspect() else {
        return false;
    };
    let range = &suspect.range;
    let (call, executed) = (evidence.call(), evidence.executed());
    let is_negative = range.min_opt().is_some_and(|min| min < 0.0);
    let in_gradient = match evidence.broken.phase {
        Phase::Forward | Phase::Loss => false,
        Phase::Backward => true,
        Phase::Input | Phase::Optimizer | Phase::Parameter => return false,
    };
    if is_logarithm(&executed) {
        is_negative || range.zeros > 0
    } else if evidence.divisor().is_some() {
        range.zeros > 0
    } else if in_gradient {
        call == executed && (is_steep(&call) || is_logarithm(&call)) && range.zeros > 0
    } else {
        executed == "sqrt" && is_negative
    }
}

fn from_origin(evidence: &Evidence<'_>, origin: &Origin) -> Option<Suspect> {
    let suspect = evidence.suspect()?;
    let flat = FlatBox::read(origin, &suspect.range);
    let boxes = origin.sample.as_ref().and_then(|sample| evidence.annotations.boxes(sample));
    match (boxes, &origin.sample) {
        // The file knows better than any reading of a tensor, in both directions.
        (Some(boxes), Some(sample)) => {
            let confidence = match flat {
                None if !may_be_target(origin) => return None,
                _ if has_survived(evidence, |earlier| earlier == sample) => SURVIVED_BEFORE,
                Some(_) => FILE_AND_ORIGIN,
                None => FILE_AND_SAMPLE,
            };
            let mut found = from_file(sample, &boxes, position_in_image(origin), confidence)?;
            found.batch_row = origin.batch_row;
            found.observations.extend(flat.map(|flat| in_tensor(&flat, origin)));
            Some(found)
        }
        _ => from_tensor(evidence, origin, flat?),
    }
}

/// A box of the annotation file; `position` is that of the traced box among those of its image.
fn from_file(
    sample: &Sample,
    boxes: &[AnnotatedBox],
    position: Option<u64>,
    confidence: f64,
) -> Option<Suspect> {
    let flat: Vec<(&AnnotatedBox, String)> =
        boxes.iter().filter_map(|found| Some((found, found.fault()?))).collect();
    let traced = flat.iter().find(|(found, _)| Some(found.index) == position);
    let (found, fault) = traced.or_else(|| flat.first())?;
    let others = boxes.len() - flat.len();
    let observation = format!(
        "stated by the annotation of {}: {} without area, {others} with",
        sample.called(),
        counted(flat.len() as u64, "box", "boxes"),
    );
    Some(Suspect {
        sample: Some(sample.clone()),
        batch_row: None,
        label: found.name(),
        name: format!("{} of {}", found.name(), sample.called()),
        fault: fault.clone(),
        confidence,
        observations: vec![observation],
    })
}

/// A box of the batch tensor alone, which must be the argument of a logarithm of a ratio or side, or
/// have corners whose difference is divided by or has its root taken.
fn from_tensor(evidence: &Evidence<'_>, origin: &Origin, flat: FlatBox) -> Option<Suspect> {
    let argument = evidence.suspect()?;
    let position = position_in_image(origin);
    let divides_by_side = evidence.divisor().is_some()
        && flat.layout == Layout::Corners
        && (position.is_some() || divides_by_difference(evidence));
    let takes_root = evidence.executed() == "sqrt" && flat.layout == Layout::Corners;
    // The data as they are hold features, not sides that were worked out.
    if !(is_logarithm(&evidence.call()) || divides_by_side || takes_root) || argument.role == Role::Data {
        return None;
    }
    let confidence = match (flat.layout, position.is_some()) {
        (Layout::Corners, true) => CORNERS_PER_IMAGE,
        (Layout::Sized, true) => SIZE_PER_IMAGE,
        (Layout::Corners, false) => CORNERS_IN_TABLE,
        // A zero in a table of four columns is an ordinary feature.
        (Layout::Sized, false) => return None,
    };
    let label = match position {
        Some(position) => format!("box {position}"),
        None => "a box".to_owned(),
    };
    Some(Suspect {
        sample: origin.sample.clone(),
        batch_row: origin.batch_row,
        name: format!("{label} of {}", words::owner(origin)),
        label,
        fault: flat.fault(origin),
        confidence,
        observations: vec![in_tensor(&flat, origin)],
    })
}

/// Whether the divisor was made of a difference between two columns of the same data: a side that was worked out.
fn divides_by_difference(evidence: &Evidence<'_>) -> bool {
    let Some(view) = evidence.breaking() else { return false };
    let divisor = view.producer().and_then(|at| view.node(at).inputs.last().copied());
    let near = divisor.map(|divisor| view.ancestors(divisor, STEPS_TO_SIDE)).unwrap_or_default();
    near.into_iter().any(|at| match view.node(at).inputs[..] {
        [high, low] => view.node(at).op == "sub" && view.source(high) == view.source(low) && view.is_of_data(high),
        _ => false,
    })
}

/// Whether a step before the break used such a sample; only the steps still on record tell.
fn has_survived(evidence: &Evidence<'_>, is_such: impl Fn(&Sample) -> bool) -> bool {
    let earlier = evidence.run.batches.iter().filter(|batch| batch.step < evidence.broken.step);
    earlier.flat_map(|batch| &batch.samples).any(is_such)
}

/// Boxes of the breaking batch's annotation files, when the value was not followed to a sample.
///
/// If an earlier batch held such a box as well and nothing broke, the training can live with them.
fn from_batch(evidence: &Evidence<'_>) -> Vec<Suspect> {
    let rows = &evidence.broken.batch_rows;
    let samples = evidence.samples.iter().enumerate();
    let found: Vec<Suspect> = samples
        .map(|(row, sample)| (row as u64, sample))
        .filter(|(row, _)| rows.is_empty() || rows.contains(row))
        .filter_map(|(row, sample)| {
            let boxes = evidence.annotations.boxes(sample)?;
            let found = from_file(sample, &boxes, None, FILE_IN_BATCH)?;
            Some(Suspect { batch_row: Some(row), ..found })
        })
        .collect();
    let has_flat_box = |sample: &Sample| {
        let boxes = evidence.annotations.boxes(sample).unwrap_or_default();
        boxes.iter().any(|found| found.fault().is_some())
    };
    if !found.is_empty() && has_survived(evidence, has_flat_box) { Vec::new() } else { found }
}

fn in_tensor(flat: &FlatBox, origin: &Origin) -> String {
    let layout = match flat.layout {
        Layout::Corners => "xmin, ymin, xmax, ymax",
        Layout::Sized => "x, y, width, height",
    };
    format!(
        "element {} of the batch tensor of shape {}, read as {layout}, {}, beside boxes with area",
        words::shape(&origin.position),
        words::shape(&origin.shape),
        flat.fault(origin),
    )
}

fn observations(evidence: &Evidence<'_>, strongest: &Suspect, suspects: usize) -> Vec<String> {
    let mut seen = strongest.observations.clone();
    seen.extend(
        evidence
            .suspect()
            .map(|input| format!("{}{}", evidence.input_in_words(input), words::at(evidence.producer()))),
    );
    if suspects > 1 {
        seen.push(format!("{suspects} such boxes in the batch"));
    }
    seen.extend(evidence.path_in_words());
    seen
}

fn remedies(evidence: &Evidence<'_>) -> Vec<String> {
    vec![
        "drop or repair the box in its annotation file".to_owned(),
        "leave boxes with xmax <= xmin or ymax <= ymin out when the data set is read".to_owned(),
        format!(
            "keep sides away from 0 in the loss: {}",
            evidence.code("size.clamp_min(1e-6).log()", "size.clamp(min=1e-6).log()"),
        ),
    ]
}
