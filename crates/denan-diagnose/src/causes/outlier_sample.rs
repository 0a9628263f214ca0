//! One finite but extreme value among ordinary ones makes an activation or gradient overflow.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::Evidence;
use crate::evidence::course::OVERWHELMING_UPDATE;
use crate::evidence::view::{Index, View};
use crate::operators::{is_exponential, is_linear, is_power};
use crate::words;
use denan_finding::number::float;
use denan_finding::{BlamedSample, Finding};
use denan_record::model::{DataSeen, Extreme, Node, Phase, Role, Rows, Sample};

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

/// The same as [`EXTREME`], where the gradient tells that a batch was another one than all before it.
const EXTREME_AT_A_LEAP: f64 = 1e3;

/// A gradient norm over the largest of all steps before it that is no matter of luck, if the loss is the largest as
/// well.
const LEAP: f64 = 10.0;

/// Steps from which it is known how large gradients are.
const ENOUGH_STEPS: usize = 5;

/// An update of a tenth of the weights is no small one any more; a healthy one is a hundredth of that.
const SMALL_UPDATE: f64 = 0.1;

/// Such a value is ten times as large as what the batches on the record hold.
const BESIDE_THE_BATCHES: f64 = 10.0;

/// The gradient leapt, and there is a value in the data set that would make it leap; that it was in that batch is not
/// on the record.
const AT_A_LEAP: f64 = 0.9;

impl Cause for OutlierSample {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        if matches!(evidence.broken.phase, Phase::Input | Phase::Parameter) {
            return None;
        }
        let outliers = outliers(evidence);
        let worst = outliers.iter().max_by(|a, b| a.times().total_cmp(&b.times()))?;
        let confidence = match &worst.leap {
            Some(_) => AT_A_LEAP,
            None if evidence.blew_up() || overflowed(evidence) => IN_THE_BATCH,
            None => BESIDE_IT,
        };
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
            match &worst.leap {
                None => format!("it was {when}, in column {}", worst.column),
                Some(_) => format!("it is in column {} of a data set that is held in memory", worst.column),
            },
        ];
        observations.extend(worst.leap.as_ref().map(|leap| {
            format!(
                "{when}, in step {}, the gradient norm leapt to {} from {} at most, after an update of {} of the weights: that is the doing of the batch, not of the weights",
                leap.step,
                float(words::two_digits(leap.after)),
                float(words::two_digits(leap.before)),
                float(words::two_digits(leap.update)),
            )
        }));
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
    /// What tells its step, if nothing else does.
    leap: Option<Leap>,
}

impl Outlier {
    fn times(&self) -> f64 {
        self.value.abs() / self.typical
    }

    fn owner(&self) -> String {
        match (&self.sample, self.batch_row) {
            (Some(sample), _) => sample.called(),
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
                leap: None,
            });
        }
    }
    if found.is_empty() { in_data_set(evidence).into_iter().collect() } else { found }
}

/// A gradient that is far beyond all before it, after a small update.
struct Leap {
    step: u64,
    before: f64,
    after: f64,
    /// The update between the two, in units of the weights.
    update: f64,
}

impl Leap {
    /// The one that led to the break, if there is one.
    ///
    /// Loss and gradient of a step are those of the weights before its update. So long as these have hardly changed,
    /// what changed is the batch. It led to the break if its own update was as large as the weights, and none since
    /// then was small again.
    fn of(evidence: &Evidence<'_>) -> Option<Self> {
        let steps: Vec<(u64, f64, f64)> = evidence
            .run
            .steps
            .iter()
            .filter(|step| step.step < evidence.broken.step)
            .filter_map(|step| Some((step.step, step.loss?.abs(), step.gradient_norm?)))
            .filter(|(_, loss, norm)| loss.is_finite() && norm.is_finite())
            .collect();
        let updates = &evidence.history.updates;
        let update_of = |step: u64| updates.iter().find(|update| update.step == step).map(|update| update.value);
        (ENOUGH_STEPS..steps.len()).rev().find_map(|at| {
            let (step, loss, after) = steps[at];
            let before = steps[..at].iter().map(|(_, _, norm)| *norm).fold(0.0, f64::max);
            let is_largest_loss = steps[..at].iter().all(|(_, earlier, _)| *earlier < loss);
            let update = update_of(step.checked_sub(1)?)?;
            let leaps =
                before > 0.0 && after >= LEAP * before && is_largest_loss && update < SMALL_UPDATE;
            let leads_to_break = update_of(step)? >= OVERWHELMING_UPDATE
                && updates.iter().all(|update| update.step < step || update.value >= SMALL_UPDATE);
            (leaps && leads_to_break).then_some(Self { step, before, after, update })
        })
    }
}

/// The outlier of a data set that the program holds in memory, where the gradient tells when it was used.
///
/// Of most steps the record has no batch. But a leap of the gradient after a small update comes from the batch, and the
/// batches of other steps are far from such a value.
fn in_data_set(evidence: &Evidence<'_>) -> Option<Outlier> {
    let leap = Leap::of(evidence)?;
    let outliers = evidence.run.data.iter().filter(|data| data.dtype.contains("float")).filter_map(|data| {
        let extreme = data.extreme.as_ref()?;
        let typical = typical(data, extreme.column as usize)?;
        let size = extreme.value.abs();
        let batches = batches_of(evidence, data);
        let is_of_leap = batches.iter().all(|(step, largest)| {
            if *step == leap.step { *largest >= size } else { size >= BESIDE_THE_BATCHES * largest }
        });
        let stands_out = size >= EXTREME_AT_A_LEAP * typical && !batches.is_empty() && is_of_leap;
        let sample = extreme.sample.clone().or(extreme.row.map(|index| Sample { index, name: None }));
        stands_out.then_some((extreme, typical, sample))
    });
    let times = |(extreme, typical, _): &(&Extreme, f64, _)| extreme.value.abs() / typical;
    let (extreme, typical, sample) = outliers.max_by(|a, b| times(a).total_cmp(&times(b)))?;
    Some(Outlier {
        value: extreme.value,
        typical,
        column: extreme.column,
        step: leap.step,
        sample,
        batch_row: None,
        leap: Some(leap),
    })
}

/// The largest magnitude of each batch on the record that was taken from this data set, by step; none if it is no data
/// set of which batches are taken.
fn batches_of(evidence: &Evidence<'_>, data: &DataSeen) -> Vec<(u64, f64)> {
    let of_step = |(step, view): &(u64, View<'_>)| {
        let sets = view.nodes().filter(|(index, node)| {
            node.role == Role::Data
                && node.inputs.is_empty()
                && node.shape == data.shape
                && view.place(*index) == data.place.as_ref()
        });
        let readers = sets.flat_map(|(index, _)| view.readers(index).map(move |reader| (index, reader)));
        let batches = readers.filter(|&(set, reader)| {
            let node = view.node(reader);
            let is_part = node.shape.first() < view.node(set).shape.first();
            is_part && matches!(node.op.as_str(), "select" | "gather" | "slice")
        });
        let largest = batches.map(|(_, batch)| view.node(batch).range.abs_max()).max_by(f64::total_cmp);
        largest.map(|largest| (*step, largest))
    };
    evidence.views.iter().filter_map(of_step).collect()
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
                    leap: None,
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
