//! The ward: trainings that break for a known cause, and their healthy twins.
//!
//! ```text
//! cargo run --release --package denan-ward -- CAUSE/CASE[/sick|/healthy]
//! cargo run --release --package denan-ward -- --list
//! ```
//!
//! Every case is a folder `CAUSE/CASE`: `mod.rs` trains, `case.toml` says what denan must find. The
//! cases are ordinary programs of people who know burn; only [`common`] is shared among them.
//! `cargo xtask ward` runs denan over all of them.

#[path = "../common/mod.rs"]
mod common;

include!(concat!(env!("OUT_DIR"), "/cases.rs"));

use std::process::ExitCode;

/// One training and its twin.
struct Case {
    cause: &'static str,
    name: &'static str,
    /// Trains; the argument says whether it is the healthy twin.
    train: fn(bool),
}

const USAGE: &str = "\
usage: ward CAUSE/CASE[/sick|/healthy]
       ward --list";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(argument) = arguments.first().filter(|_| arguments.len() == 1) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if argument == "--list" {
        for case in CASES {
            println!("{}/{}", case.cause, case.name);
        }
        return ExitCode::SUCCESS;
    }
    let (path, healthy) = match argument.rsplit_once('/') {
        Some((path, "healthy")) => (path, true),
        Some((path, "sick")) => (path, false),
        _ => (argument.as_str(), false),
    };
    let case = path
        .split_once('/')
        .and_then(|(cause, name)| CASES.iter().find(|case| case.cause == cause && case.name == name));
    match case {
        Some(case) => {
            (case.train)(healthy);
            ExitCode::SUCCESS
        }
        None => {
            eprintln!("error: there is no case `{path}`; `ward --list` shows all of them");
            ExitCode::from(2)
        }
    }
}
