//! When a tensor that grows will overflow, at the rate at which it has been growing.
//!
//! The largest magnitude of each tensor is sampled as the training goes on, as its logarithm to base 2: what grows
//! by a factor per step is a line there, and its distance from the largest number of its type is counted in
//! powers of two. A line is fitted through the later half of the samples. It is told only when the overflow is
//! near, which is within a quarter of the steps done so far: a training that has run for 400 steps hears of the
//! next 100. Growth that slows down (a weight that grows by the same amount in each step) is told late for that
//! reason, rather than early.

use std::collections::HashMap;
use std::hash::Hash;

/// Samples after which the growth of a tensor is judged.
const FEWEST_SAMPLES: usize = 8;
/// Samples that are kept of a tensor; every other one goes when there are more.
const MOST_SAMPLES: usize = 64;
/// Steps that count as near however short the training has been.
const NEAREST: f64 = 8.0;
/// Share of the steps done so far within which an overflow is near.
const NEAR: f64 = 0.25;
/// Share of the variation that the line must explain (its coefficient of determination).
const STEADY: f64 = 0.9;
/// Powers of two by which a tensor must have grown over the samples.
const LEAST_GROWTH: f64 = 0.5;
/// Tensors that are followed.
const MOST_TENSORS: usize = 20_000;

/// Something to tell.
#[derive(Clone, Debug, PartialEq)]
pub enum Outlook<K> {
    /// A tensor will overflow soon.
    Near(Overflow<K>),
    /// One of which that was told is not growing as it was.
    Averted(K),
}

/// A coming overflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Overflow<K> {
    /// Of this tensor.
    pub key: K,
    /// Its largest magnitude now.
    pub largest: f64,
    /// Powers of two left.
    pub powers_left: f64,
    /// Powers of two that it gains in a step.
    pub powers_per_step: f64,
    /// Step in which it passes the largest number of its type, at this rate.
    pub step: u64,
}

#[derive(Debug, Default)]
struct Track {
    /// Step and logarithm.
    samples: Vec<(u64, f64)>,
    /// The step that was last told.
    told: Option<u64>,
}

/// Samples tensors, known by keys, and says which will overflow.
#[derive(Debug)]
pub struct Forecaster<K> {
    tracks: HashMap<K, Track>,
    next_sample: u64,
}

impl<K> Default for Forecaster<K> {
    fn default() -> Self {
        Self { tracks: HashMap::new(), next_sample: 0 }
    }
}

impl<K: Copy + Eq + Hash> Forecaster<K> {
    /// Whether it is time for samples of a step that has ended; each step is asked about once.
    pub fn is_due(&mut self, step: u64) -> bool {
        let is_due = step >= self.next_sample;
        if is_due {
            self.next_sample = sample_after(step);
        }
        is_due
    }

    /// Takes in the largest magnitude of a tensor whose type's largest number is 2 to the power of `limit`. Infinities
    /// that are there on purpose, and tensors of nothing but zeros, grow nowhere.
    pub fn sample(&mut self, key: K, step: u64, largest: f64, limit: f64) -> Option<Outlook<K>> {
        if largest == 0.0 || !largest.is_finite() {
            let told = self.tracks.get_mut(&key).and_then(|track| track.told.take());
            return told.map(|_| Outlook::Averted(key));
        }
        if self.tracks.len() >= MOST_TENSORS && !self.tracks.contains_key(&key) {
            return None;
        }
        let track = self.tracks.entry(key).or_default();
        track.add(step, largest.log2());
        match (track.overflow(step, limit), track.told) {
            (Some((powers_left, powers_per_step, at)), told)
                if told.is_none_or(|told| is_news(told, at, step)) =>
            {
                track.told = Some(at);
                Some(Outlook::Near(Overflow { key, largest, powers_left, powers_per_step, step: at }))
            }
            (None, Some(_)) => {
                track.told = None;
                Some(Outlook::Averted(key))
            }
            _ => None,
        }
    }
}

/// The step that is sampled after this one: the longer the training, the fewer of its steps.
fn sample_after(step: u64) -> u64 {
    step + 1 + step / MOST_SAMPLES as u64
}

/// Whether a new estimate differs enough from what was told.
fn is_news(told: u64, new: u64, now: u64) -> bool {
    let left = new.saturating_sub(now).max(1);
    told.abs_diff(new) > left / 4
}

impl Track {
    fn add(&mut self, step: u64, power: f64) {
        if self.samples.len() == MOST_SAMPLES {
            let mut number = 0;
            self.samples.retain(|_| {
                number += 1;
                number % 2 == 0
            });
        }
        self.samples.push((step, power));
    }

    /// Powers of two left, powers of two per step, and the step of the overflow, if that is near.
    fn overflow(&self, now: u64, limit: f64) -> Option<(f64, f64, u64)> {
        if self.samples.len() < FEWEST_SAMPLES {
            return None;
        }
        let later = &self.samples[self.samples.len() / 2..];
        let (first, last) = (later.first()?, later.last()?);
        if last.1 - first.1 < LEAST_GROWTH {
            return None;
        }
        let line = Line::through(later)?;
        let (left, rate) = (limit - last.1, line.slope);
        let steps = left / rate;
        let is_near = steps <= (now as f64 * NEAR).max(NEAREST);
        (rate > 0.0 && line.explained >= STEADY && is_near).then(|| (left, rate, now + steps.ceil() as u64))
    }
}

/// A least-squares line.
struct Line {
    slope: f64,
    /// Coefficient of determination.
    explained: f64,
}

impl Line {
    fn through(points: &[(u64, f64)]) -> Option<Self> {
        let count = points.len() as f64;
        let x = |point: &(u64, f64)| point.0 as f64;
        let mean = |of: &dyn Fn(&(u64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let (mean_x, mean_y) = (mean(&x), mean(&|point| point.1));
        let sum = |of: &dyn Fn(&(u64, f64)) -> f64| points.iter().map(of).sum::<f64>();
        let xx = sum(&|point| (x(point) - mean_x).powi(2));
        let xy = sum(&|point| (x(point) - mean_x) * (point.1 - mean_y));
        let yy = sum(&|point| (point.1 - mean_y).powi(2));
        (xx > 0.0 && yy > 0.0).then(|| Self { slope: xy / xx, explained: xy * xy / (xx * yy) })
    }
}

/// Logarithm to base 2 of the largest finite number of a float type, by its name.
pub fn largest_power(dtype: &str) -> Option<f64> {
    match dtype {
        "float16" => Some(65504_f64.log2()),
        "bfloat16" | "float32" => Some(128.0),
        "float64" => Some(1024.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps at which an overflow is told first, and the step that is named then.
    fn first_told(dtype: &str, steps: u64, power: impl Fn(u64) -> f64) -> Option<(u64, u64)> {
        let (mut track, mut next) = (Track::default(), 0);
        for step in 0..steps {
            if step < next {
                continue;
            }
            next = sample_after(step);
            track.add(step, power(step));
            if let Some((_, _, at)) = track.overflow(step, largest_power(dtype).unwrap()) {
                return Some((step, at));
            }
        }
        None
    }

    #[test]
    fn steady_growth_is_told_in_time_and_its_step_is_right() {
        for rate in [0.01, 0.05, 0.5, 3.0] {
            for dtype in ["float16", "float32", "float64"] {
                let limit = largest_power(dtype).unwrap();
                let truth = ((limit - 1.0) / rate).ceil() as u64;
                if truth < 12 {
                    continue;
                }
                // With a ripple, as real tensors have.
                let power = |step: u64| 1.0 + rate * step as f64 + 0.05 * (step as f64 * 1.7).sin();
                let (told, at) = first_told(dtype, truth, power).unwrap_or_else(|| panic!("{rate} {dtype}"));
                assert!(
                    told < truth && at.abs_diff(truth) <= 2 + (truth - told) / 5,
                    "{rate} {dtype}: {told} {at} {truth}"
                );
            }
        }
    }

    #[test]
    fn what_levels_off_or_swings_is_not_told() {
        let quiet: [&dyn Fn(u64) -> f64; 6] = [
            &|_| 15.5,
            // Large and still: an attention mask of -1e30, a score that is scaled once.
            &|step| 12.0 + 0.4 * (step as f64).sin(),
            &|step| 10.0 * (1.0 - (-(step as f64) / 20.0).exp()),
            // Linear growth of a weight.
            &|step| (1.0 + step as f64 * 0.5).log2(),
            &|step| 8.0 - step as f64 * 0.1,
            // A loss spike that heals.
            &|step| if step % 50 == 49 { 14.0 } else { 2.0 },
        ];
        for (number, power) in quiet.into_iter().enumerate() {
            assert_eq!(first_told("float16", 3000, power), None, "{number}");
        }
    }

    #[test]
    fn linear_growth_is_told_when_it_is_really_near() {
        // 20 more in each step passes 65504 in step 3275.
        let (told, at) = first_told("float16", 3275, |step| (20.0 * (step + 1) as f64).log2()).unwrap();
        assert!(told > 2000 && (2700..=3400).contains(&at), "{told} {at}");
    }
}
