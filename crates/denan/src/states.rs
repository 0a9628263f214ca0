//! States of a long PyTorch training that its first run keeps, so that re-runs need not begin at the beginning.
//!
//! The first run writes them (`denan._torch.restart`), where the steps of its loop are known. They lie in a temporary folder
//! and are gone when denan is.

use crate::temporary::Temporary;
use denan_record::plan::{KeepStates, Restart};
use std::io;
use std::path::PathBuf;

/// Steps that are to lie between a state and the break: what goes wrong has begun before it shows.
const MARGIN: u64 = 50;

/// The folder of the states.
pub struct States {
    folder: Temporary,
    seconds: f64,
}

impl States {
    /// An empty folder for states that are this many seconds apart.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn every(seconds: f64) -> io::Result<Self> {
        Ok(Self { folder: Temporary::new("denan-states-")?, seconds })
    }

    /// What the first run is told.
    pub fn plan(&self) -> KeepStates {
        KeepStates { folder: self.folder.path().to_owned(), seconds: self.seconds }
    }

    /// The last state that lies well before a step; the first one, if none lies so far before it.
    pub fn before(&self, step: u64) -> Option<Restart> {
        let kept = self.kept();
        let well_before = kept.iter().rfind(|state| state.step + MARGIN <= step);
        well_before.or_else(|| kept.first().filter(|state| state.step < step)).cloned()
    }

    /// Why no states were kept, where the training's loop would have allowed it.
    pub fn given_up(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join("why")).ok()
    }

    /// The states in the folder, the earliest first.
    fn kept(&self) -> Vec<Restart> {
        let names = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
        let state = |file: PathBuf| {
            let step = file.file_name()?.to_str()?.strip_suffix(".state")?.parse().ok()?;
            Some(Restart { file, step })
        };
        let mut states: Vec<Restart> = names.filter_map(|entry| state(entry.path())).collect();
        states.sort_by_key(|state| state.step);
        states
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
