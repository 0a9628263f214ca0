//! The updates are larger than the loss surface allows, and the training runs away.

use crate::cause::{Cause, Identity, cause};
use crate::evidence::{Evidence, History, Ratio};
use crate::operators::{is_exponential, is_linear};
use crate::words;
use denan_finding::Finding;
use denan_finding::number::float;
use denan_record::model::{Phase, Role};

pub(crate) struct LearningRateTooHigh;

cause!(LearningRateTooHigh, "learning-rate-too-high");

/// An update of this share of the weights is large.
///
/// A healthy one is about 1e-3 of the weights (Karpathy, CS231n notes, "Ratio of weights:updates");
/// a hundred times that is no fluctuation.
const LARGE_UPDATE: f64 = 0.1;

/// An update as large as the weights replaces what the network was.
const OVERWHELMING_UPDATE: f64 = 1.0;

/// If every recent update is smaller than this, ten times the healthy share, the rate is acquitted
/// whatever the loss does.
const SMALL_UPDATE: f64 = 0.01;

/// A loss that many times its early magnitude, and rising, has left the range of noise: a network
/// that predicts nothing at all has about the loss it started with.
const RISEN: f64 = 10.0;

/// A loss that many times its early magnitude has run away, in whatever number of steps.
const RUN_AWAY: f64 = 1e3;

/// How many rises in a row it takes for a loss of [`RISEN`]: one may be a bad batch.
const RISES_IN_A_ROW: usize = 2;

/// How many losses it takes to call a history calm. Below it the updates have to tell.
const ENOUGH_LOSSES: usize = 4;

/// Growth of the norm of all weights that no ordinary training shows.
const WEIGHTS_BLOWN_UP: f64 = 10.0;

/// Growth of the gradient norm, or of the largest value of any tensor, that goes with divergence.
const GRADIENTS_BLOWN_UP: f64 = 100.0;

/// The loss ran away: the symptom by itself, which other causes share.
const LOSS_RAN_AWAY: f64 = 0.55;

/// The loss had no time to show anything, or broke with the very next value.
const ONLY_UPDATES: f64 = 0.45;

/// Beyond this only an experiment may go: that a lower rate survives is the decisive evidence.
const WITHOUT_EXPERIMENT: f64 = 0.89;

impl Cause for LearningRateTooHigh {
    fn examine(&self, evidence: &Evidence<'_>) -> Option<Finding> {
        // Before the first update the history is empty, and with it everything that speaks for a rate.
        if matches!(evidence.broken.phase, Phase::Input | Phase::Parameter) {
            return None;
        }
        let history = &evidence.history;
        let update = history.largest_update;
        if update.is_some_and(|update| update.value < SMALL_UPDATE) {
            return None;
        }
        let has_run_away = has_run_away(history);
        if !has_run_away && !is_swept_away(history) {
            return None;
        }
        let symptom = if has_run_away { LOSS_RAN_AWAY } else { ONLY_UPDATES };
        let confidence = (symptom + support(evidence)).min(WITHOUT_EXPERIMENT);
        Some(Finding {
            evidence: observations(evidence),
            remedies: remedies(evidence),
            interventions: vec!["lower-learning-rate".to_owned(), "clip-gradients".to_owned()],
            ..self.finding(confidence, summary(history, has_run_away))
        })
    }
}

/// What else speaks for it, each sign with its weight: the size of the updates and an overflow are
/// close to the rate, the growth of norms and loss goes with every divergence.
fn support(evidence: &Evidence<'_>) -> f64 {
    let history = &evidence.history;
    let update = history.largest_update.map(|update| update.value);
    let signs = [
        (exceeds(update, LARGE_UPDATE), 0.1),
        (exceeds(update, OVERWHELMING_UPDATE), 0.05),
        (is_overflow(evidence), 0.1),
        (exceeds(history.weight_growth, WEIGHTS_BLOWN_UP), 0.05),
        (exceeds(history.gradient_growth, GRADIENTS_BLOWN_UP), 0.05),
        (exceeds(history.loss_growth, RUN_AWAY), 0.05),
        (history.rises > RISES_IN_A_ROW, 0.05),
    ];
    signs.iter().filter(|(is_seen, _)| *is_seen).map(|(_, weight)| weight).sum()
}

/// Whether the loss left its range for good.
fn has_run_away(history: &History) -> bool {
    let risen = exceeds(history.loss_growth, RISEN) && history.rises >= RISES_IN_A_ROW;
    risen || exceeds(history.loss_growth, RUN_AWAY)
}

/// Whether an update swept the weights away before any loss could tell of it: right at the start,
/// or in the very step before the break.
fn is_swept_away(history: &History) -> bool {
    let update =
        if history.losses.len() < ENOUGH_LOSSES { history.largest_update } else { history.last_update };
    update.is_some_and(|update| update.value >= OVERWHELMING_UPDATE)
}

/// Whether the producer overflowed over enormous values that the training itself has made.
fn is_overflow(evidence: &Evidence<'_>) -> bool {
    let executed = evidence.executed();
    let precision = evidence.precision();
    let inputs = || evidence.producer().inputs.iter().filter(|seen| seen.role != Role::Data);
    let is_enormous =
        is_linear(&executed) && inputs().any(|seen| seen.range.abs_max() > precision.sqrt_max());
    let is_steep = is_exponential(&executed) && inputs().any(|seen| seen.range.max > precision.ln_max());
    let has_enormous_data = evidence
        .producer()
        .inputs
        .iter()
        .any(|seen| seen.role == Role::Data && seen.range.abs_max() > precision.sqrt_max());
    (is_enormous || is_steep) && !has_enormous_data
}

fn exceeds(growth: Option<f64>, limit: f64) -> bool {
    growth.is_some_and(|growth| growth >= limit)
}

fn summary(history: &History, has_run_away: bool) -> String {
    let rate = match history.learning_rate {
        Some(rate) => format!("the learning rate {} is too high", float(rate)),
        None => "the learning rate is too high".to_owned(),
    };
    let rise = history.rise().filter(|_| has_run_away);
    let rise = rise.map(|(from, to)| format!("the loss went from {} to {}", float(from), float(to)));
    match (rise, history.largest_update) {
        (Some(rise), Some(update)) if update.value >= LARGE_UPDATE => {
            format!("{rate}: {rise}, and updates reached {} times the weights", ratio(update))
        }
        (Some(rise), _) => format!("{rate}: {rise} before the break"),
        (None, Some(update)) => {
            format!("{rate}: the update of step {} was {} times the weights", update.step, ratio(update))
        }
        (None, None) => rate,
    }
}

fn ratio(update: Ratio) -> String {
    let at_least = if update.is_lower_bound { "at least " } else { "" };
    format!("{at_least}{}", rounded(update.value))
}

/// Two digits: the exact factor means nothing.
fn rounded(value: f64) -> String {
    let digits = 10f64.powf(value.abs().log10().floor() - 1.0);
    float((value / digits).round() * digits)
}

fn observations(evidence: &Evidence<'_>) -> Vec<String> {
    let history = &evidence.history;
    let mut seen = Vec::new();
    if history.losses.len() > 1 {
        seen.push(format!(
            "the losses before the break: {} ({} in a row)",
            history.last_losses_in_words(),
            denan_finding::number::counted(history.rises as u64, "rise", "rises"),
        ));
    }
    seen.extend(history.largest_update.map(|update| {
        format!(
            "the update of step {} was {} times the weights; about 0.001 is healthy",
            update.step,
            ratio(update),
        )
    }));
    for (growth, name) in [
        (history.weight_growth, "the norm of the weights"),
        (history.gradient_growth, "the norm of the gradients"),
        (history.value_growth, "the largest value of any tensor"),
    ] {
        let grown = growth.filter(|growth| *growth >= RISEN);
        seen.extend(grown.map(|growth| format!("{name} grew {}-fold", rounded(growth))));
    }
    if is_overflow(evidence) {
        seen.extend(
            evidence
                .producer()
                .inputs
                .iter()
                .map(|input| format!("{}{}", evidence.input_in_words(input), words::at(evidence.producer()))),
        );
    }
    seen
}

fn remedies(evidence: &Evidence<'_>) -> Vec<String> {
    let lower = match evidence.history.learning_rate {
        Some(rate) => format!("lower the learning rate: try {} first", float(rate / 10.0)),
        None => "lower the learning rate: try a tenth first".to_owned(),
    };
    vec![
        lower,
        format!(
            "clip the gradients: {}",
            evidence.code(
                "AdamConfig::new().with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))",
                "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)",
            ),
        ),
        "start with a small rate and raise it over the first steps (warm-up)".to_owned(),
    ]
}
