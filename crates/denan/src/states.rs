//! States of a long PyTorch training that its first run keeps, so that re-runs need not begin at the beginning.
//!
//! The first run writes them (`denan._torch.restart`), where the steps of its loop are known. They lie in a temporary folder
//! and are gone when denan is.

use denan_record::plan::{KeepStates, Restart};
use std::io;
use tempfile::TempDir;

/// Steps that are to lie between a state and the break: what goes wrong has begun before it shows.
const MARGIN: u64 = 50;

/// The folder of the states.
pub struct States {
    /// Removed when this goes.
    _folder: TempDir,
    keep: KeepStates,
}

impl States {
    /// An empty folder for states that are this many seconds apart.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn every(seconds: f64) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("denan-states-").tempdir()?;
        let keep = KeepStates { folder: folder.path().canonicalize()?, seconds };
        Ok(Self { _folder: folder, keep })
    }

    /// What the first run is told.
    pub fn plan(&self) -> KeepStates {
        self.keep.clone()
    }

    /// The last state that lies well before a step; the first one, if none lies so far before it.
    pub fn before(&self, step: u64) -> Option<Restart> {
        let kept = self.keep.kept();
        let well_before = kept.iter().rfind(|state| state.step + MARGIN <= step);
        well_before.or_else(|| kept.first().filter(|state| state.step < step)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_state_well_before_a_step_is_taken() {
        let states = States::every(1.0).unwrap();
        let step = |step| states.before(step).map(|state| state.step);
        assert_eq!(step(1000), None);
        for name in ["400.state", "900.state", "970.state.part", "notes"] {
            std::fs::write(states.plan().folder.join(name), "").unwrap();
        }
        assert_eq!(step(1000), Some(900));
        assert_eq!(step(930), Some(400));
        assert_eq!(step(410), Some(400), "rather near than at the beginning");
        assert_eq!(step(400), None);
    }
}
