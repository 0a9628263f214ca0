//! The same sample twice: two files with the same contents.

use super::{Found, TableCheck, Tables};

check!(
    DuplicateSample,
    Warning,
    "duplicate-sample",
    "file is the copy of another",
    "files are copies of others"
);

impl TableCheck for DuplicateSample {
    fn look(&self, set: &Tables<'_>, tell: &mut dyn FnMut(Found)) -> u64 {
        let mut sorted = set.hashes.to_vec();
        sorted.sort_unstable();
        let mut copies: Vec<(u32, u32)> = Vec::new();
        for same in sorted.chunk_by(|a, b| a.0 == b.0) {
            copies.extend(same[1..].iter().map(|(_, file)| (*file, same[0].1)));
        }
        copies.sort_unstable();
        for (file, first) in &copies {
            tell(Found::of_file((set.files)(*file), format!("holds the same as {}", (set.files)(*first))));
        }
        copies.len() as u64
    }
}
