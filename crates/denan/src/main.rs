//! `denan`: takes the NaN out of neural-network training. The program itself is the library of this name.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(denan::main(std::env::args_os(), &denan::Host::default()))
}
