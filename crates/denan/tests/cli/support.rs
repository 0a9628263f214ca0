//! Calling the program.

use std::path::Path;
use std::process::{Command, Output};

/// denan in a folder, with no colours and 80 columns.
pub fn denan(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_denan"))
        .args(arguments)
        .current_dir(folder)
        .env("COLUMNS", "80")
        .env("NO_COLOR", "1")
        .env_remove("FORCE_COLOR")
        .env("DENAN_CACHE", folder.join("cache"))
        .output()
        .expect("the program was just built")
}

/// Exit code.
pub fn code(output: &Output) -> i32 {
    output.status.code().expect("it was not killed")
}

/// Standard error.
pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("messages are UTF-8")
}

/// Standard output.
pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("output is UTF-8")
}
