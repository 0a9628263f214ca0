//! One finite but extreme value among ordinary ones makes an activation or gradient overflow.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::evidence::view::Index;
use crate::operators::{is_exponential, is_linear, is_power};
use crate::words;
use denan_finding::number::float;
use denan_finding::{BlamedSample, Finding};
use denan_record::model::{DataSeen, Node, Phase, Rows, Sample};

pub(crate) struct OutlierSample;

cause!(OutlierSample, "outlier-sample");

/// How many times the typical magnitude of its column makes a value an outlier beyond doubt.
///
/// The largest of a million normal values is 5 times the typical one, and the heaviest tails of real columns
/// (incomes, counts) reach about a thousand.
const EXTREME: f64 = 1e4;

/// The value is in the breaking batch, or in the one before, and what broke is an overflow.
const IN_THE_BATCH: f64 = 0.93;

/// It is in the batch, but something else than an overflow broke.
const BESIDE_IT: f64 = 0.8;

/// Steps that an outlier may lie before the break: the update it makes spoils the next ones.
const LINGERS: u64 = 3;

impl Cause for OutlierSample {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if matches!(evidence.broken.phase, Phase::Input | Phase::Parameter) {
            return None;
        }
        let outliers = outliers(evidence);
        let worst = outliers.iter().max_by(|a, b| a.times().total_cmp(&b.times()))?;
        let confidence = if evidence.blew_up() || overflowed(evidence) { IN_THE_BATCH } else { BESIDE_IT };
        let when = match evidence.broken.step - worst.step {
            0 => "in the breaking batch".to_owned(),
            1 => "in the batch of the step before".to_owned(),
            steps => format!("{steps} steps before the break"),
        };
        let mut observations = vec![
            format!(
                "{} is {} times the typical magnitude of its column, {}",
                float(worst.value),
                float(words::two_digits(worst.times())),
                float(words::two_digits(worst.typical)),
            ),
            format!("it was {when}, in column {}", worst.column),
        ];
        observations.extend(
            evidence
                .producer()
                .inputs
                .iter()
                .map(|input| format!("{}{}", evidence.input_in_words(input), words::at(evidence.producer()))),
        );
        if outliers.len() > 1 {
            observations.push(format!("{} such values in the last batches", outliers.len()));
        }
        observations.extend(evidence.path_in_words());
        Some(Finding {
            evidence: observations,
            remedies: vec![
                "look at the sample: a wrong unit, a missing value written as a number, a broken sensor"
                    .to_owned(),
                format!("clip what is fed in: {}", evidence.code("x.clamp(low, high)", "x.clamp(low, high)"),),
            ],
            interventions: vec!["drop-samples".to_owned(), "clamp-inputs".to_owned()],
            ..self.finding(
                confidence,
                format!("{} holds an extreme value: {}", worst.owner(), float(worst.value)),
            )
        })
    }

    fn blamed(&self, evidence: &Evidence<'_>) -> Vec<BlamedSample> {
        outliers(evidence).iter().map(Outlier::blame).collect()
    }

    fn names(&self) -> Names {
        Names::Datum
    }

    fn explains(&self) -> &'static [Explains] {
        const {
            &[Explains::from(
                0.9,
                &[
                    "learning-rate-too-high",
                    "exp-overflow",
                    "log-of-zero",
                    "division-by-zero",
                    "infinite-gradient",
                    "feature-scale",
                    "exploding-activations",
                    "exploding-gradients",
                    "half-precision-overflow",
                    "sum-reduction",
                    "tiny-batch-norm",
                    "unknown",
                ],
            )]
        }
    }
}

/// A value far from the others of its column.
struct Outlier {
    value: f64,
    typical: f64,
    column: u64,
    step: u64,
    sample: Option<Sample>,
    batch_row: Option<u64>,
}

impl Outlier {
    fn times(&self) -> f64 {
        self.value.abs() / self.typical
    }

    fn owner(&self) -> String {
        match (&self.sample, self.batch_row) {
            (Some(sample), _) => words::sample(sample),
            (None, Some(row)) => format!("row {row} of the batch"),
            (None, None) => "the batch".to_owned(),
        }
    }

    /// As one to blame.
    fn blame(&self) -> BlamedSample {
        BlamedSample {
            sample: self.sample.clone(),
            batch_row: self.batch_row,
            why: format!(
                "{} in column {}, where {} is typical",
                float(self.value),
                self.column,
                float(words::two_digits(self.typical)),
            ),
        }
    }
}

/// The outliers among the data of the last steps, one a sample.
fn outliers(evidence: &Evidence<'_>) -> Vec<Outlier> {
    let mut found: Vec<Outlier> = Vec::new();
    for data in evidence.run.data.iter().filter(|data| data.dtype.contains("float")) {
        for outlier in in_batch(evidence, data) {
            let is_new = found.iter().all(|known| {
                (known.sample.as_ref(), known.batch_row) != (outlier.sample.as_ref(), outlier.batch_row)
            });
            if is_new {
                found.push(outlier);
            }
        }
        let extreme = data.extreme.as_ref().filter(|extreme| {
            extreme.step < evidence.broken.step && extreme.step + LINGERS >= evidence.broken.step
                // Handed over whole at the start, a data set says nothing about when its rows are used.
                && data.tensors > 1
        });
        let typical = |column: u64| typical(data, column as usize);
        if let Some(extreme) = extreme
            && let Some(typical) = typical(extreme.column)
            && extreme.value.abs() >= EXTREME * typical
            && found.is_empty()
        {
            found.push(Outlier {
                value: extreme.value,
                typical,
                column: extreme.column,
                step: extreme.step,
                sample: extreme.sample.clone(),
                batch_row: None,
            });
        }
    }
    found
}

/// The outliers among the elements of the breaking step that are on the record.
fn in_batch(evidence: &Evidence<'_>, data: &DataSeen) -> Vec<Outlier> {
    let Some(view) = evidence.breaking() else { return Vec::new() };
    let columns = data.columns.len() as u64;
    let is_from_here = |index: Index| {
        let sources = view.data_behind(index);
        view.is_of_data(index) && sources.iter().all(|&source| view.place(source) == data.place.as_ref())
    };
    // A whole data set is no batch; the part of it that the step reads is.
    let is_batch = |index: Index, node: &Node| {
        !node.values.is_empty()
            && node.rows.is_some()
            && (node.is_new || view.readers(index).next().is_some())
            && !view.readers(index).any(|reader| matches!(view.node(reader).op.as_str(), "slice" | "select"))
    };
    let tensors = view.nodes().filter(|(index, node)| is_batch(*index, node) && is_from_here(*index));
    let mut found: Vec<Outlier> = Vec::new();
    for (_, node) in tensors {
        let Some(Rows { first, length }) = node.rows else { continue };
        for (position, &value) in node.values.iter().enumerate() {
            let inner: u64 =
                if data.axis == 1 && data.shape.len() >= 4 { data.shape[2..].iter().product() } else { 1 };
            let column = position as u64 / inner.max(1) % columns.max(1);
            let Some(typical) = typical(data, column as usize) else { continue };
            if !value.is_finite() || value.abs() < EXTREME * typical {
                continue;
            }
            let row = first + position as u64 / length.max(1);
            let known = found.iter_mut().find(|known| known.batch_row == Some(row));
            match known {
                Some(known) if known.value.abs() >= value.abs() => {}
                Some(known) => known.value = value,
                None => found.push(Outlier {
                    value,
                    typical,
                    column,
                    step: evidence.broken.step,
                    sample: usize::try_from(row).ok().and_then(|row| evidence.samples.get(row)).cloned(),
                    batch_row: Some(row),
                }),
            }
        }
    }
    // Where many rows hold such values, they are the column's nature.
    let is_rare = found.len() <= 4;
    if is_rare { found } else { Vec::new() }
}

/// Typical magnitude of a column; that of all columns where most of its values are 0.
fn typical(data: &DataSeen, column: usize) -> Option<f64> {
    let own = data.typical.get(column).copied().filter(|typical| *typical > 0.0);
    own.or_else(|| data.typical.iter().copied().filter(|typical| *typical > 0.0).max_by(f64::total_cmp))
}

/// Whether the producer made an infinity by adding, multiplying or raising finite values, and not by dividing by 0.
fn overflowed(evidence: &Evidence<'_>) -> bool {
    let executed = evidence.executed();
    evidence.made_infinity()
        && (is_linear(&executed) || is_exponential(&executed) || is_power(&executed) || executed == "cast")
        && evidence.divisor().is_none()
        && evidence.producer().inputs.iter().all(|seen| seen.range.is_finite())
}
