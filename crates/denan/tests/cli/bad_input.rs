//! Every mistake gets a message that names it and the way out, and exit code 2.

use crate::support::{code, denan, stderr, stdout};
use denan_record::event::Event;
use denan_record::model::Step;
use denan_record::store::{Limits, Recorder};

#[test]
fn no_command_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let output = denan(folder.path(), &["run"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("no command to run"), "{}", stderr(&output));
    assert!(stderr(&output).contains("help: denan run -- cargo run"), "{}", stderr(&output));
}

#[test]
fn a_command_that_does_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    let output = denan(folder.path(), &["run", "--", "no-such-program-here"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("cannot start no-such-program-here"), "{}", stderr(&output));
    assert!(records_in(folder.path()).is_empty(), "a training that never started leaves no record");
}

#[test]
fn a_child_that_fails_hands_its_exit_code_on() {
    let folder = tempfile::tempdir().unwrap();
    let output = denan(folder.path(), &["run", "--", "sh", "-c", "echo said; exit 42"]);
    assert_eq!(code(&output), 42);
    assert_eq!(stdout(&output), "said\n", "standard output is the training's");
    assert!(stderr(&output).contains("42"), "{}", stderr(&output));
}

#[test]
fn a_child_that_is_killed_is_told_as_shells_do() {
    let folder = tempfile::tempdir().unwrap();
    let output = denan(folder.path(), &["run", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(code(&output), 137);
}

#[test]
fn a_program_without_training_is_exit_code_3() {
    let folder = tempfile::tempdir().unwrap();
    let output = denan(folder.path(), &["run", "--", "true"]);
    assert_eq!(code(&output), 3);
    assert!(stderr(&output).contains("cargo run"), "{}", stderr(&output));
    assert!(records_in(folder.path()).is_empty(), "an empty record helps nobody");
}

#[test]
fn an_unknown_cause_gets_a_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [["explain", "log-of-zeros"], ["demo", "--cause=log-of-zeros"]] {
        let output = denan(folder.path(), &arguments);
        assert_eq!(code(&output), 2);
        assert!(stderr(&output).contains("did you mean `log-of-zero`?"), "{}", stderr(&output));
    }
}

#[test]
fn what_cannot_be_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let replay = |arguments: &[&str]| {
        let output = denan(folder.path(), &[&["replay"], arguments].concat());
        assert_eq!(code(&output), 2, "{}", stderr(&output));
        stderr(&output)
    };
    assert!(replay(&["gone.db"]).contains("cannot open `gone.db`"));
    std::fs::write(folder.path().join("notes.db"), "no database, but long enough to look like one").unwrap();
    assert!(replay(&["notes.db"]).contains("`notes.db` is not a denan record"));
    let recorder = Recorder::create(&folder.path().join("healthy.db"), Limits::default()).unwrap();
    recorder.tell(Event::Step(Step::default())).unwrap();
    recorder.finish().unwrap();
    let said = replay(&["healthy.db"]);
    assert!(said.contains("did not break") && said.contains("help: denan show healthy.db"), "{said}");
    assert!(replay(&["healthy.db", "--set", "log=min:1"]).contains("at-least:V"));
    assert!(replay(&["healthy.db", "--until", "log@here"]).contains("`here` is no line number"));
}

#[test]
fn an_unknown_intervention_names_those_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let output = denan(folder.path(), &["run", "--cure", "magic", "--", "true"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("clip-gradients"), "{}", stderr(&output));
}

#[test]
fn a_record_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mine.db"), "precious").unwrap();
    let output = denan(folder.path(), &["run", "--record", "mine.db", "--", "true"]);
    assert_eq!(code(&output), 2);
    assert_eq!(std::fs::read_to_string(folder.path().join("mine.db")).unwrap(), "precious");
}

#[test]
fn records_that_cannot_be_read_say_why() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("text.db"), "this is no record").unwrap();
    for record in ["text.db", "absent.db"] {
        let output = denan(folder.path(), &["show", record]);
        assert_eq!(code(&output), 2, "{record}");
        assert!(stderr(&output).contains(record), "{}", stderr(&output));
    }
}

/// A stand-in for an interpreter that answers which packages it has.
fn interpreter(folder: &std::path::Path, answer: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join("python3");
    std::fs::write(&path, format!("#!/bin/sh\nprintf '{answer}'\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[test]
fn a_python_without_the_package_or_without_torch_is_told_the_command_that_installs_it() {
    let folder = tempfile::tempdir().unwrap();
    let without_package = interpreter(folder.path(), "\\n1\\n");
    let output = denan(folder.path(), &["run", "--", &without_package, "train.py"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("-m pip install PATH/TO/denan/python"), "{}", stderr(&output));

    std::fs::create_dir_all(folder.path().join("denan/_inject")).unwrap();
    let package = folder.path().join("denan");
    let without_torch = interpreter(folder.path(), &format!("{}\\n0\\n", package.display()));
    let output = denan(folder.path(), &["run", "--", &without_torch, "train.py"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("-m pip install torch"), "{}", stderr(&output));
}

#[test]
fn cargo_run_outside_of_a_package_repeats_what_cargo_said() {
    let folder = tempfile::tempdir().unwrap();
    let output = denan(folder.path(), &["run", "--", "cargo", "run"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("Cargo.toml"), "{}", stderr(&output));
}

#[test]
fn a_program_without_burn_is_told_what_denan_can_watch() {
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path();
    std::fs::create_dir(package.join("src")).unwrap();
    std::fs::write(
        package.join("Cargo.toml"),
        "[package]\nname = \"plain\"\nedition = \"2024\"\n[workspace]\n",
    )
    .unwrap();
    std::fs::write(package.join("src/main.rs"), "fn main() {}\n").unwrap();
    let output = denan(package, &["run", "--", "cargo", "run", "--offline"]);
    assert_eq!(code(&output), 2);
    assert!(stderr(&output).contains("flex"), "{}", stderr(&output));
}

fn records_in(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "db")).collect()
}
