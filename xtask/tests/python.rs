//! The tests of the Python package, in an environment of their own.

use std::process::Command;

#[test]
fn the_python_package_passes_its_tests() {
    let status =
        Command::new(env!("CARGO_BIN_EXE_xtask")).arg("python").status().expect("xtask can be started");
    assert!(status.success(), "see above; `cargo xtask python` runs them alone");
}
