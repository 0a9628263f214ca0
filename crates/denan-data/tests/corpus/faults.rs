//! Faults as they are planted, and the check that they are found as such.

use denan_data::{Options, Task, scan};
use denan_finding::scan::{ScanFinding, ScanResult, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// A fault, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    rule: &'static str,
    /// The name of its file, without the folder.
    file: String,
    table: Option<String>,
    row: Option<u64>,
    rows: u64,
    column: Option<String>,
    value: Option<String>,
    /// For how many it counts.
    counts: u64,
}

impl Fault {
    pub(crate) fn new(rule: &'static str) -> Self {
        let (file, table) = (String::new(), None);
        Self { rule, file, table, row: None, rows: 1, column: None, value: None, counts: 1 }
    }

    pub(crate) fn file(self, file: &str) -> Self {
        Self { file: file.to_owned(), ..self }
    }

    pub(crate) fn table(self, table: &str) -> Self {
        Self { table: Some(table.to_owned()), ..self }
    }

    pub(crate) fn at(self, row: usize) -> Self {
        Self { row: Some(row as u64), ..self }
    }

    pub(crate) fn rows(self, rows: u64) -> Self {
        Self { rows, counts: rows, ..self }
    }

    pub(crate) fn counts(self, counts: u64) -> Self {
        Self { counts, ..self }
    }

    pub(crate) fn column(self, column: &str) -> Self {
        Self { column: Some(column.to_owned()), ..self }
    }

    pub(crate) fn value(self, value: f64) -> Self {
        Self { value: Some(format!("{value:e}")), ..self }
    }

    pub(crate) fn text(self, text: &str) -> Self {
        Self { value: Some(text.to_owned()), ..self }
    }

    /// Its column by another name.
    pub(crate) fn renamed(self, name: impl Fn(&str) -> Option<String>) -> Self {
        Self { column: self.column.as_deref().and_then(name), ..self }
    }

    pub(crate) fn is_of(&self, rules: &[&str]) -> bool {
        rules.contains(&self.rule)
    }
}

fn told(found: &ScanFinding) -> Fault {
    let rules = denan_data::ids();
    Fault {
        rule: rules[rules.binary_search(&found.rule).unwrap()],
        file: found.file.rsplit('/').next().unwrap().to_owned(),
        table: found.table.as_deref().map(str::to_owned),
        row: found.index,
        rows: found.rows.unwrap_or(1),
        column: found.column.as_deref().or(found.channel.as_deref()).map(str::to_owned),
        value: found.value.as_ref().map(|value| match value {
            Value::Number(value) => format!("{value:e}"),
            Value::Text(text) => text.clone(),
            Value::Corners(corners) => format!("{corners:?}"),
        }),
        counts: 0,
    }
}

pub(crate) fn result(path: &Path, options: &Options) -> ScanResult {
    let paths = [path.to_owned()];
    scan(&Task { options: options.clone(), ..Task::new(&paths) }, &|_, _| ()).unwrap()
}

/// Checks that these faults are found, each in its place and as often as it is there, and nothing else.
#[track_caller]
pub(crate) fn check(path: &Path, options: &Options, planted: &[Fault]) -> ScanResult {
    let result = result(path, options);
    let mut found: Vec<Fault> = result.findings.iter().map(told).collect();
    let mut expected: Vec<Fault> = planted.iter().map(|fault| Fault { counts: 0, ..fault.clone() }).collect();
    found.sort();
    expected.sort();
    let missed: Vec<&Fault> = expected.iter().filter(|fault| !found.contains(fault)).collect();
    let wrong: Vec<&ScanFinding> =
        result.findings.iter().filter(|finding| !expected.contains(&told(finding))).collect();
    assert!(missed.is_empty() && wrong.is_empty(), "{path:?}\nmissed: {missed:#?}\nwrong: {wrong:#?}");
    assert_eq!(found, expected);
    let mut totals: BTreeMap<&str, u64> = denan_data::ids().into_iter().map(|rule| (rule, 0)).collect();
    planted.iter().for_each(|fault| *totals.get_mut(fault.rule).unwrap() += fault.counts);
    for rule in &result.rules {
        assert_eq!(rule.count, totals[&*rule.rule], "{path:?}: {}", rule.rule);
    }
    result
}

/// Checks that nothing is found.
#[track_caller]
pub(crate) fn check_clean(path: &Path) -> ScanResult {
    check(path, &Options::default(), &[])
}

/// With four classes.
pub(crate) fn four_classes() -> Options {
    Options { classes: Some(4), ..Options::default() }
}
