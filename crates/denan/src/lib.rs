//! The `denan` program: takes the NaN out of neural-network training.
//!
//! It only puts together: arguments, one file per command in `commands`, and the exit codes of the contract. It is a
//! library so that the Python package contains the same program: [`main`] is all of it, and [`Watching`] what a
//! notebook needs in its place.

#![deny(missing_docs)]

mod annotations;
mod args;
mod cache;
mod cargo;
mod collected;
mod commands;
mod demo_data;
mod embedded;
mod error;
mod host;
mod launch;
mod progress;
mod python;
mod records;
mod replayed;
mod result;
mod scratch;
mod session;
mod sources;
mod states;
mod temporary;
mod terminal;
mod watching;

pub use crate::host::Host;
pub use crate::watching::Watching;

use crate::args::{Arguments, Command};
use crate::error::Error;
use crate::terminal::{Stream, Terminal};
use clap::Parser;
use std::ffi::OsString;
use std::sync::Once;

/// Runs the program on a command line, its own name first, and returns its exit code.
pub fn main(command_line: impl IntoIterator<Item = OsString>, host: &Host) -> u8 {
    keep_quiet_what_is_caught();
    let arguments = match Arguments::try_parse_from(command_line) {
        Ok(arguments) => arguments,
        Err(error) => {
            // A reader that has gone is no failure.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    // Only where no training runs is standard output free.
    let stream = match arguments.command {
        Command::Show { .. }
        | Command::Replay(_)
        | Command::Anchors(_)
        | Command::Scan(_)
        | Command::Clean(_) => Stream::Output,
        _ => Stream::Error,
    };
    let terminal = Terminal::new(&arguments.common, stream);
    execute(&arguments, host, &terminal).unwrap_or_else(|error| {
        // Whoever reads has seen enough.
        if !error.is_broken_pipe() {
            eprintln!("denan: {error}");
        }
        error.exit_code()
    })
}

/// A decoder that panics on damaged bytes is told as a finding, and not on standard error as well.
fn keep_quiet_what_is_caught() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !denan_data::is_guarded() {
                usual(panic);
            }
        }));
    });
}

fn execute(arguments: &Arguments, host: &Host, terminal: &Terminal) -> Result<u8, Error> {
    let common = &arguments.common;
    match &arguments.command {
        Command::Run(arguments) => commands::run::run(arguments, common, host, terminal),
        Command::Demo(arguments) => commands::demo::demo(arguments, common, host, terminal),
        Command::Show { record } => commands::show::show(record, common, terminal),
        Command::Replay(arguments) => commands::replay::replay(arguments, common, host, terminal),
        Command::Anchors(arguments) => commands::anchors::anchors(arguments, common, terminal),
        Command::Scan(arguments) => commands::scan::scan(arguments, common, host, terminal),
        Command::Clean(arguments) => commands::clean::clean(arguments, common, terminal),
        Command::Explain { id } => commands::explain::explain(id.as_deref()).map(|()| 0),
        Command::Completions { shell } => {
            commands::completions::completions(*shell);
            Ok(0)
        }
        Command::Capture { into, command } => cargo::capture(into, command).map(|()| 0),
    }
}
