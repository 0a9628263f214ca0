//! What denan says on the way, and how wide and colourful it may be.

use crate::args::{ColorChoice, Common};
use std::io::{self, IsTerminal, Write};

/// Where a result for people goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Where a training is run, whose standard output is its own.
    Error,
    /// Where none is.
    Output,
}

/// Standard error or output, as denan uses it.
pub struct Terminal {
    /// Whether to colour.
    pub color: bool,
    /// Columns.
    pub width: usize,
    stream: Stream,
    quiet: bool,
}

impl Terminal {
    /// As the options and the environment say.
    pub fn new(common: &Common, stream: Stream) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let color = match common.color {
            ColorChoice::Always => true,
            ColorChoice::Never => false,
            ColorChoice::Auto if set("NO_COLOR") => false,
            ColorChoice::Auto if set("FORCE_COLOR") => true,
            ColorChoice::Auto => match stream {
                Stream::Error => io::stderr().is_terminal(),
                Stream::Output => io::stdout().is_terminal(),
            },
        };
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let width =
            columns.or_else(|| terminal_size::terminal_size().map(|(width, _)| width.0.into())).unwrap_or(80);
        Self { color, width: width.clamp(40, 120), stream, quiet: common.quiet }
    }

    /// Shows a result.
    pub fn show(&self, text: &str) -> io::Result<()> {
        match self.stream {
            Stream::Error => io::stderr().lock().write_all(text.as_bytes()),
            Stream::Output => io::stdout().lock().write_all(text.as_bytes()),
        }
    }

    /// Whether there is somebody to see how far long work is.
    pub fn shows_progress(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// One line about what is going on.
    pub fn say(&self, text: &str) {
        if !self.quiet {
            let (dim, reset) = if self.color { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
            eprintln!("{dim}denan: {text}{reset}");
        }
    }
}
