//! `denan`: takes the NaN out of neural-network training.
//!
//! The binary only puts together: arguments, one file per command in [`commands`], and the exit
//! codes of the contract.

mod annotations;
mod args;
mod cache;
mod cargo;
mod commands;
mod demo_data;
mod embedded;
mod error;
mod launch;
mod replayed;
mod result;
mod session;
mod sources;
mod terminal;

use crate::args::{Arguments, Command};
use crate::error::Error;
use crate::terminal::{Stream, Terminal};
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Only where no training runs is standard output free.
    let stream = match arguments.command {
        Command::Show { .. } | Command::Replay(_) => Stream::Output,
        _ => Stream::Error,
    };
    let terminal = Terminal::new(&arguments.common, stream);
    execute(&arguments, &terminal).unwrap_or_else(|error| {
        // Whoever reads has seen enough.
        if !error.is_broken_pipe() {
            eprintln!("denan: {error}");
        }
        error.exit_code()
    })
}

fn execute(arguments: &Arguments, terminal: &Terminal) -> Result<ExitCode, Error> {
    let common = &arguments.common;
    match &arguments.command {
        Command::Run(arguments) => commands::run::run(arguments, common, terminal),
        Command::Demo(arguments) => commands::demo::demo(arguments, common, terminal),
        Command::Show { record } => commands::show::show(record, common, terminal),
        Command::Replay(arguments) => commands::replay::replay(arguments, common, terminal),
        Command::Explain { id } => commands::explain::explain(id.as_deref()).map(|()| ExitCode::SUCCESS),
        Command::Completions { shell } => {
            commands::completions::completions(*shell);
            Ok(ExitCode::SUCCESS)
        }
        Command::Capture { into, command } => cargo::capture(into, command).map(|()| ExitCode::SUCCESS),
    }
}
