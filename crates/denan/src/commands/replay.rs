//! `denan replay RECORD`: the breaking step again, operation by operation, from the record alone.
//!
//! Operations are carried out by the engine that made them, in a small program of its own that is built once
//! and kept; the record holds everything that it reads. The trained program is neither needed nor run.

use crate::annotations::AnnotationFiles;
use crate::args::{Common, Operation, ReplayArguments, Setting};
use crate::cache;
use crate::cargo;
use crate::embedded;
use crate::error::Error;
use crate::host::Host;
use crate::launch::{Launch, Source};
use crate::replayed::{Outcome, called};
use crate::result;
use crate::sources::SourceFiles;
use crate::terminal::Terminal;
use denan_finding::{NextCommand, ReplayVerdict};
use denan_record::model::{Node, Phase, Run, StepGraph};
use denan_record::store;
use denan_record::tape::{Alteration, Change, Replayed, Task};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

const MANIFEST: &str = r#"[package]
name = "denan-replay"
version = "0.1.0"
edition = "2024"

[workspace]

[dependencies]
burn-flex = "=0.22.1"
"#;

const PROGRAM: &str = r#"fn main() -> std::process::ExitCode {
    burn_flex::replay::main()
}
"#;

/// Replays a record.
pub fn replay(
    arguments: &ReplayArguments,
    common: &Common,
    host: &Host,
    terminal: &Terminal,
) -> Result<u8, Error> {
    let record = &arguments.record;
    let run = store::read(record)?;
    let tape = store::read_tape(record)?.ok_or_else(|| no_tape(record, &run))?;
    let until = arguments.until.as_ref().map(|operation| one_of(&tape.graph, operation)).transpose()?;
    let mut changes = Vec::new();
    for Setting { operation, how } in &arguments.set {
        changes.extend(all_of(&tape.graph, operation)?.into_iter().map(|node| Change { node, how: *how }));
    }
    let program = program(host, terminal)?;
    let task = Task { tape, changes, until };
    let replayed = carry_out(&program, &task)?;
    let Task { tape, changes, .. } = task;

    let outcome = Outcome::of(&tape, &replayed);
    let words = changes.iter().map(|change| in_words(&tape.graph, change)).collect();
    let focus = until.or(changes.first().map(|change| change.node));
    let shown = outcome.shown(&tape, &replayed, words, focus, until.is_some(), arguments.all);
    let run = as_it_went(run, &outcome, shown.verdict);
    let mut result = result::of_run(&run, &AnnotationFiles::of_command(&[], None), None, None);
    for change in &replayed.without_effect {
        result
            .notes
            .push(format!("{} changed nothing: it reads no float tensor", in_words(&tape.graph, change)));
    }
    if changes.is_empty() && shown.verdict == ReplayVerdict::Finite {
        result.notes.push(
            "the step broke when it was recorded and is finite here: another processor, or a fault of the machine"
                .to_owned(),
        );
    }
    result.next = next(record, &tape.graph, &shown.verdict, &changes);
    result.record = Some(record.display().to_string());
    result.overhead = None;
    result.replay = Some(shown);
    result::show(&result, common, terminal, &SourceFiles::of(&Source::default()))
}

fn no_tape(record: &Path, run: &Run) -> Error {
    let what = match &run.first_break {
        None => format!("{} is the record of a training that did not break", record.display()),
        Some(first) => format!("{} does not hold step {} for replay", record.display(), first.step),
    };
    let help = match &run.first_break {
        None => format!("denan show {}", record.display()),
        Some(_) => {
            "a step is kept when the training is run again and breaks in the same way, which `--cure off` \
                    prevents; run it once more with denan run"
                .to_owned()
        }
    };
    Error::NotSupported { what, help }
}

/// The nodes that an operation of the command line means.
fn all_of(graph: &StepGraph, operation: &Operation) -> Result<Vec<u32>, Error> {
    let numbered = || (0u32..).zip(&graph.nodes);
    let (name, file, line) = match operation {
        Operation::Number(number) if (*number as usize) < graph.nodes.len() => return Ok(vec![*number]),
        Operation::Number(number) => {
            return Err(Error::NotSupported {
                what: format!("there is no operation {number}; the step has {}", graph.nodes.len()),
                help: "`denan replay RECORD --all` lists them".to_owned(),
            });
        }
        Operation::Named { name, file, line } => (name, file, line),
    };
    let is_there = |place: Option<u32>| {
        let place = place.and_then(|place| graph.places.get(place as usize));
        line.is_none_or(|line| {
            place.is_some_and(|place| {
                place.line == line && file.as_ref().is_none_or(|file| Path::new(&place.file).ends_with(file))
            })
        })
    };
    let in_forward = |node: &Node| node.is_new && node.phase == Phase::Forward;
    let named = |is_meant: &dyn Fn(&Node) -> bool| -> Vec<u32> {
        let meant = numbered().filter(|(_, node)| is_there(node.place) && is_meant(node));
        meant.map(|(number, _)| number).collect()
    };
    // The user's own calls of this name; an operation of the same name inside another call is not meant.
    let mut found = named(&|node| in_forward(node) && node.call.is_none() && node.op == *name);
    if found.is_empty() {
        // The first operation of a call that is made of several reads what the call reads.
        found = named(&|node| in_forward(node) && node.call.as_deref() == Some(name));
        let place = |number: u32| graph.nodes[number as usize].place;
        let mut last = None;
        found.retain(|&number| {
            let before = last.replace(number);
            before.is_none_or(|before| before + 1 != number || place(before) != place(number))
        });
    }
    if found.is_empty() {
        found = named(&|node| node.op == *name);
    }
    if !found.is_empty() {
        return Ok(found);
    }
    let mut names: Vec<&str> = graph.nodes.iter().filter(|node| in_forward(node)).map(called).collect();
    names.sort_unstable();
    names.dedup();
    let place = line.map_or(String::new(), |line| format!(" at line {line}"));
    Err(Error::NotSupported {
        what: format!("the step has no operation `{name}`{place}"),
        help: format!("its forward pass has {}", names.join(", ")),
    })
}

/// The first of those.
fn one_of(graph: &StepGraph, operation: &Operation) -> Result<u32, Error> {
    all_of(graph, operation).map(|nodes| nodes[0])
}

fn in_words(graph: &StepGraph, change: &Change) -> String {
    let name = called(&graph.nodes[change.node as usize]);
    let what = match change.how {
        Alteration::AtLeast(limit) => format!("reads at least {limit}"),
        Alteration::AtMost(limit) => format!("reads at most {limit}"),
        Alteration::Plus(addend) => format!("reads {addend} more"),
        Alteration::Value(value) => format!("makes {value}"),
    };
    format!("{name} ({}) {what}", change.node)
}

/// The replay program, built if it has not been.
fn program(host: &Host, terminal: &Terminal) -> Result<Launch, Error> {
    let digest = embedded::digest(&[], &[MANIFEST, PROGRAM, embedded::LOCK]);
    let folder = cache::folder(&format!("replay/{digest}"))?;
    let manifest = folder.join("Cargo.toml");
    cache::write(&manifest, MANIFEST)?;
    cache::write(&folder.join("src/main.rs"), PROGRAM)?;
    cache::write_lock(&folder, embedded::LOCK)?;
    let mut command: Vec<std::ffi::OsString> =
        ["cargo", "run", "--quiet", "--release", "--manifest-path"].map(Into::into).to_vec();
    command.push(manifest.into());
    terminal.say("preparing the engine that carries the step out (built once)");
    cargo::watched(&Launch::typed(&command)?, host, &|_| {})?.ok_or_else(|| Error::NotSupported {
        what: "the engine that carries the step out could not be built".to_owned(),
        help: "try `cargo --version`: replay needs cargo, as denan run does".to_owned(),
    })
}

fn carry_out(program: &Launch, task: &Task) -> Result<Replayed, Error> {
    let failed = |what: String| Error::NotSupported {
        what: format!("the step could not be carried out: {what}"),
        help: format!("it was recorded with {}; replay it with the denan that recorded it", task.tape.engine),
    };
    let bytes = postcard::to_stdvec(task).map_err(|error| failed(error.to_string()))?;
    let mut command = program.command();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|source| Error::Start { program: program.program.to_string_lossy().into_owned(), source })?;
    if let Some(mut stdin) = child.stdin.take() {
        // If it has ended already, its own words say more than a broken pipe.
        let _ = stdin.write_all(&bytes);
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(failed(words.lines().next().unwrap_or("it ended without a word").to_owned()));
    }
    postcard::from_bytes(&output.stdout).map_err(|error| failed(error.to_string()))
}

/// The run with the break that the replay had. One that came back as it was is the recorded one, with all
/// that is known of it.
fn as_it_went(mut run: Run, outcome: &Outcome, verdict: ReplayVerdict) -> Run {
    match (verdict, &run.first_break) {
        (ReplayVerdict::OtherBreak, Some(recorded)) => {
            let step = recorded.step;
            run.first_break = outcome.break_of(&run, recorded);
            run.graphs.retain(|graph| graph.step != step);
            run.graphs.push(outcome.graph.clone());
        }
        (ReplayVerdict::Finite | ReplayVerdict::Stopped, _) => run.first_break = None,
        _ => {}
    }
    run
}

fn next(
    record: &Path,
    graph: &StepGraph,
    verdict: &ReplayVerdict,
    changes: &[Change],
) -> Option<NextCommand> {
    let producer = graph.producer?;
    if *verdict != ReplayVerdict::SameBreak || !changes.is_empty() {
        return None;
    }
    let (change, what) = match &*graph.nodes[producer as usize].op {
        "exp" => ("at-most:80", "above 80"),
        "log" | "log1p" | "sqrt" | "div" | "recip" | "powf" => ("at-least:1e-6", "below 1e-6"),
        _ => return None,
    };
    Some(NextCommand {
        command: format!("denan replay {} --set {producer}={change}", record.display()),
        purpose: format!("what if {} read nothing {what}", called(&graph.nodes[producer as usize])),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use denan_numerics::Range;
    use denan_record::model::{Place, Role};

    /// `log` of the user's at line 3, a softmax of `exp`, `log` and `sub` at line 4, and the gradient of the first.
    fn graph() -> StepGraph {
        let node = |op: &str, call: Option<&str>, phase: Phase, place: u32| Node {
            op: op.to_owned(),
            call: call.map(str::to_owned),
            phase,
            scalar: None,
            window: None,
            place: Some(place),
            inputs: Vec::new(),
            shape: vec![1],
            dtype: "float32".to_owned(),
            role: Role::Activation,
            slot: None,
            is_new: true,
            range: Range::EMPTY,
            values: Vec::new(),
            rows: None,
        };
        let line = |line| Place { file: "src/loss.rs".to_owned(), line, column: 1, function: None };
        StepGraph {
            nodes: vec![
                node("log", None, Phase::Forward, 0),
                node("exp", Some("log_softmax"), Phase::Forward, 1),
                node("log", Some("log_softmax"), Phase::Forward, 1),
                node("sub", Some("log_softmax"), Phase::Forward, 1),
                node("recip", Some("log"), Phase::Backward, 0),
            ],
            places: vec![line(3), line(4)],
            ..StepGraph::default()
        }
    }

    fn meant(text: &str) -> Vec<u32> {
        all_of(&graph(), &text.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_name_means_the_users_calls_of_it() {
        assert_eq!(meant("log"), [0]);
        assert_eq!(meant("log_softmax"), [1], "the first of its operations reads what it reads");
        assert_eq!(meant("recip"), [4], "a name of the backward pass alone");
        assert_eq!(meant("4"), [4]);
        assert_eq!(meant("log@loss.rs:3"), [0]);
    }

    #[test]
    fn what_is_not_there_is_said_with_what_is() {
        let error = |text: &str| all_of(&graph(), &text.parse().unwrap()).unwrap_err().to_string();
        assert!(error("lg").contains("its forward pass has log, log_softmax"), "{}", error("lg"));
        assert!(error("log@9").contains("no operation `log` at line 9"));
        assert!(error("log@other.rs:3").contains("no operation `log`"));
        assert!(error("5").contains("the step has 5"));
    }
}
