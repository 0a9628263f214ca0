//! Whether the training ran away before it broke: the symptom that many causes share.

use super::Evidence;
use super::history::History;
use crate::operators::{is_exponential, is_linear};
use denan_record::model::Role;

/// A loss that many times its early magnitude, and rising, has left the range of noise: a network
/// that predicts nothing at all has about the loss it started with.
pub(crate) const RISEN: f64 = 10.0;

/// A loss that many times its early magnitude has run away, in whatever number of steps.
pub(crate) const RUN_AWAY: f64 = 1e3;

/// How many rises in a row it takes for a loss of [`RISEN`]: one may be a bad batch.
pub(crate) const RISES_IN_A_ROW: usize = 2;

/// How many losses it takes to call a history calm. Below it the updates have to tell.
const ENOUGH_LOSSES: usize = 4;

/// An update as large as the weights replaces what the network was.
pub(crate) const OVERWHELMING_UPDATE: f64 = 1.0;

impl History {
    /// Whether the loss left its range for good.
    pub(crate) fn has_run_away(&self) -> bool {
        let exceeds = |limit| self.loss_growth.is_some_and(|growth| growth >= limit);
        exceeds(RUN_AWAY) || exceeds(RISEN) && self.rises >= RISES_IN_A_ROW
    }

    /// Whether an update swept the weights away before any loss could tell of it: right at the start,
    /// or in the very step before the break.
    pub(crate) fn is_swept_away(&self) -> bool {
        let update = if self.losses.len() < ENOUGH_LOSSES { self.largest_update } else { self.last_update };
        update.is_some_and(|update| update.value >= OVERWHELMING_UPDATE)
    }
}

impl Evidence<'_> {
    /// Whether the producer overflowed over enormous values that the training itself has made.
    pub(crate) fn is_overflow(&self) -> bool {
        let executed = self.executed();
        let precision = self.precision();
        let inputs = || self.producer().inputs.iter().filter(|seen| seen.role != Role::Data);
        let is_enormous =
            is_linear(&executed) && inputs().any(|seen| seen.range.abs_max() > precision.sqrt_max());
        let is_steep = is_exponential(&executed) && inputs().any(|seen| seen.range.max > precision.ln_max());
        let has_enormous_data = self
            .producer()
            .inputs
            .iter()
            .any(|seen| seen.role == Role::Data && seen.range.abs_max() > precision.sqrt_max());
        (is_enormous || is_steep) && !has_enormous_data
    }

    /// Whether the producer made an infinity.
    pub(crate) fn made_infinity(&self) -> bool {
        let output = &self.producer().output.range;
        output.pos_inf + output.neg_inf > 0
    }

    /// Whether values grew too large in some way: the loss ran away, an update swept the weights away, or the
    /// producer overflowed.
    pub(crate) fn blew_up(&self) -> bool {
        self.history.has_run_away() || self.history.is_swept_away() || self.is_overflow()
    }
}
