//! Which samples hold the same.

use super::part::{Shape, Table};
use crate::listing::{DataFile, Format};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_128;

/// A sample with fewer bytes than this is not compared with others: it can well be the same by chance.
const LEAST: usize = 512;
/// Neither is one with more.
const MOST: usize = 64 << 20;

/// A sample that can be compared with others, by the hash of what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) hash: u128,
    pub(crate) file: u32,
    /// Position of its table in the part, and its row there; [`WHOLE`] if the file is the sample.
    pub(crate) table: u32,
    pub(crate) row: u64,
}

/// The row of a sample that is a file.
pub(crate) const WHOLE: u64 = u64::MAX;

/// Rows of an array with fewer of them than this are no samples, but channels or the like.
const FEWEST_ROWS: u64 = 16;

/// The samples that hold what another does, each with the first that does, by file and row.
pub(crate) fn copies(samples: &[Sample], tables: &[Table]) -> Vec<(Sample, Sample)> {
    let is_one = |sample: &&Sample| {
        let table = tables.get(sample.table as usize);
        let is_of_many = |table: &Table| {
            table.schema.shape == Shape::Image || table.rows >= FEWEST_ROWS.saturating_mul(table.files)
        };
        sample.row == WHOLE || table.is_some_and(is_of_many)
    };
    let mut sorted: Vec<Sample> = samples.iter().filter(is_one).copied().collect();
    sorted.sort_unstable();
    let same = sorted.chunk_by(|a, b| a.hash == b.hash);
    let copies = same.flat_map(|same| same[1..].iter().map(|sample| (*sample, same[0])));
    // A sample may well hold the same image twice.
    let is_other = |(copy, first): &(Sample, Sample)| {
        copy.row == WHOLE || (copy.file, copy.row) != (first.file, first.row)
    };
    let mut copies: Vec<_> = copies.filter(is_other).collect();
    copies.sort_unstable_by_key(|(sample, _)| (sample.file, sample.table, sample.row));
    copies
}

/// Hashes the rows of an array as their bytes come in.
#[derive(Debug)]
pub(super) struct Rows {
    row_bytes: usize,
    /// Bytes of a value.
    size: usize,
    /// The beginning of a row that has not come in whole.
    begun: Vec<u8>,
    /// Whether a row is all of its file.
    is_whole: bool,
    /// The next row.
    row: u64,
    /// The hash of each row that is compared, and the row.
    pub(super) found: Vec<(u128, u64)>,
}

impl Rows {
    /// For rows of a table whose values have so many bytes; nothing where such rows are not compared: those of targets and of parameters of
    /// models, and of arrays in an archive of samples, where what belongs together is told by names.
    pub(super) fn of(table: &Table, file: &DataFile, size: usize) -> Option<Self> {
        let Shape::Array { row, has_channels, .. } = table.schema.shape else { return None };
        let is_of_targets = table.columns.first().is_some_and(|column| column.classes.is_some());
        if is_of_targets || table.is_parameter() || file.format == Format::Tar {
            return None;
        }
        let row_bytes = row.checked_mul(size)?;
        let is_whole = file.is_sample() && file.bytes < 2 * row_bytes as u64;
        (has_channels || is_whole).then(|| Self::new(row_bytes, size, is_whole)).flatten()
    }

    fn new(row_bytes: usize, size: usize, is_whole: bool) -> Option<Self> {
        let is_compared = (LEAST..=MOST).contains(&row_bytes);
        is_compared.then(|| Self { row_bytes, size, begun: Vec::new(), is_whole, row: 0, found: Vec::new() })
    }

    pub(super) fn take(&mut self, mut bytes: &[u8]) {
        if !self.begun.is_empty() {
            let (rest, after) = bytes.split_at(bytes.len().min(self.row_bytes - self.begun.len()));
            self.begun.extend_from_slice(rest);
            bytes = after;
            if self.begun.len() == self.row_bytes {
                let row = std::mem::take(&mut self.begun);
                self.end(&row);
            }
        }
        let rows = bytes.chunks_exact(self.row_bytes);
        let rest = rows.remainder();
        rows.for_each(|row| self.end(row));
        self.begun.extend_from_slice(rest);
    }

    fn end(&mut self, row: &[u8]) {
        // One that is the same all over is a mask of nothing, or padding.
        if row[self.size..] != row[..row.len() - self.size] {
            let number = if self.is_whole { WHOLE } else { self.row };
            self.found.push((XxHash3_128::oneshot(row), number));
        }
        self.row += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_the_same_however_they_come_in() {
        let bytes: Vec<u8> = (0..5 * 600u32).map(|at| (at % 600 / 7 + at / 600 % 2) as u8).collect();
        let hashed = |step: usize| {
            let mut rows = Rows::new(600, 1, false).unwrap();
            bytes.chunks(step).for_each(|part| rows.take(part));
            rows.found
        };
        let whole = hashed(bytes.len());
        assert_eq!(whole.len(), 5);
        assert!(whole[0].0 == whole[2].0 && whole[0].0 != whole[1].0);
        for step in [1, 7, 599, 600, 601, 1300] {
            assert_eq!(hashed(step), whole, "{step}");
        }
        let mut rows = Rows::new(600, 2, false).unwrap();
        rows.take(&[1, 2].repeat(300));
        assert!(rows.found.is_empty() && rows.row == 1);
        assert!(Rows::new(400, 4, false).is_none());
    }

    #[test]
    fn copies_name_the_first() {
        let sample = |hash, file, row| Sample { hash, file, table: 0, row };
        let samples = [sample(1, 2, WHOLE), sample(1, 0, WHOLE), sample(2, 3, WHOLE), sample(1, 1, WHOLE)];
        let first = sample(1, 0, WHOLE);
        assert_eq!(copies(&samples, &[]), [(sample(1, 1, WHOLE), first), (sample(1, 2, WHOLE), first)]);
    }
}
