//! A change of the user's source, and which of its lines differ.

use crate::finding::Verdict;

/// A change of one file of the user's source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// Path of the file, as the user would type it.
    pub file: String,
    /// 1-based line of `before`.
    pub line: u32,
    /// The line as it is (several lines if the statement has several).
    pub before: String,
    /// The line as it should be.
    pub after: String,
    /// The other places of the file that change with it, from the top down; `line` counts in the file as it is.
    pub more: Vec<Hunk>,
    /// What came of running the patched program; none where it was not run.
    pub ran: Option<Verdict>,
}

/// A change of one place in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hunk {
    /// 1-based line of `before`.
    pub line: u32,
    /// The line as it is (several lines if the statement has several).
    pub before: String,
    /// The line as it should be; empty where it goes.
    pub after: String,
}

/// Neighbouring lines that go, and those that take their place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change<'a> {
    /// Lines of the hunk's `before` in front of it.
    pub kept_before: usize,
    /// Lines of the hunk's `after` in front of it.
    pub kept_after: usize,
    /// The lines as they are.
    pub before: Vec<&'a str>,
    /// The lines as they should be.
    pub after: Vec<&'a str>,
}

impl Patch {
    /// All places that change, from the top down.
    pub fn hunks(&self) -> Vec<Hunk> {
        let first = Hunk { line: self.line, before: self.before.clone(), after: self.after.clone() };
        std::iter::once(first).chain(self.more.iter().cloned()).collect()
    }
}

impl Hunk {
    /// The lines that differ, from the top down: what a longest common subsequence of lines leaves over.
    pub fn changes(&self) -> Vec<Change<'_>> {
        let (before, after) = (lines(&self.before), self.lines_after());
        // Length of the longest common subsequence of the lines from here on.
        let width = after.len() + 1;
        let mut common = vec![0_u32; (before.len() + 1) * width];
        for i in (0..before.len()).rev() {
            for j in (0..after.len()).rev() {
                common[i * width + j] = if before[i] == after[j] {
                    common[(i + 1) * width + j + 1] + 1
                } else {
                    common[(i + 1) * width + j].max(common[i * width + j + 1])
                };
            }
        }
        let mut changes: Vec<Change<'_>> = Vec::new();
        let (mut i, mut j, mut is_open) = (0, 0, false);
        while i < before.len() || j < after.len() {
            if i < before.len() && j < after.len() && before[i] == after[j] {
                (i, j, is_open) = (i + 1, j + 1, false);
                continue;
            }
            if !std::mem::replace(&mut is_open, true) {
                changes.push(Change { kept_before: i, kept_after: j, ..Change::default() });
            }
            let Some(change) = changes.last_mut() else { break };
            let goes = i < before.len()
                && (j == after.len() || common[(i + 1) * width + j] >= common[i * width + j + 1]);
            if goes {
                change.before.push(before[i]);
                i += 1;
            } else {
                change.after.push(after[j]);
                j += 1;
            }
        }
        changes
    }

    /// By how many lines the file gets longer.
    pub fn grows_by(&self) -> i64 {
        self.lines_after().len() as i64 - lines(&self.before).len() as i64
    }

    /// The lines that come; none where lines only go.
    fn lines_after(&self) -> Vec<&str> {
        if self.after.is_empty() && !self.before.is_empty() { Vec::new() } else { lines(&self.after) }
    }
}

/// Lines of a text; one that is empty has one empty line.
fn lines(text: &str) -> Vec<&str> {
    text.split('\n').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_stay_part_the_changes() {
        let hunk = Hunk {
            line: 1,
            before: "let a = x();\nloop {\n    step(a);\n}".to_owned(),
            after: "let a = y();\nloop {\n    clip();\n    step(b);\n}".to_owned(),
        };
        let [first, second] = &hunk.changes()[..] else { panic!("{:?}", hunk.changes()) };
        assert_eq!(
            (first.kept_before, &first.before[..], &first.after[..]),
            (0, &["let a = x();"][..], &["let a = y();"][..])
        );
        assert_eq!((second.kept_before, second.kept_after), (2, 2));
        assert_eq!(
            (&second.before[..], &second.after[..]),
            (&["    step(a);"][..], &["    clip();", "    step(b);"][..])
        );
        let same = Hunk { after: hunk.before.clone(), ..hunk };
        assert!(same.changes().is_empty());
    }
}
