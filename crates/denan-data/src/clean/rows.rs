//! Rows that are left out, in all arrays that belong together.

use crate::listing::{DataFile, Format};
use std::collections::{BTreeMap, HashMap};

/// Rows of a file that are left out: by the number of rows of the array or table, and each with the check that says so.
#[derive(Clone, Debug, Default)]
pub(super) struct RowSet(BTreeMap<u64, BTreeMap<u64, &'static str>>);

impl RowSet {
    /// Whether a row of an array with so many rows is left out, and why.
    pub(super) fn of(&self, rows: u64, row: u64) -> Option<&'static str> {
        self.0.get(&rows)?.get(&row).copied()
    }

    /// How many rows of an array with so many are left.
    pub(super) fn left(&self, rows: u64) -> u64 {
        rows - self.0.get(&rows).map_or(0, |dropped| dropped.len() as u64)
    }

    /// Whether any row is.
    pub(super) fn drops_any(&self) -> bool {
        self.0.values().any(|rows| !rows.is_empty())
    }

    /// The check that a row fails.
    pub(super) fn first_check(&self) -> &'static str {
        self.0.values().flat_map(BTreeMap::values).next().copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, rows: u64, row: u64, check: &'static str) {
        self.0.entry(rows).or_default().entry(row).or_insert(check);
    }
}

/// The number of rows of a file that is one table, which is not known before it is read; its rows belong to no other file's.
pub(super) const ALL: u64 = u64::MAX;

/// Rows of all files that are left out.
pub(super) struct Drops {
    files: Vec<RowSet>,
    /// Files whose arrays belong together, where they have as many rows.
    together: Vec<usize>,
}

impl Drops {
    /// None yet. `.npy` files of a folder that are no samples by themselves belong together.
    pub(super) fn new(files: &[DataFile]) -> Self {
        let mut folders: HashMap<_, usize> = HashMap::new();
        let mut together = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let own = match file.format {
                Format::Npy if !file.is_sample() => *folders.entry(file.path.parent()).or_insert(number),
                _ => number,
            };
            together.push(own);
        }
        Self { files: vec![RowSet::default(); files.len()], together }
    }

    /// Takes in the rows of a file.
    pub(super) fn of_file(&mut self, number: usize) -> OfFile<'_> {
        OfFile(&mut self.files[number])
    }

    /// Nothing is left out of a file after all.
    pub(super) fn forget(&mut self, number: usize) {
        self.files[number] = RowSet::default();
    }

    /// What is left out of one file is left out of those that belong to it.
    pub(super) fn join(&mut self) {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (number, first) in self.together.iter().enumerate() {
            groups.entry(*first).or_default().push(number);
        }
        for members in groups.into_values().filter(|members| members.len() > 1) {
            let mut all = RowSet::default();
            for member in &members {
                for (rows, dropped) in &self.files[*member].0 {
                    dropped.iter().for_each(|(row, check)| all.add(*rows, *row, check));
                }
            }
            members.iter().for_each(|member| self.files[*member] = all.clone());
        }
    }

    /// The rows of a file that are left out.
    pub(super) fn rows_of(&self, number: usize) -> &RowSet {
        &self.files[number]
    }
}

/// Takes in the rows of a file that are left out.
pub(super) struct OfFile<'a>(pub(super) &'a mut RowSet);

impl OfFile<'_> {
    pub(super) fn add(&mut self, rows: u64, row: u64, check: &'static str) {
        self.0.add(rows, row, check);
    }

    /// Those so far.
    pub(super) fn rows(&self) -> &RowSet {
        self.0
    }

    /// Takes in those of a whole file.
    pub(super) fn extend(&mut self, rows: RowSet) {
        rows.0.into_iter().for_each(|(rows, dropped)| self.add_all(rows, dropped));
    }

    /// Rows whose number was not known when they were added.
    pub(super) fn add_all(&mut self, rows: u64, dropped: BTreeMap<u64, &'static str>) {
        dropped.into_iter().for_each(|(row, check)| self.0.add(rows, row, check));
    }
}
