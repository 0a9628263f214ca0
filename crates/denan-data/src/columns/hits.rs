//! Values that a check has found, and where they are.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A value that fails a check; the same one in a row, and in rows that follow each other, is one hit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hit {
    /// Position of the check among [`VALUE_CHECKS`](crate::checks::VALUE_CHECKS).
    pub(crate) check: u8,
    /// Position of the column in its table.
    pub(crate) column: u32,
    /// 0-based row in the table.
    pub(crate) row: u64,
    /// How many rows have it.
    pub(crate) rows: u64,
    /// How many values: several in a row of an array of more than two dimensions.
    pub(crate) values: u64,
    pub(crate) value: f64,
    /// What stands there, where it is no number.
    pub(crate) text: Option<Box<str>>,
}

/// Hits in the order of the files, and in each in the order of tables and rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct HitList {
    chunks: Vec<Chunk>,
    /// Of each check, how many are listed.
    listed: BTreeMap<u8, u64>,
}

/// Hits of one table of one file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Chunk {
    file: u32,
    /// Position of the table in the part.
    table: u32,
    /// Rows of the table before those that the hits count from.
    rows_before: u64,
    hits: Vec<Hit>,
}

impl HitList {
    /// Adds hits of a table that come after all that are here.
    pub(crate) fn push(&mut self, file: u32, table: u32, mut hits: Vec<Hit>, most: u64) {
        hits.sort_by_key(|hit| (hit.row, hit.column, hit.check));
        self.push_chunk(Chunk { file, table, rows_before: 0, hits }, most);
    }

    fn push_chunk(&mut self, mut chunk: Chunk, most: u64) {
        let listed = &mut self.listed;
        chunk.hits.retain(|hit| {
            let listed = listed.entry(hit.check).or_default();
            *listed += 1;
            *listed <= most
        });
        if !chunk.hits.is_empty() {
            self.chunks.push(chunk);
        }
    }

    /// Joins those of the part that follows: `tables` are the positions that its tables have got, `rows_before` the rows of
    /// each that come first.
    pub(crate) fn join(&mut self, other: Self, tables: &[u32], rows_before: &[u64], most: u64) {
        for mut chunk in other.chunks {
            let own = chunk.table as usize;
            chunk.table = tables[own];
            chunk.rows_before += rows_before[own];
            self.push_chunk(chunk, most);
        }
    }

    /// Each hit with the position of its file and of its table, and its row.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, u32, u64, &Hit)> {
        self.chunks.iter().flat_map(|chunk| {
            chunk.hits.iter().map(|hit| (chunk.file, chunk.table, chunk.rows_before + hit.row, hit))
        })
    }
}

/// Hits of one table while it is read.
#[derive(Debug, Default)]
pub(super) struct Hits {
    hits: Vec<Hit>,
    /// Of each check, how many are listed.
    listed: BTreeMap<u8, u64>,
}

impl Hits {
    /// Adds a hit unless `most` of its check are listed, or lengthens the latest if it goes on.
    pub(super) fn add(&mut self, hit: Hit, most: u64) {
        if let Some(last) = self.hits.last_mut()
            && (last.check, last.column) == (hit.check, hit.column)
            && last.value.to_bits() == hit.value.to_bits()
            && last.text == hit.text
        {
            let ahead = hit.row.wrapping_sub(last.row + last.rows - 1);
            if ahead <= 1 {
                last.rows += ahead + hit.rows - 1;
                last.values += hit.values;
                return;
            }
        }
        let listed = self.listed.entry(hit.check).or_default();
        if *listed < most {
            *listed += 1;
            self.hits.push(hit);
        }
    }

    pub(super) fn into_vec(self) -> Vec<Hit> {
        self.hits
    }
}
