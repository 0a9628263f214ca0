//! `denan completions SHELL`.

use crate::args::Arguments;
use clap::CommandFactory;

/// Prints completions to standard output.
pub fn completions(shell: clap_complete::Shell) {
    clap_complete::generate(shell, &mut Arguments::command(), "denan", &mut std::io::stdout());
}
