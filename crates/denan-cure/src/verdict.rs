//! Judging one re-run: is it the same training, did it outlive the break, does it still learn?

use denan_finding::Verdict;
use denan_record::model::{Ending, Run, Step};

/// Steps over which the loss is averaged when two ends of a training are compared.
const AVERAGED: usize = 10;
/// A loss that ends this many times higher than it began runs away.
const RUNS_AWAY: f64 = 2.0;
/// The same over the first losses alone: where the run-away begins within the first steps, their mean is part of it.
const RUNS_AWAY_AT_ONCE: f64 = 100.0;
/// Losses that count as the first ones.
const FIRST: usize = 3;
/// A loss must fall by this share of itself over the re-run to count as learning …
const LEAST_PROGRESS: f64 = 0.01;
/// … unless the updates are this large in relation to the weights and the loss is no worse than
/// it was before the break. 1e-3 is usual; a thousandth of that moves nothing.
const LEAST_UPDATE: f64 = 1e-6;

/// How many steps a re-run makes: past the break by 50 steps or half of the way to it, whichever is more; by three
/// times the way where something drifted, which a weak cure only slows down.
pub fn steps_to_outlive(break_step: u64, has_drifted: bool) -> u64 {
    let further = if has_drifted { 3 * break_step } else { break_step / 2 };
    break_step + 1 + further.max(50)
}

/// What came of a re-run.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Why, where the verdict alone does not say it.
    pub reason: Option<String>,
    /// What it does instead of learning, where it survived.
    pub misbehaviour: Option<Misbehaviour>,
    /// Steps the re-run made; those that it skipped do not count.
    pub steps: u64,
    /// Loss of its first step.
    pub loss_start: Option<f64>,
    /// Mean loss of its last steps.
    pub loss_end: Option<f64>,
}

impl Judgement {
    /// Whether it survived but no longer moves: the intervention was too strong rather than too weak.
    pub fn stands_still(&self) -> bool {
        self.misbehaviour.is_some_and(|misbehaviour| misbehaviour != Misbehaviour::RunsAway)
    }

    /// Whether the intervention was too weak: the training still breaks, or its loss runs away.
    pub fn is_too_weak(&self) -> bool {
        self.verdict == Verdict::Broke || self.misbehaviour == Some(Misbehaviour::RunsAway)
    }
}

/// Whether a re-run repeats the recorded training bit by bit, over the steps below `before` that it made.
/// `Err` names the first step that differs.
pub fn reproduces(recorded: &Run, again: &Run, before: u64) -> Result<(), u64> {
    let from = again.began_at;
    let mut others = again.steps.iter().filter(|step| step.step < before).peekable();
    for step in recorded.steps.iter().filter(|step| (from..before).contains(&step.step)) {
        while others.next_if(|other| other.step < step.step).is_some() {}
        match others.peek() {
            Some(other) if other.step == step.step && other.loss_bits == step.loss_bits => {}
            // The re-run's own record may be thinned out there, which proves nothing.
            Some(other) if other.step > step.step => {}
            _ => return Err(step.step),
        }
    }
    Ok(())
}

/// Judges a re-run that was to go on up to step `planned`, whose intervention could first matter in step `matters_from`.
pub fn judge(recorded: &Run, again: &Run, matters_from: u64, planned: u64) -> Judgement {
    let end = again.steps.last().map_or(0, |step| step.step + 1);
    let steps = end.saturating_sub(again.began_at);
    let loss_start = again.steps.first().and_then(|step| step.loss);
    let loss_end = mean_loss(tail(&again.steps));
    let judged =
        |verdict, reason| Judgement { verdict, reason, misbehaviour: None, steps, loss_start, loss_end };
    if let Err(step) = reproduces(recorded, again, matters_from) {
        return judged(
            Verdict::NotReproduced,
            Some(format!(
                "the re-run's loss differs from the record at step {step}, before the change could matter; seed \
                 what the program draws, and load data without workers, whose batches come in no fixed order"
            )),
        );
    }
    if let Some(again_break) = &again.first_break {
        let op = &again_break.producer.op;
        return judged(Verdict::Broke, Some(format!("broke at step {} in {op}", again_break.step)));
    }
    if end < planned && again.ending != Some(Ending::Completed) {
        return judged(Verdict::Unstable, Some(format!("the re-run ended by itself after {steps} steps")));
    }
    match learns(recorded, again) {
        Ok(()) => judged(Verdict::Survived, None),
        Err(misbehaviour) => Judgement {
            misbehaviour: Some(misbehaviour),
            ..judged(Verdict::Unstable, Some(misbehaviour.in_words(&again.steps)))
        },
    }
}

/// Judges a re-run up to step `end`, whose intervention matters from the first one on.
pub fn judge_start(recorded: &Run, again: &Run, end: u64) -> Judgement {
    let mut start = again.clone();
    start.steps.retain(|step| step.step < end);
    start.first_break = start.first_break.filter(|found| found.step < end);
    judge(recorded, &start, 0, end)
}

/// What a surviving re-run does instead of learning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// Its loss rises without end.
    RunsAway,
    /// Its updates are next to nothing.
    HardlyMoves,
    /// Its loss neither falls nor is as low as it was before the break.
    DoesNotLearn,
}

impl Misbehaviour {
    fn in_words(self, steps: &[Step]) -> String {
        let ends = mean_loss(head(steps)).zip(mean_loss(tail(steps)));
        let losses = ends.map(|(start, end)| format!(": {start:.4} → {end:.4}")).unwrap_or_default();
        match self {
            Self::RunsAway => format!("survives, but its loss runs away{losses}"),
            Self::HardlyMoves => "survives, but its updates are next to nothing".to_owned(),
            Self::DoesNotLearn => format!("survives, but no longer learns{losses}"),
        }
    }
}

/// Whether the loss of a surviving re-run behaves; `Err` says what it does instead.
fn learns(recorded: &Run, again: &Run) -> Result<(), Misbehaviour> {
    let begins_late = again.began_at > 0;
    // A run that begins late has learned most of what it will: a single batch of a high loss must not count for more.
    let level = if begins_late { median_loss } else { mean_loss };
    let (Some(start), Some(end)) = (level(head(&again.steps)), level(tail(&again.steps))) else {
        return Ok(());
    };
    let before = before_break(recorded, again.began_at);
    // … and goes up and down as it did when all was well.
    let start = if begins_late { before.map_or(start, |before| before.max(start)) } else { start };
    // Losses may be negative (likelihoods), so what counts is the way in relation to the size.
    let size = start.abs().max(end.abs()).max(f64::MIN_POSITIVE);
    if end - start > (RUNS_AWAY - 1.0) * start.abs().max(f64::MIN_POSITIVE) && end - start > 0.5 * size {
        return Err(Misbehaviour::RunsAway);
    }
    if first_loss(&again.steps)
        .is_some_and(|first| end - first > RUNS_AWAY_AT_ONCE * first.abs() && first != 0.0)
    {
        return Err(Misbehaviour::RunsAway);
    }
    let ratio = again
        .steps
        .iter()
        .rev()
        .take(AVERAGED)
        .filter_map(|step| Some(step.update_norm? / step.weight_norm?))
        .fold(None, |most: Option<f64>, ratio| Some(most.map_or(ratio, |most| most.max(ratio))));
    if ratio.is_some_and(|ratio| ratio < LEAST_UPDATE) {
        return Err(Misbehaviour::HardlyMoves);
    }
    if (start - end) / size >= LEAST_PROGRESS {
        return Ok(());
    }
    match before {
        Some(before) if end <= before + 0.1 * before.abs() => Ok(()),
        // A break in the very first steps leaves nothing to compare with.
        None if end <= start + 0.1 * size => Ok(()),
        _ => Err(Misbehaviour::DoesNotLearn),
    }
}

/// The loss of the last steps before the break; of a re-run that began with a later step than the first one, the highest
/// level of the steps between.
fn before_break(recorded: &Run, began_at: u64) -> Option<f64> {
    let is_before = |step: &Step| recorded.first_break.as_ref().is_none_or(|first| step.step < first.step);
    let steps: Vec<Step> =
        recorded.steps.iter().filter(|step| step.step >= began_at && is_before(step)).cloned().collect();
    if began_at == 0 {
        return mean_loss(tail(&steps));
    }
    steps.windows(AVERAGED).filter_map(median_loss).max_by(f64::total_cmp)
}

/// The median of the first losses.
fn first_loss(steps: &[Step]) -> Option<f64> {
    let mut losses: Vec<f64> = steps.iter().take(FIRST).filter_map(|step| step.loss).collect();
    losses.sort_by(f64::total_cmp);
    losses.get(losses.len() / 2).copied().filter(|loss| loss.is_finite())
}

/// The higher one of two in the middle.
fn median_loss(steps: &[Step]) -> Option<f64> {
    let mut losses: Vec<f64> =
        steps.iter().filter_map(|step| step.loss).filter(|loss| loss.is_finite()).collect();
    losses.sort_by(f64::total_cmp);
    losses.get(losses.len() / 2).copied()
}

fn head(steps: &[Step]) -> &[Step] {
    &steps[..steps.len().min(AVERAGED)]
}

fn tail(steps: &[Step]) -> &[Step] {
    &steps[steps.len().saturating_sub(AVERAGED)..]
}

fn mean_loss(steps: &[Step]) -> Option<f64> {
    let losses: Vec<f64> =
        steps.iter().filter_map(|step| step.loss).filter(|loss| loss.is_finite()).collect();
    (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(losses: impl IntoIterator<Item = f64>) -> Run {
        let steps = losses
            .into_iter()
            .enumerate()
            .map(|(step, loss)| Step {
                step: step as u64,
                loss: Some(loss),
                loss_bits: Some((loss as f32).to_bits().into()),
                update_norm: Some(1e-3),
                weight_norm: Some(1.0),
                ..Step::default()
            })
            .collect();
        Run { steps, ending: Some(Ending::StoppedAtStep), ..Run::default() }
    }

    fn falling(count: usize) -> Run {
        run((0..count).map(|step| 2.0 / (1.0 + step as f64 / 10.0)))
    }

    #[test]
    fn a_falling_loss_survives() {
        assert_eq!(judge(&falling(20), &falling(80), 20, 80).verdict, Verdict::Survived);
    }

    #[test]
    fn a_different_beginning_is_no_experiment() {
        let mut other = falling(80);
        other.steps[3].loss_bits = Some(1);
        let judged = judge(&falling(20), &other, 20, 80);
        assert_eq!(judged.verdict, Verdict::NotReproduced);
        assert!(judged.reason.unwrap().contains("step 3"));
        assert_eq!(
            judge(&falling(20), &other, 3, 80).verdict,
            Verdict::Survived,
            "from step 3 on it may differ"
        );
    }

    #[test]
    fn surviving_without_learning_is_no_cure() {
        let flat = run(std::iter::repeat_n(2.0, 80));
        assert_eq!(judge(&falling(20), &flat, 0, 80).verdict, Verdict::Unstable);
        let mut frozen = falling(80);
        for step in &mut frozen.steps {
            step.update_norm = Some(1e-12);
        }
        assert_eq!(judge(&falling(20), &frozen, 0, 80).verdict, Verdict::Unstable);
        let rising = run((0..80).map(|step| 1.0 + step as f64));
        assert_eq!(judge(&falling(20), &rising, 0, 80).verdict, Verdict::Unstable);
    }

    #[test]
    fn a_loss_that_has_run_away_at_once_and_comes_down_a_little_is_no_cure() {
        let blown_up = [6.0, 80.0, 3e7].into_iter().chain((0..77).map(|step| 1e24 / (1.0 + step as f64)));
        let judged = judge(&falling(20), &run(blown_up), 0, 80);
        assert_eq!(judged.verdict, Verdict::Unstable);
        assert!(judged.reason.unwrap().contains("runs away"));
    }

    #[test]
    fn the_start_of_a_re_run_is_judged_as_if_it_had_ended_there() {
        let later = falling(40).steps.into_iter().map(|step| step.loss.unwrap());
        let later = run(later.chain((0..40).map(|step| 10.0_f64.powi(step))));
        let judged = judge(&falling(20), &later, 0, 80);
        assert!(judged.is_too_weak() && !judged.stands_still(), "{judged:?}");
        let start = judge_start(&falling(20), &later, 40);
        assert_eq!((start.verdict, start.steps), (Verdict::Survived, 40));
    }

    #[test]
    fn a_run_that_begins_late_is_measured_by_what_the_loss_was_then() {
        let noisy = |step: u64| 0.05 + 0.03 * ((step * 7 % 11) as f64 / 10.0);
        let mut recorded = run((0..400).map(noisy));
        recorded.first_break = None;
        let mut late = run((0..200).map(|step| if step == 195 { 2.0 } else { noisy(step + 300) }));
        for step in &mut late.steps {
            step.step += 300;
        }
        late.began_at = 300;
        let judged = judge(&recorded, &late, 0, 500);
        assert_eq!((judged.verdict, judged.steps), (Verdict::Survived, 200), "{judged:?}");
        for step in &mut late.steps[100..] {
            step.loss = step.loss.map(|loss| 3.0 * loss);
        }
        assert!(judge(&recorded, &late, 0, 500).is_too_weak(), "its loss is three times as high to the end");
    }

    #[test]
    fn an_early_end_is_no_survival() {
        let mut short = falling(30);
        short.ending = None;
        assert_eq!(judge(&falling(20), &short, 20, 80).verdict, Verdict::Unstable);
    }

    #[test]
    fn a_re_run_outlives_the_break_by_fifty_steps_or_half() {
        assert_eq!(steps_to_outlive(7, false), 58);
        assert_eq!(steps_to_outlive(1000, false), 1501);
        assert_eq!(steps_to_outlive(100, true), 401);
    }
}
