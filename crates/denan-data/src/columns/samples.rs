//! Which samples hold the same.

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

/// The samples that hold what another does, each with the first that does, by file and row.
pub(crate) fn copies(samples: &[Sample]) -> Vec<(Sample, Sample)> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let same = sorted.chunk_by(|a, b| a.hash == b.hash);
    let mut copies: Vec<_> =
        same.flat_map(|same| same[1..].iter().map(|sample| (*sample, same[0]))).collect();
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
    /// The next row.
    row: u64,
    pub(super) found: Vec<(u128, u64)>,
}

impl Rows {
    /// For rows of so many values of so many bytes; nothing where such rows are not compared.
    pub(super) fn of(row: usize, size: usize) -> Option<Self> {
        let row_bytes = row.checked_mul(size).filter(|bytes| (LEAST..=MOST).contains(bytes))?;
        Some(Self { row_bytes, size, begun: Vec::new(), row: 0, found: Vec::new() })
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
            self.found.push((XxHash3_128::oneshot(row), self.row));
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
            let mut rows = Rows::of(600, 1).unwrap();
            bytes.chunks(step).for_each(|part| rows.take(part));
            rows.found
        };
        let whole = hashed(bytes.len());
        assert_eq!(whole.len(), 5);
        assert!(whole[0].0 == whole[2].0 && whole[0].0 != whole[1].0);
        for step in [1, 7, 599, 600, 601, 1300] {
            assert_eq!(hashed(step), whole, "{step}");
        }
        let mut rows = Rows::of(300, 2).unwrap();
        rows.take(&[1, 2].repeat(300));
        assert!(rows.found.is_empty() && rows.row == 1);
        assert!(Rows::of(100, 4).is_none());
    }

    #[test]
    fn copies_name_the_first() {
        let sample = |hash, file, row| Sample { hash, file, table: 0, row };
        let samples = [sample(1, 2, 0), sample(1, 0, 5), sample(2, 0, 6), sample(1, 0, 9)];
        let first = sample(1, 0, 5);
        assert_eq!(copies(&samples), [(sample(1, 0, 9), first), (sample(1, 2, 0), first)]);
    }
}
