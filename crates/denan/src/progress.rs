//! How far long work is, on standard error, where that is a terminal.

use crate::terminal::Terminal;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar of bytes.
pub struct Progress(ProgressBar);

impl Progress {
    /// Shows itself as soon as it is told something; never in a pipe, and not where denan is to be quiet.
    pub fn new(terminal: &Terminal, what: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let style =
            ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        bar.set_message(what);
        if terminal.shows_progress() {
            bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        Self(bar)
    }

    /// `done` of `total` bytes are done.
    pub fn tell(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// Leaves no trace.
    pub fn end(&self) {
        self.0.finish_and_clear();
    }
}
