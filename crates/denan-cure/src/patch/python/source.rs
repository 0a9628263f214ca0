//! A parsed Python file of the user, and edits of its bytes.

pub(super) use super::edit::Edit;
use super::edit::{Lines, ends_alike};
use super::names::Names;
use super::{NoPatch, SourceTree, edit, walk};
use denan_finding::Patch;
use ruff_python_ast::token::{TokenKind, Tokens};
use ruff_python_ast::{Expr, ModModule, Stmt};
use ruff_python_parser::{Parsed, parse_module};
use ruff_text_size::Ranged;
use std::ops::Range;

/// Statements up to this many lines are shown whole; of longer ones only the lines that change.
const STATEMENT_LINES: usize = 12;

/// A file and its syntax tree.
pub(super) struct Source {
    file: String,
    text: String,
    parsed: Parsed<ModModule>,
    lines: Lines,
    names: Names,
}

impl Source {
    /// # Errors
    /// It is not Python.
    pub(super) fn parse(file: &str, text: String) -> Result<Self, String> {
        let parsed = parse_module(&text).map_err(|error| error.to_string())?;
        let lines = Lines::of(&text);
        let names = Names::of(&parsed.syntax().body);
        Ok(Self { file: file.to_owned(), text, parsed, lines, names })
    }

    /// The file that was recorded as `file`.
    pub(super) fn open(sources: &dyn SourceTree, file: &str, by_hand: &str) -> Result<Self, NoPatch> {
        let (name, text) = edit::read(sources, file)
            .ok_or_else(|| NoPatch::new(format!("{file} is not among the program's own sources"), by_hand))?;
        Self::parse(&name, text).map_err(|error| {
            NoPatch::new(format!("{} does not parse as Python ({error})", sources.show(&name)), by_hand)
        })
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    pub(super) fn body(&self) -> &[Stmt] {
        &self.parsed.syntax().body
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn text(&self, range: Range<usize>) -> &str {
        &self.text[range]
    }

    /// The text of a node.
    pub(super) fn of(&self, node: &impl Ranged) -> &str {
        &self.text[range(node)]
    }

    /// Whether the recorded path `file` means this file.
    pub(super) fn is(&self, file: &str) -> bool {
        self.file == file || ends_alike(&self.file, file)
    }

    /// 1-based line of a byte.
    pub(super) fn line(&self, byte: usize) -> u32 {
        self.lines.line(byte)
    }

    /// Whether `byte` is at a recorded line and column, which counts bytes from 1.
    pub(super) fn is_at(&self, byte: usize, line: u32, column: u32) -> bool {
        self.lines.is_at(byte, line, column)
    }

    /// Whether a node stands on a line, wholly or in part.
    pub(super) fn is_on(&self, node: &impl Ranged, line: u32) -> bool {
        let range = range(node);
        (self.line(range.start)..=self.line(range.end)).contains(&line)
    }

    /// Every expression, what is around before what is inside.
    pub(super) fn expressions(&self) -> Vec<&Expr> {
        walk::expressions(self.body())
    }

    /// Every statement, what is around before what is inside.
    pub(super) fn statements(&self) -> Vec<&Stmt> {
        walk::statements(self.body())
    }

    /// The statements around a byte, the outer before the inner.
    pub(super) fn around(&self, byte: usize) -> Vec<&Stmt> {
        self.statements().into_iter().filter(|stmt| range(*stmt).contains(&byte)).collect()
    }

    /// The block that a statement stands in, and its index there.
    pub(super) fn block_of(&self, stmt: &Stmt) -> Option<(&[Stmt], usize)> {
        let inner = self.around(range(stmt).start).into_iter().flat_map(walk::bodies);
        let mut blocks = std::iter::once(self.body()).chain(inner);
        blocks.find_map(|block| {
            let at = block.iter().position(|own| std::ptr::eq(own, stmt))?;
            Some((block, at))
        })
    }

    fn tokens(&self) -> &Tokens {
        self.parsed.tokens()
    }

    /// The bytes of an expression with the parentheses around it.
    pub(super) fn with_parentheses(&self, expr: &Expr) -> Range<usize> {
        let own = expr.range();
        let is_code = |kind: TokenKind| !kind.is_trivia();
        let mut left =
            self.tokens().before(own.start()).iter().rev().filter(|token| is_code(token.kind())).peekable();
        let mut right = self.tokens().after(own.end()).iter().filter(|token| is_code(token.kind()));
        let mut all = range(expr);
        while let (Some(open), Some(close)) = (left.next(), right.next()) {
            // The parentheses of a call stand behind a name or another closed expression.
            let is_call = left.peek().is_some_and(|before| {
                use TokenKind::{Name, Rpar, Rsqb, String as Text};
                matches!(before.kind(), Name | Rpar | Rsqb | Text)
            });
            if open.kind() != TokenKind::Lpar || close.kind() != TokenKind::Rpar || is_call {
                break;
            }
            all = range(open).start..range(close).end;
        }
        all
    }

    /// The indentation of `byte` if nothing but blanks stands before it in its line.
    pub(super) fn indentation_before(&self, byte: usize) -> Option<&str> {
        let before = &self.text[self.lines.start_of(byte)..byte];
        before.chars().all(|c| c == ' ' || c == '\t').then_some(before)
    }

    /// Lines of their own in front of a statement. `None` if it shares its line and they cannot.
    pub(super) fn before(&self, stmt: &Stmt, lines: &[String]) -> Option<Edit> {
        let start = range(stmt).start;
        match self.indentation_before(start) {
            Some(indentation) => {
                let text: String = lines.iter().map(|line| format!("{indentation}{line}\n")).collect();
                Some(Edit::insert(self.lines.start_of(start), text))
            }
            None => Some(Edit::insert(start, format!("{}; ", only(lines)?))),
        }
    }

    /// Lines of their own behind a statement. `None` if it shares its line and they cannot.
    pub(super) fn behind(&self, stmt: &Stmt, lines: &[String]) -> Option<Edit> {
        let Range { start, end } = range(stmt);
        let shares = |other: &Stmt| self.line(range(other).start) == self.line(end);
        let is_followed =
            self.block_of(stmt).is_some_and(|(block, at)| block.get(at + 1).is_some_and(shares));
        match self.indentation_before(start) {
            Some(indentation) if !is_followed => {
                let line = self.lines.whole(&(end..end));
                let last = line.start + self.text[line].trim_end_matches(['\r', '\n']).len();
                let text: String = lines.iter().map(|line| format!("\n{indentation}{line}")).collect();
                Some(Edit::insert(last, text))
            }
            _ => Some(Edit::insert(end, format!("; {}", only(lines)?))),
        }
    }

    /// Takes a statement away; `pass` where its block would be empty.
    pub(super) fn without(&self, stmt: &Stmt) -> Edit {
        let own = range(stmt);
        let is_alone = self.block_of(stmt).is_none_or(|(block, _)| block.len() == 1);
        let line = self.lines.whole(&own);
        let behind = self.text[own.end..line.end].trim();
        let has_line =
            self.indentation_before(own.start).is_some() && (behind.is_empty() || behind.starts_with('#'));
        if has_line && !is_alone { Edit::replace(line, "") } else { Edit::replace(own, "pass") }
    }

    /// What may be called at a place of the file to mean `path` (`torch.nn.functional.log_softmax`);
    /// an import is added to `edits` where nothing of it is imported.
    pub(super) fn reach(&self, path: &str, edits: &mut Vec<Edit>) -> String {
        if let Some(name) = self.names.reach(path) {
            return name;
        }
        let root = path.split('.').next().unwrap_or(path);
        let is_import = |stmt: &&Stmt| {
            matches!(stmt, Stmt::Import(_))
                || matches!(stmt, Stmt::ImportFrom(from) if from.module.as_deref() != Some("__future__"))
        };
        let at = self.body().iter().find(is_import).map_or(0, |stmt| self.lines.start_of(range(stmt).start));
        let import = Edit::insert(at, format!("import {root}\n"));
        if !edits.contains(&import) {
            edits.push(import);
        }
        path.to_owned()
    }

    /// The edits as a patch of whole lines, checked to parse.
    pub(super) fn patch(
        &self,
        sources: &dyn SourceTree,
        edits: Vec<Edit>,
        by_hand: &str,
    ) -> Result<Patch, NoPatch> {
        let edits = edit::sorted(edits).map_err(|why| NoPatch::new(why, by_hand))?;
        let after = edit::applied(&self.text, &edits);
        if after == self.text {
            return Err(NoPatch::new("the line says so already", by_hand));
        }
        if let Err(error) = parse_module(&after) {
            return Err(NoPatch::new(format!("the changed file would not parse ({error})"), by_hand));
        }
        Ok(edit::patch(sources.show(&self.file), &self.text, &edits, |edit| self.lines_to_show(&edit.range)))
    }

    /// Bytes of the whole lines of the plain statement around `changed`, or of the changed lines alone.
    fn lines_to_show(&self, changed: &Range<usize>) -> Range<usize> {
        let around = self.around(changed.start).into_iter().next_back();
        let plain = around.filter(|stmt| walk::bodies(stmt).is_empty() && range(*stmt).end >= changed.end);
        let lines = plain.map(|stmt| self.lines.whole(&range(stmt)));
        let is_short = |lines: &Range<usize>| self.text[lines.clone()].lines().count() <= STATEMENT_LINES;
        lines.filter(is_short).unwrap_or_else(|| self.lines.whole(changed))
    }
}

/// Bytes of a node in the file it was parsed from.
pub(super) fn range(node: &impl Ranged) -> Range<usize> {
    node.start().to_usize()..node.end().to_usize()
}

/// The line, if it is one and plain.
fn only(lines: &[String]) -> Option<&String> {
    match lines {
        [line] if !line.ends_with(':') => Some(line),
        _ => None,
    }
}
