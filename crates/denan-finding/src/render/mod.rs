//! How a result is shown: one file per format.

mod anchor_plot;
mod anchors;
mod clean;
mod concise;
mod full;
mod json;
mod page;
mod scan;
mod source;
mod words;

use crate::finding::RunResult;
pub use anchor_plot::anchors_svg;
pub use anchors::render_anchors;
pub use clean::render_clean;
pub(crate) use json::{number, number_list, numbers};
pub use scan::{render_scan, write_scan};

/// The result as text, ending in a line feed unless it is empty.
///
/// Reads nothing but its arguments: whatever it needs of the user's files comes from
/// [`Style::sources`].
pub fn render(result: &RunResult, format: Format, style: &Style<'_>) -> String {
    match format {
        Format::Full => full::render(result, style),
        Format::Concise => concise::render(result, style),
        Format::Json => json::render(result, style),
    }
}

/// An output format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people: everything there is to know, with the user's lines.
    #[default]
    Full,
    /// One line a finding, for `grep` and editors; nothing at all for a healthy training.
    Concise,
    /// The document `denan/run/v1`.
    Json,
}

impl Format {
    /// Every format, in the order of the contract.
    pub const ALL: [Self; 3] = [Self::Full, Self::Concise, Self::Json];

    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Concise => "concise",
            Self::Json => "json",
        }
    }

    /// The format of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.as_str() == name)
    }
}

/// How the text should look.
#[derive(Clone, Copy)]
pub struct Style<'a> {
    /// Whether to colour it with ANSI escape sequences.
    pub color: bool,
    /// Columns of the terminal. Words are never cut, so a long path may stick out.
    pub width: usize,
    /// Where the user's source lines come from.
    pub sources: &'a dyn Sources,
}

impl<'a> Style<'a> {
    /// Plain text, 80 columns wide.
    pub fn plain(sources: &'a dyn Sources) -> Self {
        Self { color: false, width: 80, sources }
    }
}

/// The user's source files.
pub trait Sources {
    /// A line of a file (`line` counts from 1), if the file can be read and has it.
    fn line(&self, file: &str, line: u32) -> Option<String>;

    /// The recorded path as the user would type it.
    fn show(&self, file: &str) -> String;
}

/// Knows no source line and shows paths as they were recorded.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSources;

impl Sources for NoSources {
    fn line(&self, _file: &str, _line: u32) -> Option<String> {
        None
    }

    fn show(&self, file: &str) -> String {
        file.to_owned()
    }
}
