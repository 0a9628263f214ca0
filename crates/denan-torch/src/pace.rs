//! Which steps have their gradients and values gone through.
//!
//! The loss is read in every step, and so are a few small gradients. To go through all gradients and all values costs
//! a pass over the memory of the network twice, a tenth of a small step and more. A NaN that has reached a parameter
//! stays there, so it is enough to look now and then: as often as a hundredth of the training's time pays for. What
//! is noticed late is placed exactly by a second run.

use std::time::Duration;

/// Steps at the beginning that are all gone through: most sick trainings break there.
const FIRST: u64 = 16;
/// Share of the training's time that may go into it.
const SHARE: f64 = 0.01;
/// The longest that a bad parameter may stay unseen, in steps.
const LONGEST: u64 = 256;
/// How often processes that train together do it, all of them in the same steps.
const IN_STEP: u64 = 16;
/// Weight of the newest of the times that are averaged.
const NEWEST: f64 = 0.25;

/// An average that forgets.
#[derive(Clone, Copy, Debug, Default)]
struct Average(Option<f64>);

impl Average {
    fn take(&mut self, seconds: f64) {
        self.0 = Some(self.0.map_or(seconds, |known| known + NEWEST * (seconds - known)));
    }
}

/// Decides which steps are gone through.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Every step from this one on, whatever it costs.
    always_from: Option<u64>,
    /// In the same steps as other processes do, whatever it costs.
    is_in_step: bool,
    /// The next one that is.
    next: u64,
    /// Seconds of watching in a step that is gone through.
    full: Average,
    /// The least in one that is not: one slow step must not make the others look dear, since where nothing seems to be
    /// gained there would be no more of them.
    light: Option<f64>,
    /// Seconds of a step without the watching.
    bare: Average,
}

impl Pace {
    /// Goes through every step from `always_from` on, if there is such a step, and before it as often as time allows.
    pub fn new(always_from: Option<u64>) -> Self {
        Self { always_from, ..Self::default() }
    }

    /// For one of several processes that train together.
    pub fn in_step(always_from: Option<u64>) -> Self {
        Self { is_in_step: true, ..Self::new(always_from) }
    }

    /// Whether a step is gone through by each of several processes.
    pub fn is_in_step(&self, step: u64) -> bool {
        step.is_multiple_of(IN_STEP)
    }

    /// Whether a step is gone through.
    pub fn is_full(&self, step: u64) -> bool {
        if self.is_in_step && step >= FIRST && self.always_from.is_none_or(|from| step < from) {
            return self.is_in_step(step);
        }
        step < FIRST || step >= self.next || self.always_from.is_some_and(|from| step >= from)
    }

    /// A step is over, of which `watching` went into what denan did. The next one that is gone through is at least `least`
    /// steps away.
    pub fn ended(&mut self, step: u64, whole: Duration, watching: Duration, least: u64) {
        // The first step resolves names and lines; its time says nothing of the others.
        if step == 0 {
            return;
        }
        self.bare.take(whole.saturating_sub(watching).as_secs_f64());
        if !self.is_full(step) {
            let seconds = watching.as_secs_f64();
            self.light = Some(self.light.map_or(seconds, |least| least.min(seconds)));
            return;
        }
        self.full.take(watching.as_secs_f64());
        let cost = self.full.0.unwrap_or(0.0) - self.light.unwrap_or(0.0);
        let budget = SHARE * self.bare.0.unwrap_or(0.0);
        let interval = if cost <= budget { 1.0 } else { cost / budget };
        // A budget of nothing makes this infinite, which the cast brings to the largest number.
        self.next = step + (interval.ceil() as u64).clamp(least, LONGEST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps that are gone through, of a training with such step times in microseconds.
    fn full_steps(mut pace: Pace, steps: u64, bare: u64, light: u64, full: u64) -> Vec<u64> {
        let mut found = Vec::new();
        for step in 0..steps {
            let watching = if pace.is_full(step) {
                found.push(step);
                full
            } else {
                light
            };
            pace.ended(step, Duration::from_micros(bare + watching), Duration::from_micros(watching), 1);
        }
        found
    }

    #[test]
    fn what_costs_nothing_is_done_in_every_step() {
        assert_eq!(full_steps(Pace::new(None), 100, 1000, 1, 9).len(), 100);
    }

    #[test]
    fn what_costs_a_tenth_is_done_in_every_tenth_step() {
        let steps = full_steps(Pace::new(None), 2000, 1000, 10, 110);
        assert!(steps.starts_with(&(0..FIRST).collect::<Vec<_>>()));
        let later = steps.len() - FIRST as usize;
        assert!((190..=210).contains(&later), "{later}");
    }

    #[test]
    fn one_slow_step_does_not_end_it() {
        let mut pace = Pace::new(None);
        for step in 0..1000 {
            let is_first_light = step == FIRST + 10;
            let watching = if pace.is_full(step) || is_first_light { 110 } else { 10 };
            pace.ended(step, Duration::from_micros(1000 + watching), Duration::from_micros(watching), 1);
        }
        assert!(!pace.is_full(pace.next - 1), "{pace:?}");
    }

    #[test]
    fn however_dear_it_is_done_now_and_then() {
        let steps = full_steps(Pace::new(None), 2000, 1, 0, 1_000_000);
        let gaps: Vec<u64> = steps.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(gaps.iter().max(), Some(&LONGEST));
    }

    #[test]
    fn processes_that_train_together_do_it_in_the_same_steps() {
        for cost in [0, 1000] {
            let steps = full_steps(Pace::in_step(None), 64, 100, 0, cost);
            assert_eq!(steps, (0..FIRST).chain([16, 32, 48]).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_run_that_is_there_for_it_does_it_in_every_step() {
        let steps = full_steps(Pace::new(Some(40)), 100, 1, 0, 1000);
        assert_eq!(steps, (0..FIRST).chain(40..100).collect::<Vec<_>>());
    }
}
