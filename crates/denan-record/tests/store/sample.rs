//! A training that breaks, as an adapter tells it.

use denan_numerics::{Range, Summary};
use denan_record::event::Event;
use denan_record::model::{
    Act, Batch, Birth, Break, DataSeen, Deed, Ending, Extreme, Forecast, Header, Kind, Node, Operation,
    Optimizer, Origin, Parameter, ParameterStep, Phase, Place, Role, Rows, Run, Sample, Step, StepGraph,
    TensorSeen, Window,
};
use denan_record::store::{Limits, Recorder};
use std::path::Path;

/// Writes a run to a new record.
pub fn write(path: &Path, run: &Run) {
    let recorder = Recorder::create(path, Limits::default()).unwrap();
    for event in events(run) {
        recorder.tell(event).unwrap();
    }
    let report = recorder.finish().unwrap();
    assert_eq!((report.steps, report.dropped), (run.steps.len() as u64, 0));
    assert!(report.complete);
}

/// What an adapter would have told of a run.
pub fn events(run: &Run) -> Vec<Event> {
    let mut events = Vec::new();
    events.extend(run.header.clone().map(Event::Started));
    events.extend(run.parameters.iter().cloned().map(Event::Parameter));
    events.extend(run.optimizer.clone().map(Event::Optimizer));
    events.extend(run.batches.iter().cloned().map(Event::Batch));
    events.extend(run.steps.iter().cloned().map(Event::Step));
    events.extend(run.first_break.clone().map(|found| Event::Break(Box::new(found))));
    events.extend(run.graphs.iter().cloned().map(|graph| Event::Graph(Box::new(graph))));
    if !run.data.is_empty() {
        events.push(Event::Data(run.data.clone()));
    }
    events.extend(run.forecasts.iter().cloned().map(Event::Forecast));
    events.extend(run.acts.iter().cloned().map(|act| Event::Acted(Box::new(act))));
    events.extend(run.notes.iter().cloned().map(Event::Note));
    events.extend(run.ending.map(Event::Ended));
    events
}

/// A step with as many parameters as told, all of the same figures.
pub fn step(step: u64, parameters: u32) -> Step {
    Step {
        step,
        loss: Some(2.5 / (step + 1) as f64),
        loss_bits: Some(step << 40),
        learning_rate: Some(0.1),
        gradient_norm: Some(1.5),
        operations: 120,
        elapsed_us: step * 1000,
        parameters: (0..parameters).map(|slot| parameter_step(slot, 0.25)).collect(),
        ..Step::default()
    }
}

pub fn batch(step: u64, samples: u64) -> Batch {
    let sample = |row| {
        let index = (step * samples + row) * 7 % 360;
        Sample { index, name: Some(format!("BloodImage_{index:05}.xml")) }
    };
    Batch { step, samples: (0..samples).map(sample).collect() }
}

fn parameter_step(slot: u32, largest: f64) -> ParameterStep {
    let figures = Summary { count: 160, min: -largest, max: largest / 2.0, m2: 0.5, ..Summary::EMPTY };
    ParameterStep { slot, gradient: Some(figures), value: Some(figures), update: None }
}

fn tensor(role: Role, range: Range) -> TensorSeen {
    let dtype = "float32".into();
    TensorSeen { shape: vec![4, 4], dtype, range, role, parameter: None, made_by: None }
}

fn operation(sequence: u64, op: &str, line: u32, input: Range, output: Range) -> Operation {
    Operation {
        sequence,
        op: op.into(),
        carried_out: None,
        phase: Phase::Forward,
        module: None,
        parameter: None,
        place: Some(Place { file: "src/loss.rs".into(), line, column: 9, function: Some("box_loss".into()) }),
        forward_place: None,
        scalar: None,
        inputs: vec![tensor(Role::Activation, input)],
        output: tensor(Role::Activation, output),
    }
}

/// Forty steps; in the last one a box of no width goes through a logarithm.
pub fn broken_run() -> Run {
    let widths = Range { count: 16, zeros: 1, min: 0.0, max: 0.75, ..Range::EMPTY };
    let logs = Range { count: 16, neg_inf: 1, min: -3.5, max: -0.2876820724517809, ..Range::EMPTY };
    let loss = Range { count: 1, pos_inf: 1, ..Range::EMPTY };
    let broken_batch = batch(39, 4);
    let mut steps: Vec<Step> = (0..40).map(|number| step(number, 2)).collect();
    for step in &mut steps[37..] {
        // The second parameter runs away before the first.
        step.parameters[1] = parameter_step(1, 4f64.powi(step.step as i32 - 36));
    }
    steps[39].loss = Some(f64::INFINITY);
    steps[39].gradient_norm = Some(f64::NAN);
    Run {
        header: Some(Header {
            engine: "burn 0.22.1".into(),
            process_id: 4242,
            started_unix_ms: 1_700_000_000_000,
            seed: u64::MAX,
            intervention: None,
            rank: None,
        }),
        optimizer: Some(Optimizer { name: Some("Adam".into()), place: None }),
        parameters: [(0, "backbone.weight"), (1, "head.weight")]
            .map(|(slot, name)| Parameter {
                slot,
                name: Some(name.into()),
                shape: vec![16, 10],
                dtype: "float32".into(),
                first_use: None,
                first_update: Some(0),
                initial: Some(parameter_step(slot, 1.0).value.unwrap()),
                birth: Some(Birth { thread: 0, operation: 7 + u64::from(slot) }),
            })
            .into(),
        steps,
        batches: (0..39).map(|step| batch(step, 4)).chain([broken_batch.clone()]).collect(),
        first_break: Some(Break {
            step: 39,
            phase: Phase::Forward,
            kind: Kind::NegativeInfinity,
            producer: operation(17, "log", 42, widths, logs),
            trail: vec![operation(18, "mean", 43, logs, loss)],
            origins: vec![Origin {
                shape: vec![4, 4],
                position: vec![2, 2],
                vector: vec![0.5, 0.25, 0.0, 0.125],
                range: widths,
                columns: vec![widths; 4],
                batch_row: Some(2),
                sample: Some(broken_batch.samples[2].clone()),
                place: None,
            }],
            samples: broken_batch.samples,
            batch_rows: vec![2],
            loss_is_bad: true,
            parameters_are_bad: true,
            in_evaluation: false,
        }),
        graphs: vec![graph(0, Vec::new()), graph(39, vec![0.5, f64::NAN, -0.0, f64::INFINITY])],
        data: vec![data()],
        forecasts: vec![Forecast {
            tensor: 0,
            op: "matmul".to_owned(),
            phase: Phase::Forward,
            place: None,
            dtype: "float16".to_owned(),
            at: 6,
            largest: 3.2e4,
            powers_left: 1.03,
            powers_per_step: 0.5,
            step: 9,
        }],
        acts: vec![
            Act {
                step: 38,
                what: Deed::SkippedStep,
                why: "the loss was NaN".into(),
                samples: batch(38, 2).samples,
                to: None,
                factor: None,
                file: None,
            },
            Act {
                step: 39,
                what: Deed::RolledBack,
                why: "2 bad steps in a row".into(),
                samples: Vec::new(),
                to: Some(20),
                factor: Some(0.5),
                file: Some("model.pt".into()),
            },
        ],
        began_at: 0,
        intervened_at: None,
        notes: vec!["the program set its own seed".into()],
        ending: Some(Ending::StoppedAfterBreak),
    }
}

/// Data that enter at a line, their logarithm, and a pooling.
fn graph(step: u64, values: Vec<f64>) -> StepGraph {
    let node = |op: &str, inputs: Vec<u32>| Node {
        op: op.into(),
        call: None,
        phase: Phase::Forward,
        scalar: None,
        window: None,
        place: None,
        inputs,
        shape: vec![2, 2],
        dtype: "float32".into(),
        role: Role::Activation,
        slot: None,
        is_new: true,
        range: Range { count: 4, nan: 1, pos_inf: 1, neg_inf: 0, zeros: 1, min: -0.0, max: 0.5 },
        values: Vec::new(),
        rows: None,
    };
    let place = Place { file: "src/main.rs".into(), line: 42, column: 9, function: None };
    StepGraph {
        step,
        nodes: vec![
            Node {
                role: Role::Data,
                place: Some(0),
                values,
                rows: Some(Rows { first: 0, length: 2 }),
                ..node("input", Vec::new())
            },
            Node { call: Some("softmax".into()), scalar: Some(2.0), ..node("log", vec![0]) },
            Node {
                window: Some(Window { kernel: vec![2, 2], stride: vec![3, 3] }),
                slot: Some(1),
                place: Some(0),
                ..node("max_pool2d", vec![0, 1])
            },
        ],
        places: vec![place],
        producer: (step == 39).then_some(1),
        left_out: 3,
    }
}

fn data() -> DataSeen {
    let column = parameter_step(0, 2.0).value.unwrap();
    DataSeen {
        place: Some(Place { file: "src/main.rs".into(), line: 42, column: 9, function: Some("load".into()) }),
        shape: vec![16, 2],
        dtype: "float32".into(),
        tensors: 40,
        axis: 1,
        columns: vec![column; 2],
        typical: vec![0.5, 300.0],
        extreme: Some(Extreme {
            value: -1e20,
            column: 1,
            step: 12,
            row: Some(3),
            sample: Some(Sample { index: 7, name: Some("image_7.xml".into()) }),
        }),
    }
}
