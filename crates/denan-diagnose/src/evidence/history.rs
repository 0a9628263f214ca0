//! How the training went before it broke.

use denan_record::model::{Break, Run, Step};

/// How many steps before the break an update counts as a possible reason for it.
///
/// A step that is too large breaks a training at once or makes each following step larger; what
/// was large long ago and did no harm has been survived.
const RECENT: usize = 5;

/// The share of an update below which the weights before it cannot be told from the figures after.
///
/// The recorded norms come from float32 values and the update is only about orthogonal to the
/// weights, so a difference of squares within 0.05^2 is noise.
const UNRESOLVED: f64 = 0.05;

/// Root mean square from which weights are large by themselves.
///
/// Every usual initialiser stays at or below 1: LeCun, Glorot and He divide by the fan-in, and
/// embeddings are drawn from N(0, 1).
const LARGE_WEIGHT_RMS: f64 = 1.0;

/// Figures of the finite steps before the break.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct History {
    /// Finite losses by step, ascending; that of the breaking step included if it was finite.
    pub(crate) losses: Vec<(u64, f64)>,
    /// The last known learning rate.
    pub(crate) learning_rate: Option<f64>,
    /// Magnitude of the last finite loss over that of the early ones.
    pub(crate) loss_growth: Option<f64>,
    /// How many times in a row the loss rose, up to the last finite one.
    pub(crate) rises: usize,
    /// Norm of all weights after the last good step over the first known one.
    pub(crate) weight_growth: Option<f64>,
    /// Norm of all gradients in the last finite step over that of the early ones.
    pub(crate) gradient_growth: Option<f64>,
    /// Largest value of any tensor in the last good step over that of the early ones.
    pub(crate) value_growth: Option<f64>,
    /// The largest update of the last [`RECENT`] steps, in units of the weights it changed.
    pub(crate) largest_update: Option<Ratio>,
    /// The update of the last step before the break.
    pub(crate) last_update: Option<Ratio>,
    /// The updates of all steps before the break that are on the record.
    pub(crate) updates: Vec<Ratio>,
}

/// An update against the weights it changed, as Euclidean norms over all parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ratio {
    /// The optimizer step that made it.
    pub(crate) step: u64,
    /// Norm of the update over that of the weights before it.
    pub(crate) value: f64,
    /// Whether `value` is only a lower bound.
    pub(crate) is_lower_bound: bool,
}

impl History {
    /// What the record still knows of the steps up to the break.
    pub(crate) fn before(run: &Run, broken: &Break) -> Self {
        let good: Vec<&Step> = run.steps.iter().filter(|step| step.step < broken.step).collect();
        let breaking = run.steps.iter().find(|step| step.step == broken.step);
        let with_break = || good.iter().copied().chain(breaking);
        let losses: Vec<(u64, f64)> = with_break()
            .filter_map(|step| Some((step.step, step.loss?)))
            .filter(|(_, loss)| loss.is_finite())
            .collect();
        let values: Vec<f64> = losses.iter().map(|(_, loss)| *loss).collect();
        let updates: Vec<Ratio> = good
            .iter()
            .enumerate()
            .filter_map(|(position, step)| {
                let previous = position.checked_sub(1).map(|previous| good[previous]);
                ratio(step, previous.filter(|previous| previous.step + 1 == step.step), run)
            })
            .collect();
        let recent = &updates[updates.len().saturating_sub(RECENT)..];
        let last_good = good.last().map(|step| step.step);
        Self {
            loss_growth: growth(&values),
            rises: rises(&values),
            losses,
            learning_rate: with_break().filter_map(|step| step.learning_rate).next_back(),
            weight_growth: first_to_last(good.iter().map(|step| step.weight_norm)),
            gradient_growth: growth(&finite(with_break().map(|step| step.gradient_norm))),
            value_growth: growth(&finite(good.iter().map(|step| step.largest_value))),
            largest_update: recent.iter().copied().max_by(|a, b| a.value.total_cmp(&b.value)),
            last_update: updates.last().copied().filter(|update| Some(update.step) == last_good),
            updates,
        }
    }

    /// The loss at the foot of its last rise, and the last finite one.
    pub(crate) fn rise(&self) -> Option<(f64, f64)> {
        let foot = self.losses.len().checked_sub(self.rises + 1)?;
        Some((self.losses[foot].1, self.losses.last()?.1))
    }

    /// `the losses before the break: 2.3, 41, 8.1e5`, if there is more than one.
    pub(crate) fn losses_before_break(&self) -> Option<String> {
        let losses = (self.losses.len() > 1).then(|| self.last_losses_in_words())?;
        Some(format!("the losses before the break: {losses}"))
    }

    /// The last finite losses, oldest first: `2.3, 41, 8.1e5`.
    pub(crate) fn last_losses_in_words(&self) -> String {
        let shown = &self.losses[self.losses.len().saturating_sub(RECENT)..];
        let shown: Vec<String> = shown.iter().map(|(_, loss)| denan_finding::number::float(*loss)).collect();
        shown.join(", ")
    }
}

/// Norm of a step's update over that of the weights it changed.
fn ratio(step: &Step, previous: Option<&Step>, run: &Run) -> Option<Ratio> {
    let update = step.update_norm.filter(|norm| norm.is_finite())?;
    let of = |value, is_lower_bound| Some(Ratio { step: step.step, value, is_lower_bound });
    if let Some(before) = previous.and_then(|previous| previous.weight_norm) {
        return if before > 0.0 { of(update / before, false) } else { None };
    }
    // Without the norm before, take the update as orthogonal to the weights, which a gradient in
    // many dimensions nearly is.
    let after = step.weight_norm.filter(|norm| norm.is_finite())?;
    let before = (after * after - update * update).max(0.0).sqrt();
    if before > UNRESOLVED * update {
        return of(update / before, false);
    }
    // The update is nearly all there is: either the weights began at 0, which is harmless, or they
    // were swept away, which shows in their size.
    let sizes = run.parameters.iter().map(|parameter| parameter.shape.iter().product::<u64>());
    let elements: u64 = sizes.sum();
    let rms = after / (elements as f64).sqrt();
    if elements > 0 && rms > LARGE_WEIGHT_RMS { of(1.0 / UNRESOLVED, true) } else { None }
}

/// Magnitude of the last value over that of the early ones.
///
/// The early magnitude is the larger of the first and the median of the earlier half, so that
/// neither one lucky batch nor a good stretch in the middle makes an ordinary value look large.
fn growth(values: &[f64]) -> Option<f64> {
    let (last, earlier) = values.split_last()?;
    let first = earlier.first()?.abs();
    let mut half: Vec<f64> = earlier[..earlier.len().div_ceil(2)].iter().map(|value| value.abs()).collect();
    half.sort_by(f64::total_cmp);
    let early = first.max(half[half.len() / 2]);
    (early > 0.0).then(|| last.abs() / early)
}

fn first_to_last(norms: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let norms = finite(norms);
    let first = norms.iter().copied().find(|norm| *norm > 0.0)?;
    Some(norms.last()? / first)
}

fn finite(values: impl Iterator<Item = Option<f64>>) -> Vec<f64> {
    values.flatten().filter(|value| value.is_finite()).collect()
}

/// How many of the last values are each larger than the one before.
fn rises(values: &[f64]) -> usize {
    values.windows(2).rev().take_while(|pair| pair[1] > pair[0]).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_measured_against_the_early_values() {
        for (values, expected) in [
            (&[][..], None),
            (&[2.0][..], None),
            (&[2.0, 200.0][..], Some(100.0)),
            // One lucky batch at the start.
            (&[1e-6, 2.0, 2.0, 2.0, 4.0][..], Some(2.0)),
            // A good stretch before an ordinary value.
            (&[2.0, 1e-3, 1e-3, 1e-3, 1.0][..], Some(0.5)),
            (&[-2.0, -200.0][..], Some(100.0)),
            (&[0.0, 0.0][..], None),
        ] {
            assert_eq!(growth(values), expected, "{values:?}");
        }
    }

    #[test]
    fn rises_are_counted_from_the_end() {
        for (values, expected) in
            [(&[][..], 0), (&[1.0][..], 0), (&[3.0, 1.0, 2.0, 9.0][..], 2), (&[1.0, 2.0, 2.0][..], 0)]
        {
            assert_eq!(rises(values), expected, "{values:?}");
        }
    }

    #[test]
    fn an_update_is_compared_with_the_weights_it_changed() {
        let step = |step, weight_norm, update_norm| Step {
            step,
            weight_norm: Some(weight_norm),
            update_norm: Some(update_norm),
            ..Step::default()
        };
        let parameter = denan_record::model::Parameter {
            slot: 0,
            name: None,
            shape: vec![100],
            dtype: "float32".to_owned(),
            ..Default::default()
        };
        let run = Run { parameters: vec![parameter], ..Run::default() };
        let value = |now: &Step, before: Option<&Step>| ratio(now, before, &run).map(|r| r.value);

        let before = step(3, 10.0, 0.1);
        assert_eq!(value(&step(4, 12.0, 5.0), Some(&before)), Some(0.5));
        // 5^2 - 4^2 = 3^2.
        assert_eq!(value(&step(0, 5.0, 4.0), None), Some(4.0 / 3.0));
        // Weights of 0 that take their first, small step.
        assert_eq!(value(&step(0, 0.5, 0.5), None), None);
        // The same, but what is left is enormous.
        let swept_away = ratio(&step(0, 5000.0, 5000.0), None, &run).expect("large");
        assert!(swept_away.is_lower_bound);
        assert!(swept_away.value >= 10.0);
    }
}
