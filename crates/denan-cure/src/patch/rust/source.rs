//! A parsed file of the user, and edits of its bytes.

pub(super) use super::edit::Edit;
use super::edit::{Lines, ends_alike};
use super::walk;
use super::{NoPatch, SourceTree, edit};
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
    lines: Lines,
    tests: Vec<Range<usize>>,
}

impl Source {
    pub(super) fn parse(file: &str, text: String) -> syn::Result<Self> {
        let syntax = parse(&text)?;
        let lines = Lines::of(&text);
        let tests = walk::tests(&syntax);
        Ok(Self { file: file.to_owned(), text, syntax, lines, tests })
    }

    /// The file that the compiler recorded as `file`.
    ///
    /// A compiler that ran in another folder records another prefix.
    pub(super) fn open(sources: &dyn SourceTree, file: &str, by_hand: &str) -> Result<Self, NoPatch> {
        let (name, text) = edit::read(sources, file)
            .ok_or_else(|| NoPatch::new(format!("{file} is not among the program's own sources"), by_hand))?;
        Self::parse(&name, text).map_err(|error| {
            NoPatch::new(format!("{} does not parse as Rust ({error})", sources.show(&name)), by_hand)
        })
    }

    /// Every file of the tree that parses.
    pub(super) fn all(sources: &dyn SourceTree) -> Vec<Self> {
        let parsed = sources
            .files()
            .into_iter()
            .filter(|file| file.ends_with(".rs"))
            .filter_map(|file| Self::parse(&file, sources.read(&file)?).ok());
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
        self.lines.line(byte)
    }

    /// Whether `byte` is in code that is compiled for tests only.
    pub(super) fn is_test(&self, byte: usize) -> bool {
        self.tests.iter().any(|test| test.contains(&byte))
    }

    /// Whether `byte` is the compiler's `line` and `column`, which counts bytes from 1.
    pub(super) fn is_at(&self, byte: usize, line: u32, column: u32) -> bool {
        self.lines.is_at(byte, line, column)
    }

    /// The indentation of `byte` if nothing but blanks stands before it in its line.
    pub(super) fn indentation_before(&self, byte: usize) -> Option<&str> {
        let before = &self.text[self.lines.start_of(byte)..byte];
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
        edits: Vec<Edit>,
        by_hand: &str,
    ) -> Result<Patch, NoPatch> {
        let edits = edit::sorted(edits).map_err(|why| NoPatch::new(why, by_hand))?;
        if let Err(error) = parse(&edit::applied(&self.text, &edits)) {
            return Err(NoPatch::new(format!("the changed file would not parse ({error})"), by_hand));
        }
        let all =
            edits.first().map_or(0, |first| first.range.start)..edits.last().map_or(0, |last| last.range.end);
        let lines = self.lines_to_show(all);
        Ok(edit::patch(sources.show(&self.file), &self.text, &edits, |_| lines.clone()))
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
        let changed_lines = self.lines.whole(&changed);
        match self.statement_around(&changed) {
            Some(statement) => {
                let lines = self.lines.whole(&statement);
                let count = self.text[lines.clone()].lines().count();
                if count <= STATEMENT_LINES { lines } else { changed_lines }
            }
            None => changed_lines,
        }
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
