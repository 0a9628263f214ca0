//! A training that is watched in this very process: a notebook's, which no `denan run` has started.

use crate::annotations::AnnotationFiles;
use crate::collected::Collected;
use crate::launch::Source;
use crate::result;
use crate::sources::SourceFiles;
use denan_finding::render::{Format, Style, render};
use denan_finding::{NextCommand, Outcome, RunResult};
use denan_record::tell::Teller;
use std::sync::{Arc, Mutex, PoisonError};

/// Columns of a result that is shown as text.
const WIDTH: usize = 80;

/// What has been told of the training so far.
#[derive(Clone, Default)]
pub struct Watching {
    collected: Arc<Mutex<Collected>>,
}

impl Watching {
    /// Nothing yet, and the one to tell it.
    pub fn begin() -> (Self, Teller) {
        let watching = Self::default();
        let collected = Arc::clone(&watching.collected);
        let listener = move |event| collected.lock().unwrap_or_else(PoisonError::into_inner).take(event);
        (watching, Teller::to(listener))
    }

    /// The result as people read it, in 80 columns.
    pub fn text(&self) -> String {
        self.shown(Format::Full)
    }

    /// The result as `denan/run/v1`.
    pub fn json(&self) -> String {
        self.shown(Format::Json)
    }

    fn shown(&self, format: Format) -> String {
        let sources = SourceFiles::of(&Source::default());
        render(&self.result(), format, &Style { color: false, width: WIDTH, sources: &sources })
    }

    fn result(&self) -> RunResult {
        let run = self.collected.lock().unwrap_or_else(PoisonError::into_inner).run.clone();
        let mut result = result::of_run(&run, &AnnotationFiles::of_command(&[], None), None, None);
        let is_noticed =
            result.outcome == Outcome::Broke && run.graphs.iter().all(|graph| graph.producer.is_none());
        result.next = is_noticed.then(|| NextCommand {
            command: "denan.watch(every_operation=True)".to_owned(),
            purpose: "run it again with this to see the operation, its line and the cause".to_owned(),
        });
        result
    }
}
