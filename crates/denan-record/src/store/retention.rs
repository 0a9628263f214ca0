//! The flight recorder's rule: which steps stay whole, which keep a row, which go.
//!
//! Pure bookkeeping of step numbers; the writer does what it says.

use std::collections::BTreeMap;

/// How much of a training stays on the record, however long the training is.
///
/// ```
/// let limits = denan_record::store::Limits { whole_steps: 32, ..Default::default() };
/// assert_eq!(limits.thinned_steps, 4096);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Latest steps that keep everything: figures, parameters and batches. At least 1.
    ///
    /// As many steps up to and including the breaking one stay whole for good.
    pub whole_steps: usize,
    /// Older steps that keep their figures: those whose number is a multiple of a stride that
    /// doubles as the training goes on.
    pub thinned_steps: usize,
    /// Older steps that keep their parameters too, chosen in the same way.
    pub thinned_details: usize,
    /// Rows of parameters and samples in the latest steps together (one quantity of one parameter or
    /// one sample is a row of about 100 bytes). A training that makes more of them in
    /// [`whole_steps`](Self::whole_steps) steps keeps fewer steps whole. Older steps have as much again.
    pub detail_rows: usize,
    /// Makes the file system of a test: an SQLite VFS, which decides what locks and maps there are.
    #[doc(hidden)]
    pub vfs: Option<String>,
    /// Makes a full disk in a test: the file never has more pages of 4 KiB than this.
    #[doc(hidden)]
    pub largest_pages: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            whole_steps: 256,
            thinned_steps: 4096,
            thinned_details: 64,
            detail_rows: 1_000_000,
            vfs: None,
            largest_pages: None,
        }
    }
}

/// What is to go from the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forget {
    /// The batches that a step consumed.
    Batches(u64),
    /// The parameters of a step.
    Parameters(u64),
    /// The step's own figures.
    Step(u64),
}

/// What is on the record at the moment.
#[derive(Debug)]
pub(super) struct Retention {
    limits: Limits,
    /// Steps that are whole, and batches that wait for their step.
    window: BTreeMap<u64, Whole>,
    whole_steps: usize,
    window_rows: usize,
    /// Steps that led to the break; they stay as they are.
    pinned: Option<(u64, u64)>,
    thinned: Thinned,
    detailed: Thinned,
}

#[derive(Debug, Default)]
struct Whole {
    has_step: bool,
    parameter_rows: usize,
    batch_rows: usize,
}

impl Retention {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            window: BTreeMap::new(),
            whole_steps: 0,
            window_rows: 0,
            pinned: None,
            thinned: Thinned::new(limits.thinned_steps, usize::MAX),
            detailed: Thinned::new(limits.thinned_details, limits.detail_rows),
            limits,
        }
    }

    /// A step was told, with so many rows of parameters. A step that is told again replaces itself.
    pub(super) fn add_step(&mut self, step: u64, rows: usize) -> Vec<Forget> {
        // An old step that is told again is whole again: what thins the old ones out must not see it.
        self.thinned.remove(step);
        self.detailed.remove(step);
        let whole = self.window.entry(step).or_default();
        self.whole_steps += usize::from(!whole.has_step);
        self.window_rows = self.window_rows - whole.parameter_rows + rows;
        whole.has_step = true;
        whole.parameter_rows = rows;
        self.shrink()
    }

    /// A batch of a step was told, with so many samples.
    pub(super) fn add_batch(&mut self, step: u64, samples: usize) -> Vec<Forget> {
        let rows = samples + 1;
        self.window.entry(step).or_default().batch_rows += rows;
        self.window_rows += rows;
        self.shrink()
    }

    /// The training broke: what is still whole of the steps before stays so.
    pub(super) fn pin(&mut self, break_step: u64) {
        let before = self.limits.whole_steps.max(1) as u64 - 1;
        self.pinned = Some((break_step.saturating_sub(before), break_step));
    }

    fn shrink(&mut self) -> Vec<Forget> {
        let mut forgotten = Vec::new();
        let whole_steps = self.limits.whole_steps.max(1);
        // Batches may be consumed ahead of their steps, or never lead to one.
        let entries = whole_steps.saturating_mul(2);
        while self.window.len() > 1
            && (self.whole_steps > whole_steps
                || self.window.len() > entries
                || self.window_rows > self.limits.detail_rows)
        {
            let Some((step, whole)) = self.window.pop_first() else {
                break;
            };
            self.whole_steps -= usize::from(whole.has_step);
            self.window_rows -= whole.parameter_rows + whole.batch_rows;
            if self.pinned.is_some_and(|(first, last)| (first..=last).contains(&step)) {
                continue;
            }
            if whole.batch_rows > 0 {
                forgotten.push(Forget::Batches(step));
            }
            if whole.has_step {
                self.thin(step, whole.parameter_rows, &mut forgotten);
            }
        }
        forgotten
    }

    fn thin(&mut self, step: u64, rows: usize, forgotten: &mut Vec<Forget>) {
        let steps = self.thinned.add(step, 0);
        // No step keeps its parameters without its figures: both strides are powers of two, and
        // this makes the one a multiple of the other.
        let mut details = self.detailed.raise_stride(self.thinned.stride);
        if rows > 0 {
            details.extend(self.detailed.add(step, rows));
        }
        forgotten.extend(details.into_iter().map(Forget::Parameters));
        forgotten.extend(steps.into_iter().map(Forget::Step));
    }
}

/// Steps at multiples of a stride, never more than a given number of them.
#[derive(Debug)]
struct Thinned {
    /// A power of two.
    stride: u64,
    /// With the rows of each.
    steps: BTreeMap<u64, usize>,
    rows: usize,
    most_steps: usize,
    most_rows: usize,
}

impl Thinned {
    fn new(most_steps: usize, most_rows: usize) -> Self {
        Self { stride: 1, steps: BTreeMap::new(), rows: 0, most_steps, most_rows }
    }

    /// Takes a step in; returns those that go for it, itself perhaps among them.
    fn add(&mut self, step: u64, rows: usize) -> Vec<u64> {
        if !step.is_multiple_of(self.stride) {
            return vec![step];
        }
        self.remove(step);
        self.steps.insert(step, rows);
        self.rows += rows;
        let mut gone = Vec::new();
        // What remains in the end is step 0, whatever the limits.
        while self.steps.len() > 1
            && (self.steps.len() > self.most_steps || self.rows > self.most_rows)
            && let Some(stride) = self.stride.checked_mul(2)
        {
            gone.extend(self.raise_stride(stride));
        }
        gone
    }

    /// Returns the steps that go for it.
    fn raise_stride(&mut self, stride: u64) -> Vec<u64> {
        if stride <= self.stride {
            return Vec::new();
        }
        self.stride = stride;
        let gone: Vec<u64> = self.steps.keys().copied().filter(|step| !step.is_multiple_of(stride)).collect();
        for step in &gone {
            self.remove(*step);
        }
        gone
    }

    fn remove(&mut self, step: u64) {
        if let Some(rows) = self.steps.remove(&step) {
            self.rows -= rows;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// A record without a file: only which steps have what.
    #[derive(Default)]
    struct Kept {
        steps: BTreeSet<u64>,
        parameters: BTreeSet<u64>,
        batches: BTreeSet<u64>,
    }

    impl Kept {
        fn forget(&mut self, forgotten: Vec<Forget>) {
            for forget in forgotten {
                match forget {
                    Forget::Batches(step) => self.batches.remove(&step),
                    Forget::Parameters(step) => self.parameters.remove(&step),
                    Forget::Step(step) => self.steps.remove(&step),
                };
            }
        }

        fn tell(&mut self, retention: &mut Retention, step: u64, rows: usize) {
            self.batches.insert(step);
            self.forget(retention.add_batch(step, 1));
            self.steps.insert(step);
            if rows > 0 {
                self.parameters.insert(step);
            } else {
                self.parameters.remove(&step);
            }
            self.forget(retention.add_step(step, rows));
        }
    }

    fn limits(whole_steps: usize, thinned_steps: usize, thinned_details: usize) -> Limits {
        Limits { whole_steps, thinned_steps, thinned_details, ..Limits::default() }
    }

    fn list(steps: &BTreeSet<u64>) -> Vec<u64> {
        steps.iter().copied().collect()
    }

    #[test]
    fn late_steps_are_whole_and_early_ones_lie_at_a_stride() {
        let mut retention = Retention::new(limits(3, 4, 2));
        let mut kept = Kept::default();
        for step in 0..20 {
            kept.tell(&mut retention, step, 6);
        }
        assert_eq!(list(&kept.steps), [0, 8, 16, 17, 18, 19]);
        assert_eq!(list(&kept.parameters), [0, 16, 17, 18, 19]);
        assert_eq!(list(&kept.batches), [17, 18, 19]);
    }

    #[test]
    fn the_steps_before_a_break_stay_whole_for_good() {
        let mut retention = Retention::new(limits(3, 4, 2));
        let mut kept = Kept::default();
        for step in 0..100 {
            if step == 9 {
                // A break is told before its step ends.
                retention.pin(9);
            }
            kept.tell(&mut retention, step, 6);
        }
        for pinned in [7, 8, 9] {
            assert!(kept.steps.contains(&pinned), "{:?}", kept.steps);
            assert!(kept.parameters.contains(&pinned), "{:?}", kept.parameters);
            assert!(kept.batches.contains(&pinned), "{:?}", kept.batches);
        }
        assert_eq!(list(&kept.batches), [7, 8, 9, 97, 98, 99]);
    }

    #[test]
    fn many_rows_make_the_window_shorter() {
        let mut retention = Retention::new(Limits { detail_rows: 50, ..limits(256, 4096, 64) });
        let mut kept = Kept::default();
        for step in 0..40 {
            kept.tell(&mut retention, step, 10);
        }
        assert_eq!(list(&kept.batches), [36, 37, 38, 39]);
        assert_eq!(list(&kept.parameters), [0, 8, 16, 24, 32, 36, 37, 38, 39]);
        assert_eq!(kept.steps.len(), 40);
        kept.tell(&mut retention, 40, 1000);
        assert!(kept.parameters.contains(&40), "the last step is always whole");
    }

    #[test]
    fn an_old_step_that_is_told_again_is_whole_again() {
        let mut retention = Retention::new(limits(2, 2, 1));
        let mut kept = Kept::default();
        for step in [187, 186, 126, 186, 2, 162, 86, 30, 14] {
            kept.tell(&mut retention, step, 20);
            assert!(kept.parameters.is_subset(&kept.steps), "{:?} {:?}", kept.parameters, kept.steps);
        }
    }

    #[test]
    fn batches_that_never_lead_to_a_step_go_as_well() {
        let mut retention = Retention::new(limits(3, 4, 2));
        let mut kept = Kept::default();
        for step in 0..1000 {
            kept.batches.insert(step);
            kept.forget(retention.add_batch(step, 5));
        }
        assert_eq!(kept.batches.len(), 6);
    }

    proptest! {
        #[test]
        fn the_record_is_bounded_whatever_comes(
            told in prop::collection::vec((0u64..200, 0usize..40), 1..300),
            whole in 0usize..6,
            thinned in 0usize..9,
            details in 0usize..12,
            detail_rows in 0usize..100,
        ) {
            let mut retention =
                Retention::new(Limits { detail_rows, ..limits(whole, thinned, details) });
            let mut kept = Kept::default();
            let mut newest = 0;
            for (step, rows) in told {
                kept.tell(&mut retention, step, rows);
                prop_assert!(kept.steps.len() <= whole.max(1) + thinned.max(1));
                prop_assert!(kept.batches.len() <= 2 * whole.max(1));
                prop_assert!(kept.parameters.len() <= whole.max(1) + details.max(1));
                prop_assert!(kept.parameters.is_subset(&kept.steps));
                newest = newest.max(step);
                prop_assert!(kept.steps.contains(&newest));
            }
        }
    }
}
