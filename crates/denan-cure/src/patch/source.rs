//! A parsed file of the user, and edits of its bytes.

use super::walk;
use super::{NoPatch, SourceTree};
use denan_finding::Patch;
use std::ops::Range;
use syn::ExprMethodCall;
use syn::spanned::Spanned;

/// Statements up to this many lines are shown whole; of longer ones only the lines that change.
const STATEMENT_LINES: usize = 12;

/// A file and its syntax tree.
pub(super) struct Source {
    file: String,
    text: String,
    syntax: syn::File,
    line_starts: Vec<usize>,
    tests: Vec<Range<usize>>,
}

/// Bytes to replace, and what with.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    range: Range<usize>,
    text: String,
}

impl Edit {
    pub(super) fn replace(range: Range<usize>, text: impl Into<String>) -> Self {
        Self { range, text: text.into() }
    }

    /// Whether another edit changes the same bytes.
    pub(super) fn same_place(&self, other: &Self) -> bool {
        self.range == other.range
    }

    pub(super) fn insert(at: usize, text: impl Into<String>) -> Self {
        Self::replace(at..at, text)
    }
}

impl Source {
    pub(super) fn parse(file: &str, text: String) -> syn::Result<Self> {
        let syntax = parse(&text)?;
        let line_starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        let tests = walk::tests(&syntax);
        Ok(Self { file: file.to_owned(), text, syntax, line_starts, tests })
    }

    /// The file that the compiler recorded as `file`.
    ///
    /// A compiler that ran in another folder records another prefix, so a file
    /// of the tree that ends like it will do if there is only one.
    pub(super) fn open(sources: &dyn SourceTree, file: &str, by_hand: &str) -> Result<Self, NoPatch> {
        let (name, text) = match sources.read(file) {
            Some(text) => (file.to_owned(), text),
            None => {
                let alike: Vec<String> =
                    sources.files().into_iter().filter(|other| ends_alike(other, file)).collect();
                match <[String; 1]>::try_from(alike) {
                    Ok([name]) => {
                        let text = sources.read(&name);
                        (name, text.unwrap_or_default())
                    }
                    Err(_) => {
                        return Err(NoPatch::new(
                            format!("{file} is not among the program's own sources"),
                            by_hand,
                        ));
                    }
                }
            }
        };
        Self::parse(&name, text).map_err(|error| {
            NoPatch::new(format!("{} does not parse as Rust ({error})", sources.show(&name)), by_hand)
        })
    }

    /// Every file of the tree that parses.
    pub(super) fn all(sources: &dyn SourceTree) -> Vec<Self> {
        let parsed =
            sources.files().into_iter().filter_map(|file| Self::parse(&file, sources.read(&file)?).ok());
        parsed.collect()
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    pub(super) fn syntax(&self) -> &syn::File {
        &self.syntax
    }

    pub(super) fn text(&self, range: Range<usize>) -> &str {
        &self.text[range]
    }

    /// Whether the compiler's path `file` means this file.
    pub(super) fn is(&self, file: &str) -> bool {
        self.file == file || ends_alike(&self.file, file)
    }

    /// 1-based line of a byte.
    pub(super) fn line(&self, byte: usize) -> u32 {
        self.line_starts.partition_point(|start| *start <= byte) as u32
    }

    /// Whether `byte` is in code that is compiled for tests only.
    pub(super) fn is_test(&self, byte: usize) -> bool {
        self.tests.iter().any(|test| test.contains(&byte))
    }

    /// Whether `byte` is the compiler's `line` and `column`, which counts bytes from 1.
    pub(super) fn is_at(&self, byte: usize, line: u32, column: u32) -> bool {
        let line_start = (line as usize).checked_sub(1).and_then(|index| self.line_starts.get(index));
        line_start.is_some_and(|start| start + column as usize == byte + 1)
    }

    /// The indentation of `byte` if nothing but blanks stands before it in its line.
    pub(super) fn indentation_before(&self, byte: usize) -> Option<&str> {
        let start = self.line_starts[self.line(byte) as usize - 1];
        let before = &self.text[start..byte];
        before.chars().all(|c| c == ' ' || c == '\t').then_some(before)
    }

    /// Puts `.name(…)` behind the first `kept` calls of a method chain whose root ends at `root_end`,
    /// on a line of its own where the chain has one for every call.
    pub(super) fn insert_call(
        &self,
        root_end: usize,
        calls: &[ExprMethodCall],
        kept: usize,
        text: &str,
    ) -> Edit {
        let at = kept.checked_sub(1).map_or(root_end, |last| range(&calls[last]).end);
        let indentation = |call: &ExprMethodCall| self.indentation_before(range(&call.dot_token).start);
        let neighbours = calls.get(kept).into_iter().chain(calls[..kept].last());
        match neighbours.filter_map(indentation).next() {
            Some(indentation) => Edit::insert(at, format!("\n{indentation}{text}")),
            None => Edit::insert(at, text),
        }
    }

    /// The edits as a patch of whole lines, checked to parse.
    pub(super) fn patch(
        &self,
        sources: &dyn SourceTree,
        mut edits: Vec<Edit>,
        by_hand: &str,
    ) -> Result<Patch, NoPatch> {
        edits.sort_by_key(|edit| edit.range.start);
        let refused = |why: String| NoPatch::new(why, by_hand);
        let (Some(first), Some(last)) = (edits.first(), edits.last()) else {
            return Err(refused("nothing would change".to_owned()));
        };
        if edits.windows(2).any(|pair| pair[0].range.end > pair[1].range.start) {
            return Err(refused("two changes would overlap".to_owned()));
        }

        let lines = self.lines_to_show(first.range.start..last.range.end);
        let mut after_file = String::with_capacity(self.text.len());
        let mut at = 0;
        for edit in &edits {
            after_file.push_str(&self.text[at..edit.range.start]);
            after_file.push_str(&edit.text);
            at = edit.range.end;
        }
        after_file.push_str(&self.text[at..]);
        if let Err(error) = parse(&after_file) {
            return Err(refused(format!("the changed file would not parse ({error})")));
        }

        let shown_end = lines.end + after_file.len() - self.text.len();
        Ok(Patch {
            file: sources.show(&self.file),
            line: self.line(lines.start),
            before: without_line_ends(&self.text[lines.clone()]),
            after: without_line_ends(&after_file[lines.start..shown_end]),
        })
    }

    /// The innermost statement around some bytes.
    pub(super) fn statement_around(&self, bytes: &Range<usize>) -> Option<Range<usize>> {
        walk::statements(&self.syntax)
            .into_iter()
            .filter(|statement| statement.start <= bytes.start && bytes.end <= statement.end)
            .min_by_key(Range::len)
    }

    /// Bytes of the whole lines of the statement around `changed`, or of the changed lines alone.
    fn lines_to_show(&self, changed: Range<usize>) -> Range<usize> {
        let changed_lines = self.whole_lines(&changed);
        match self.statement_around(&changed) {
            Some(statement) => {
                let lines = self.whole_lines(&statement);
                let count = self.text[lines.clone()].lines().count();
                if count <= STATEMENT_LINES { lines } else { changed_lines }
            }
            None => changed_lines,
        }
    }

    fn whole_lines(&self, range: &Range<usize>) -> Range<usize> {
        let start = self.line_starts[self.line(range.start) as usize - 1];
        // An end just behind a line break belongs to the line before it.
        let last = if range.end > range.start { range.end - 1 } else { range.end };
        let end = self.line_starts.get(self.line(last) as usize).copied().unwrap_or(self.text.len());
        start..end
    }
}

/// Bytes of a node in the file it was parsed from.
pub(super) fn range(node: &impl Spanned) -> Range<usize> {
    node.span().byte_range()
}

/// Like `syn::parse_file`, but every span counts bytes from the very start of the text.
fn parse(text: &str) -> syn::Result<syn::File> {
    let script = text.strip_prefix("#!").filter(|rest| !rest.trim_start().starts_with('['));
    match script {
        Some(rest) => syn::parse_str(&format!("//{rest}")),
        None => syn::parse_str(text),
    }
}

fn without_line_ends(lines: &str) -> String {
    lines.lines().collect::<Vec<_>>().join("\n")
}

/// Whether one path is the other with more folders in front.
fn ends_alike(one: &str, other: &str) -> bool {
    let (longer, shorter) = if one.len() >= other.len() { (one, other) } else { (other, one) };
    let shorter = shorter.trim_start_matches("./");
    let longer = longer.replace('\\', "/");
    let shorter = shorter.replace('\\', "/");
    longer == shorter || longer.strip_suffix(shorter.as_str()).is_some_and(|head| head.ends_with('/'))
}
