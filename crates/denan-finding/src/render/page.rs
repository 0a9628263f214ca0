//! A page of terminal text: inked words, wrapped, with a hanging indent.
//!
//! Every text that reaches the page goes through [`Text`], which escapes it; so nothing of the
//! user's can steer the terminal, wherever it stands.

use crate::escape::escape;
use anstyle::{AnsiColor, Style as Ansi};
use unicode_width::UnicodeWidthStr;

/// What a piece of text means, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    Bold,
    Error,
    Warning,
    Gutter,
    Good,
    Help,
    Faint,
}

impl Ink {
    /// The colours of rustc's diagnostics.
    fn ansi(self) -> Ansi {
        let bold = |color: AnsiColor| Ansi::new().bold().fg_color(Some(color.into()));
        match self {
            Self::Plain => Ansi::new(),
            Self::Bold => Ansi::new().bold(),
            Self::Error => bold(AnsiColor::BrightRed),
            Self::Warning => bold(AnsiColor::BrightYellow),
            Self::Gutter => bold(AnsiColor::BrightBlue),
            Self::Good => bold(AnsiColor::BrightGreen),
            Self::Help => bold(AnsiColor::BrightCyan),
            Self::Faint => Ansi::new().dimmed(),
        }
    }
}

/// Words in their inks.
#[derive(Clone, Debug, Default)]
pub(super) struct Text {
    words: Vec<Word>,
    /// Whether the next piece starts a word of its own.
    gap: bool,
}

/// Pieces that stay on one line.
#[derive(Clone, Debug, Default)]
struct Word {
    pieces: Vec<(Ink, String)>,
    width: usize,
}

impl Text {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds prose that may be wrapped at its spaces, line feeds and tabs, but not at a no-break
    /// space, which is shown as a space. Without a space in between, it joins the word before.
    pub(super) fn add(mut self, ink: Ink, prose: &str) -> Self {
        let mut rest = prose;
        while let Some(character) = rest.chars().next() {
            if is_breaking(character) {
                self.gap = true;
                rest = &rest[character.len_utf8()..];
            } else {
                let end = rest.find(is_breaking).unwrap_or(rest.len());
                self.push(ink, &escape(&rest[..end]).replace('\u{a0}', " "));
                rest = &rest[end..];
            }
        }
        self
    }

    /// Adds text that is never broken, such as a path.
    pub(super) fn add_whole(mut self, ink: Ink, text: &str) -> Self {
        if !text.is_empty() {
            self.push(ink, &escape(text));
        }
        self
    }

    /// Adds another text, which joins the word before if neither side has a space there.
    pub(super) fn add_text(mut self, text: Self) -> Self {
        for (position, word) in text.words.into_iter().enumerate() {
            if position > 0 {
                self.gap = true;
            }
            for (ink, piece) in word.pieces {
                self.push(ink, &piece);
            }
        }
        self.gap |= text.gap;
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Columns it takes on one line.
    pub(super) fn width(&self) -> usize {
        let gaps = self.words.len().saturating_sub(1);
        self.words.iter().map(|word| word.width).sum::<usize>() + gaps
    }

    /// Its first words, as many as fit, with an ellipsis for the others.
    pub(super) fn shortened(mut self, width: usize) -> Self {
        if self.width() <= width {
            return self;
        }
        while self.words.len() > 1 && self.width() + 2 > width {
            self.words.pop();
        }
        self.gap = true;
        self.add(Ink::Faint, "…")
    }

    fn push(&mut self, ink: Ink, escaped: &str) {
        if self.gap || self.words.is_empty() {
            self.words.push(Word::default());
            self.gap = false;
        }
        let word = self.words.last_mut().expect("pushed above if there was none");
        word.width += escaped.width();
        word.pieces.push((ink, escaped.to_owned()));
    }
}

/// Prose of one ink.
pub(super) fn text(ink: Ink, prose: &str) -> Text {
    Text::new().add(ink, prose)
}

fn is_breaking(character: char) -> bool {
    matches!(character, ' ' | '\n' | '\t' | '\r')
}

/// A row of a table. Its last column may be wrapped.
pub(super) type Row = [Text; 3];

/// The page being written.
pub(super) struct Page {
    out: String,
    wants_blank: bool,
    color: bool,
    width: usize,
}

impl Page {
    pub(super) fn new(color: bool, width: usize) -> Self {
        Self { out: String::new(), wants_blank: false, color, width }
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn finish(self) -> String {
        self.out
    }

    /// An empty line between what stands on the page and what may follow.
    pub(super) fn blank(&mut self) {
        self.wants_blank = !self.out.is_empty();
    }

    /// The title of a section.
    pub(super) fn heading(&mut self, ink: Ink, title: &str) {
        self.paragraph((Ink::Plain, ""), &text(ink, title));
    }

    /// Text that starts after `prefix` and goes on below its own start.
    pub(super) fn paragraph(&mut self, prefix: (Ink, &str), text: &Text) {
        self.hanging(prefix, prefix.1.width(), text);
    }

    /// Text that starts after `prefix` and goes on `hang` columns from the left.
    pub(super) fn hanging(&mut self, prefix: (Ink, &str), hang: usize, text: &Text) {
        self.after(vec![prefix], hang, text);
    }

    /// Rows whose columns stand below each other as far as the width allows.
    pub(super) fn table(&mut self, indent: usize, rows: &[Row]) {
        let widest = |column: usize| {
            let widths = rows.iter().map(|row: &Row| row[column].width());
            widths.max().unwrap_or(0)
        };
        let first = indent + widest(0) + 2;
        let second = first + widest(1) + 2;
        let is_aligned = second + widest(2).min(LEAST_LAST_COLUMN) <= self.width;
        for [a, b, c] in rows {
            let mut prefix = Vec::new();
            let mut used = 0;
            fill(&mut prefix, &mut used, indent);
            lay(&mut prefix, &mut used, a);
            fill(&mut prefix, &mut used, first);
            if is_aligned {
                lay(&mut prefix, &mut used, b);
                fill(&mut prefix, &mut used, second);
                self.after(prefix, second, c);
            } else if b.is_empty() || c.is_empty() {
                self.after(prefix, first, if b.is_empty() { c } else { b });
            } else {
                let both = b.clone().add(Ink::Plain, ", ").add_text(c.clone());
                self.after(prefix, first, &both);
            }
        }
    }

    fn after(&mut self, prefix: Vec<(Ink, &str)>, hang: usize, text: &Text) {
        let indent = " ".repeat(hang);
        let mut used = prefix.iter().map(|(_, piece)| piece.width()).sum::<usize>();
        let mut line = prefix;
        let mut is_first = true;
        for word in &text.words {
            if !is_first && used + 1 + word.width > self.width {
                self.line(&line);
                line = vec![(Ink::Plain, indent.as_str())];
                used = hang;
                is_first = true;
            }
            if !is_first {
                line.push((Ink::Plain, " "));
                used += 1;
            }
            line.extend(word.pieces.iter().map(|(ink, piece)| (*ink, piece.as_str())));
            used += word.width;
            is_first = false;
        }
        self.line(&line);
    }

    /// A line that is not wrapped.
    pub(super) fn line(&mut self, pieces: &[(Ink, &str)]) {
        let end = pieces.iter().rposition(|(_, piece)| !piece.trim_end().is_empty());
        let pieces = &pieces[..end.map_or(0, |last| last + 1)];
        if std::mem::take(&mut self.wants_blank) {
            self.out.push('\n');
        }
        let mut current = Ink::Plain;
        for (position, (ink, piece)) in pieces.iter().enumerate() {
            let piece = if position + 1 == pieces.len() { piece.trim_end() } else { piece };
            // A run of spaces looks the same in every ink.
            if self.color && *ink != current && !piece.trim().is_empty() {
                if current != Ink::Plain {
                    self.out.push_str(&format!("{:#}", current.ansi()));
                }
                self.out.push_str(&ink.ansi().to_string());
                current = *ink;
            }
            self.out.push_str(piece);
        }
        if self.color && current != Ink::Plain {
            self.out.push_str(&format!("{:#}", current.ansi()));
        }
        self.out.push('\n');
    }
}

/// Below this width a table's last column is not worth wrapping in.
const LEAST_LAST_COLUMN: usize = 28;

const SPACES: &str = "                                                                                ";

fn lay<'t>(line: &mut Vec<(Ink, &'t str)>, used: &mut usize, text: &'t Text) {
    for (position, word) in text.words.iter().enumerate() {
        if position > 0 {
            line.push((Ink::Plain, " "));
        }
        line.extend(word.pieces.iter().map(|(ink, piece)| (*ink, piece.as_str())));
    }
    *used += text.width();
}

fn fill(line: &mut Vec<(Ink, &str)>, used: &mut usize, column: usize) {
    while *used < column {
        let spaces = &SPACES[..SPACES.len().min(column - *used)];
        line.push((Ink::Plain, spaces));
        *used += spaces.len();
    }
}
