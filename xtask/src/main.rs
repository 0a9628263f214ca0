//! Chores of this repository: `cargo xtask TASK`.
//!
//! - [`ward`]: denan over all sick trainings of the ward and their healthy twins, compared with what it must
//!   find, as a scoreboard.
//! - [`overhead`]: what watching costs, as a table.
//! - [`python`]: the tests of the Python package, in an environment with PyTorch of their own.

mod overhead;
mod python;
mod ward;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask ward [options]
       cargo xtask overhead [--rounds N]
       cargo xtask python [--torch VERSION] [--with PACKAGES] [options of pytest]

ward runs denan over the trainings of the ward and compares what it finds with what it must find.

options:
  --only CAUSE[/CASE]  these cases only; can be given more than once
  --cure, --no-cure    whether cures are tried as well [default: --cure]
  --one-cure           cures of one case of each cause
  --one-case           one case of each cause
  --keep FOLDER        keep records and results of the sick trainings there
  --engine burn|torch  which engine's trainings [default: burn]

overhead measures the steps of three trainings with and without denan, in turns:
time, memory, and whether the losses are the same to the last bit.

python runs the tests of the Python package. It makes an environment with PyTorch
below the target folder, or takes that of the interpreter in DENAN_PYTHON.

options:
  --torch VERSION   an environment with this version of PyTorch, as in 2.4
  --with PACKAGES   packages, separated by commas, that are installed there first;
                    tests of those that are missing are skipped";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((task, options)) if task == "ward" => ward::Options::parse(options).and_then(|options| {
            let Some(options) = options else {
                println!("{USAGE}");
                return Ok(true);
            };
            ward::run(&options)
        }),
        Some((task, options)) if task == "overhead" => overhead::run(options).map(|()| true),
        Some((task, options)) if task == "python" => python::run(options),
        Some((task, _)) if task == "-h" || task == "--help" => {
            println!("{USAGE}");
            Ok(true)
        }
        Some((task, _)) => Err(format!("there is no task `{task}`\n\n{USAGE}")),
        None => Err(USAGE.to_owned()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}
