//! The updates are larger than the loss surface allows, and the training runs away.

use crate::cause::{Cause, Explains, Identity, Names, cause};
use crate::evidence::course::{OVERWHELMING_UPDATE, RISEN, RISES_IN_A_ROW, RUN_AWAY};
use crate::evidence::{Evidence, History, Ratio};
use crate::words;
use denan_finding::Finding;
use denan_finding::number::float;
use denan_record::model::Phase;

pub(crate) struct LearningRateTooHigh;

cause!(LearningRateTooHigh, "learning-rate-too-high");

/// An update of this share of the weights is large.
///
/// A healthy one is about 1e-3 of the weights (Karpathy, CS231n notes, "Ratio of weights:updates");
/// a hundred times that is no fluctuation.
const LARGE_UPDATE: f64 = 0.1;

/// If every recent update is smaller than this, ten times the healthy share, the rate is acquitted
/// whatever the loss does.
const SMALL_UPDATE: f64 = 0.01;

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

/// Confidence from which a runaway training explains what broke in the end: the loss ran away, and
/// the updates or the overflow say so too.
const DIVERGED: f64 = 0.65;

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
        let has_run_away = history.has_run_away();
        if !has_run_away && !history.is_swept_away() {
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
    fn names(&self) -> Names {
        Names::Course
    }

    fn explains(&self) -> &'static [Explains] {
        // Weights that blow up saturate probabilities (log of 0), kill units (division by 0) and carry
        // arguments over the edge of exp. They cannot put a value into the data.
        &[Explains {
            symptoms: &["exp-overflow", "log-of-zero", "division-by-zero", "infinite-gradient"],
            from: DIVERGED,
            leads: true,
            spares_data: true,
        }]
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
        (evidence.is_overflow(), 0.1),
        (exceeds(history.weight_growth, WEIGHTS_BLOWN_UP), 0.05),
        (exceeds(history.gradient_growth, GRADIENTS_BLOWN_UP), 0.05),
        (exceeds(history.loss_growth, RUN_AWAY), 0.05),
        (history.rises > RISES_IN_A_ROW, 0.05),
    ];
    signs.iter().filter(|(is_seen, _)| *is_seen).map(|(_, weight)| weight).sum()
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
    seen.extend(history.losses_before_break().map(|losses| {
        let rises = denan_finding::number::counted(history.rises as u64, "rise", "rises");
        format!("{losses} ({rises} in a row)")
    }));
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
    if evidence.is_overflow() {
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
