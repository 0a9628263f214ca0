//! The list of all changes.

use crate::scan::Error;
use denan_finding::clean::{CleanResult, RuleChanges};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

/// A change: a row, box or file that is left out, or a value that is replaced.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Change {
    /// File of the source.
    pub file: String,
    /// Table or array in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// Row in the source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<u64>,
    /// Name of the column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// Number of the box.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    pub labelled_box: Option<u64>,
    /// The check.
    pub rule: String,
    /// What was done: `drop-row`, `drop-file`, `drop-box`, `replace`, `clamp-box`.
    pub action: String,
    /// What stood there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What stands there now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl Change {
    /// What is done to a row of a file, or in it, on behalf of a check.
    pub(super) fn of_row(file: &Path, row: u64, rule: &str, action: &str) -> Self {
        Self {
            file: file.display().to_string(),
            row: Some(row),
            rule: rule.to_owned(),
            action: action.to_owned(),
            ..Self::default()
        }
    }
}

/// Takes changes in and writes them down, a line of JSON each.
pub(super) struct Audit {
    to: Option<BufWriter<File>>,
    changes: BTreeMap<String, RuleChanges>,
    failed: Option<String>,
}

/// How long the list was, and what was counted.
pub(super) struct Mark(u64, BTreeMap<String, RuleChanges>);

impl Audit {
    pub(super) fn new(path: &Path, is_dry: bool) -> Result<Self, Error> {
        let to = (!is_dry).then(|| File::create(path).map(BufWriter::new)).transpose();
        let to = to.map_err(|error| Error::Place(format!("{}: {error}", path.display())))?;
        Ok(Self { to, changes: BTreeMap::new(), failed: None })
    }

    pub(super) fn tell(&mut self, change: &Change) {
        let own = self.changes.entry(change.rule.clone()).or_insert_with(|| RuleChanges {
            rule: change.rule.clone(),
            rows: 0,
            values: 0,
            boxes: 0,
            files: 0,
        });
        let count = match &*change.action {
            "drop-row" => &mut own.rows,
            "drop-file" => &mut own.files,
            "replace" => &mut own.values,
            _ => &mut own.boxes,
        };
        *count += 1;
        if let Some(to) = &mut self.to {
            let line = serde_json::to_string(change).expect("its keys are strings");
            writeln!(to, "{line}").unwrap_or_else(|error| self.fail(error));
        }
    }

    /// Where the list is now.
    pub(super) fn mark(&mut self) -> Mark {
        let at = self.to.as_mut().map_or(Ok(0), BufWriter::stream_position);
        Mark(at.unwrap_or_else(|error| self.fail(error)), self.changes.clone())
    }

    /// Takes back what was told since.
    pub(super) fn go_back(&mut self, Mark(at, changes): Mark) {
        self.changes = changes;
        let Some(to) = &mut self.to else { return };
        let back = to.seek(SeekFrom::Start(at)).and_then(|_| to.get_mut().set_len(at));
        back.unwrap_or_else(|error| self.fail(error));
    }

    fn fail<T: Default>(&mut self, error: std::io::Error) -> T {
        self.failed.get_or_insert_with(|| error.to_string());
        T::default()
    }

    /// A file is left out.
    pub(super) fn leave_out(&mut self, file: &Path, rule: &str) {
        let file = file.display().to_string();
        self.tell(&Change {
            file,
            rule: rule.to_owned(),
            action: "drop-file".to_owned(),
            ..Change::default()
        });
    }

    pub(super) fn summary(&self, result: &mut CleanResult) {
        result.changes = self.changes.values().cloned().collect();
    }

    pub(super) fn close(self) -> Result<(), Error> {
        let flushed = self.to.map_or(Ok(()), |mut to| to.flush()).map_err(|error| error.to_string());
        self.failed
            .map_or(flushed, Err)
            .map_err(|error| Error::Place(format!("the list of changes: {error}")))
    }
}
