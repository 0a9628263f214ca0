//! The whole way from events to the result, with a program of the tests in the place of a training.
//!
//! The test binary runs itself as the training: it finds the plan, connects, and tells events as
//! an adapter would.

use crate::support::{code, denan, stderr, stdout};
use denan_numerics::Range;
use denan_record::event::Event;
use denan_record::model::{
    Break, Ending, Header, Kind, Operation, Origin, Phase, Place, Role, Sample, Step, TensorSeen,
};
use denan_record::plan::{Intervention, Plan};
use denan_record::wire;
use std::os::unix::net::UnixStream;

/// Environment variable that turns this test binary into a training.
const PLAY: &str = "DENAN_TEST_PLAYS";

/// Not a test: the training, when denan runs this binary with the variable set.
#[test]
fn training() {
    let Ok(what) = std::env::var(PLAY) else { return };
    let plan = Plan::from_environment().unwrap().expect("denan hands a plan over");
    let mut to = UnixStream::connect(plan.socket.as_ref().unwrap()).unwrap();
    let mut tell = |event: &Event| wire::send(&mut to, event).unwrap();
    tell(&Event::Started(Header {
        engine: "burn 0.22.1".to_owned(),
        process_id: std::process::id(),
        started_unix_ms: 0,
        seed: plan.seed,
        intervention: plan.intervention.as_ref().map(|intervention| intervention.id().to_owned()),
        rank: None,
    }));
    let drops =
        matches!(&plan.intervention, Some(Intervention::DropSamples { indices, .. }) if indices == &[337]);
    let breaks_at = if what == "breaks" && !drops { 12 } else { u64::MAX };
    for number in 0..plan.stop_at_step.unwrap_or(40) {
        if number == breaks_at {
            tell(&Event::Break(Box::new(bad_input(number))));
        }
        let loss = if number < breaks_at { 2.0 / (1.0 + number as f64 / 10.0) } else { f64::NAN };
        tell(&Event::Step(Step {
            step: number,
            loss: Some(loss),
            loss_bits: Some((loss as f32).to_bits().into()),
            learning_rate: Some(0.1),
            weight_norm: Some(1.0),
            update_norm: Some(1e-3),
            operations: 10,
            elapsed_us: 1000 * (number + 1),
            ..Step::default()
        }));
        if number == breaks_at {
            tell(&Event::ParametersLost);
            break;
        }
    }
    tell(&Event::Ended(Ending::Completed));
}

fn bad_input(step: u64) -> Break {
    let sample = Sample { index: 337, name: Some("row-337".to_owned()) };
    let range = Range { count: 8, nan: 1, pos_inf: 0, neg_inf: 0, zeros: 0, min: -1.0, max: 2.0 };
    let place = Some(Place { file: "src/main.rs".to_owned(), line: 7, column: 9, function: None });
    Break {
        step,
        phase: Phase::Input,
        kind: Kind::Nan,
        producer: Operation {
            sequence: 0,
            op: "input".to_owned(),
            carried_out: None,
            phase: Phase::Input,
            module: None,
            parameter: None,
            place: place.clone(),
            forward_place: None,
            scalar: None,
            inputs: Vec::new(),
            output: TensorSeen {
                shape: vec![4, 2],
                dtype: "float32".to_owned(),
                range,
                role: Role::Data,
                parameter: None,
                made_by: None,
            },
        },
        trail: Vec::new(),
        origins: vec![Origin {
            shape: vec![4, 2],
            position: vec![1, 0],
            vector: vec![f64::NAN, 0.5],
            range,
            columns: Vec::new(),
            batch_row: Some(1),
            sample: Some(sample.clone()),
            place,
        }],
        samples: vec![Sample { index: 12, name: None }, sample],
        batch_rows: vec![1],
        loss_is_bad: true,
        parameters_are_bad: false,
        in_evaluation: false,
    }
}

fn run(what: &str, options: &[&str]) -> (std::process::Output, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    let mut arguments = vec!["run", "--output", "result.json", "--record", "record.db"];
    arguments.extend(options);
    let play = format!("{PLAY}={what}");
    arguments.extend(["--", "env", &play, this.to_str().unwrap(), "--exact", "protocol::training"]);
    (denan(folder.path(), &arguments), folder)
}

fn document(folder: &tempfile::TempDir) -> serde_json::Value {
    let text = std::fs::read_to_string(folder.path().join("result.json")).unwrap();
    let document = serde_json::from_str(&text).unwrap();
    let schema = include_str!("../../../../schema/run-v1.schema.json");
    let schema = serde_json::from_str(schema).unwrap();
    if let Err(error) = jsonschema::validate(&schema, &document) {
        panic!("{error} in {text}");
    }
    document
}

#[test]
fn a_break_is_explained_and_its_cure_proven() {
    let (output, folder) = run("breaks", &[]);
    assert_eq!(code(&output), 1, "{}", stderr(&output));
    let document = document(&folder);
    assert_eq!(document["outcome"], "broke");
    assert_eq!(document["break"]["step"], 12);
    assert_eq!(document["causes"][0]["rule"], "non-finite-input");
    assert_eq!(document["samples"][0]["name"], "row-337");
    let cure = &document["cures"][0];
    assert_eq!(
        (&cure["intervention"], &cure["verdict"]),
        (&"drop-samples".into(), &"survived".into()),
        "{cure}"
    );
    assert!(cure["steps"].as_u64().unwrap() >= 62, "it is to outlive the break by fifty steps: {cure}");
    let shown = stderr(&output);
    assert!(shown.contains("row-337"), "{shown}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
}

#[test]
fn the_record_tells_the_same_again() {
    let (_, folder) = run("breaks", &["--cure", "off"]);
    let text = denan(folder.path(), &["show", "record.db"]);
    assert!(stdout(&text).starts_with("error: "), "no training owns standard output: {}", stderr(&text));
    let again = denan(folder.path(), &["show", "record.db", "--format", "json"]);
    assert_eq!(code(&again), 1, "{}", stderr(&again));
    let again: serde_json::Value = serde_json::from_str(&stdout(&again)).unwrap();
    assert_eq!(again["break"], document(&folder)["break"]);
    assert_eq!(again["causes"], document(&folder)["causes"]);
}

#[test]
fn a_healthy_training_gets_no_finding() {
    let (output, folder) = run("is-healthy", &[]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let document = document(&folder);
    assert_eq!(document["outcome"], "healthy");
    assert_eq!(document["causes"], serde_json::json!([]));
    assert_eq!(document["steps"], 40);
}

#[test]
fn cures_can_be_switched_off() {
    let (_, folder) = run("breaks", &["--cure", "off"]);
    assert_eq!(document(&folder)["cures"], serde_json::json!([]));
}

#[test]
fn a_folder_that_cannot_be_written_does_not_keep_the_training_from_running() {
    let folder = tempfile::tempdir().unwrap();
    let this = std::env::current_exe().unwrap();
    // A record below a file cannot be made, whoever runs the test.
    std::fs::write(folder.path().join("file"), "").unwrap();
    let play = format!("{PLAY}=is-healthy");
    let output = denan(
        folder.path(),
        &[
            "run",
            "--record",
            "file/record.db",
            "--",
            "env",
            &play,
            this.to_str().unwrap(),
            "--exact",
            "protocol::training",
        ],
    );
    assert_eq!(code(&output), 2, "an explicit path that cannot be used is the caller's mistake");
    assert!(stderr(&output).contains("file/record.db"), "{}", stderr(&output));
}
