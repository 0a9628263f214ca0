//! The records of a run: one of each process that trains, the first one's at the path that was asked for.

use denan_record::event::Event;
use denan_record::store::{Limits, Recorder, StoreError};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Writes what the processes of a training tell.
pub struct Records {
    path: PathBuf,
    recorders: BTreeMap<u32, Recorder>,
    error: Option<String>,
}

impl Records {
    /// Makes the record of the first process.
    ///
    /// # Errors
    /// Nothing can be written at the path.
    pub fn create(path: PathBuf) -> Result<Self, StoreError> {
        let first = Recorder::create(&path, Limits::default())?;
        Ok(Self { path, recorders: BTreeMap::from([(0, first)]), error: None })
    }

    /// Where the record of a process is, if it has one.
    pub fn path_of(&self, rank: u32) -> Option<PathBuf> {
        self.recorders.contains_key(&rank).then(|| beside(&self.path, rank))
    }

    /// Puts something on the record of a process. What cannot be written is said by [`finish`](Self::finish).
    pub fn tell(&mut self, rank: u32, event: Event) {
        if matches!(event, Event::Started(_)) && !self.recorders.contains_key(&rank) {
            match Recorder::create(&beside(&self.path, rank), Limits::default()) {
                Ok(recorder) => drop(self.recorders.insert(rank, recorder)),
                Err(error) => self.error = Some(error.to_string()),
            }
        }
        if let Some(Err(error)) = self.recorders.get(&rank).map(|recorder| recorder.tell(event)) {
            self.error = Some(error.to_string());
        }
    }

    /// Ends the writing; the last error, if there was one.
    pub fn finish(self) -> Option<String> {
        let mut error = self.error;
        for recorder in self.recorders.into_values() {
            if let Err(failed) = recorder.finish() {
                error.get_or_insert(failed.to_string());
            }
        }
        error
    }

    /// Takes the records back: they hold no step and help nobody.
    pub fn discard(self) {
        for (rank, recorder) in self.recorders {
            if recorder.finish().is_ok() {
                let _ = std::fs::remove_file(beside(&self.path, rank));
            }
        }
    }
}

/// `run.db` of the first process, `run.rank1.db` of the second.
fn beside(path: &Path, rank: u32) -> PathBuf {
    if rank == 0 {
        return path.to_owned();
    }
    let extension = path.extension().map_or("db".into(), |extension| extension.to_string_lossy());
    path.with_extension(format!("rank{rank}.{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rank_has_a_file_of_its_own() {
        let path = Path::new("runs/night.db");
        assert_eq!(beside(path, 0), path);
        assert_eq!(beside(path, 3), Path::new("runs/night.rank3.db"));
        assert_eq!(beside(Path::new("night"), 1), Path::new("night.rank1.db"));
    }
}
