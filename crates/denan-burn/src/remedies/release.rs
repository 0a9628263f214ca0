//! A backbone that is frozen first and released little by little.

/// When a pretrained part begins to be trained, and how fast.
///
/// A new head makes large, meaningless gradients at first; what they would do to a pretrained backbone cannot be
/// undone. So the backbone waits, and begins with a rate that rises from nothing to a share of the head's (Howard
/// and Ruder 2018, "Universal language model fine-tuning", section 3.2).
///
/// ```
/// use denan_burn::remedies::Release;
///
/// let release = Release { at: 100, over: 50, share: 0.1 };
/// let head = 1e-3;
/// assert_eq!(release.rate(99, head), None, "still frozen: make no step of it");
/// assert!(release.rate(100, head).unwrap() < 1e-5);
/// assert_eq!(release.rate(150, head), Some(1e-4));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Release {
    /// 0-based step in which it begins.
    pub at: usize,
    /// Steps over which its rate rises evenly.
    pub over: usize,
    /// Its rate in the end, as a share of the rest's.
    pub share: f64,
}

impl Release {
    /// The rate of the part in a step, when the rest has `rate`; `None` while it is frozen.
    pub fn rate(&self, step: usize, rate: f64) -> Option<f64> {
        let since = step.checked_sub(self.at)?;
        let risen = if self.over == 0 { 1.0 } else { ((since + 1) as f64 / self.over as f64).min(1.0) };
        Some(rate * self.share * risen)
    }
}
