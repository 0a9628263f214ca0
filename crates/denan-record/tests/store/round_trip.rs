//! What is told comes back as it was.

use crate::sample;
use denan_numerics::{Range, Summary};
use denan_record::event::Event;
use denan_record::model::{
    Batch, Birth, Break, Ending, Forecast, Header, Kind, Node, Operation, Optimizer, Origin, Parameter,
    ParameterStep, Phase, Place, Rank, Role, Run, Sample, Step, StepGraph, TensorSeen,
};
use denan_record::store::{self, Limits, Recorder, StoreError};
use denan_record::tape::{Entry, Tape};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

#[test]
fn the_sample_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let run = sample::broken_run();
    sample::write(&path, &run);
    assert_same(&store::read(&path).unwrap(), &run);
}

#[test]
fn an_empty_record_is_an_empty_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    sample::write(&path, &Run::default());
    assert_eq!(store::read(&path).unwrap(), Run::default());
}

#[test]
fn a_tape_is_added_to_a_finished_record_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let run = sample::broken_run();
    sample::write(&path, &run);
    assert_eq!(store::read_tape(&path).unwrap(), None);
    let given = Entry::Given { node: Some(0), tensor: vec![1, 2], elements: vec![0; 1 << 16] };
    let operation = Entry::Operation { nodes: vec![Some(1), None], operation: vec![3] };
    let node = Node {
        op: "log".to_owned(),
        call: None,
        phase: Phase::Forward,
        scalar: None,
        window: None,
        place: None,
        inputs: Vec::new(),
        shape: vec![2],
        dtype: "float32".to_owned(),
        role: Role::Activation,
        slot: None,
        is_new: true,
        range: Range::EMPTY,
        values: Vec::new(),
        rows: None,
    };
    let tape = Tape {
        engine: "burn 0.22.1".to_owned(),
        graph: StepGraph { step: 7, nodes: vec![node.clone(), node], ..StepGraph::default() },
        entries: vec![given, operation],
        watched: vec![1],
    };
    for _ in 0..2 {
        store::add_tape(&path, &tape).unwrap();
        assert_eq!(store::read_tape(&path).unwrap().as_ref(), Some(&tape));
    }
    assert_same(&store::read(&path).unwrap(), &run);
    let foreign = Tape { watched: vec![2], ..tape.clone() };
    store::add_tape(&path, &foreign).unwrap();
    assert!(matches!(store::read_tape(&path), Err(StoreError::Damaged { .. })));
    let other = folder.path().join("b.db");
    std::fs::write(&other, "no record").unwrap();
    assert!(store::add_tape(&other, &tape).is_err());
    assert_eq!(std::fs::read(&other).unwrap(), b"no record");
}

#[test]
fn a_forecast_is_replaced_by_a_later_one_and_goes_when_it_is_averted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let forecast = sample::broken_run().forecasts[0].clone();
    let recorder = Recorder::create(&path, Limits::default()).unwrap();
    let later = Forecast { step: forecast.step - 1, ..forecast.clone() };
    let other = Forecast { tensor: 9, ..forecast.clone() };
    for event in [Event::Forecast(forecast), Event::Forecast(other), Event::Forecast(later.clone())] {
        recorder.tell(event).unwrap();
    }
    wait_until_written(&path, |run| run.forecasts.len() == 2);
    recorder.tell(Event::Averted(9)).unwrap();
    recorder.finish().unwrap();
    assert_eq!(store::read(&path).unwrap().forecasts, [later]);
}

#[test]
fn what_is_told_again_replaces_what_was_told_before() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let run = sample::broken_run();
    let recorder = Recorder::create(&path, Limits::default()).unwrap();
    let mut nameless = run.parameters[0].clone();
    nameless.name = None;
    recorder.tell(Event::Parameter(nameless)).unwrap();
    recorder.tell(Event::Step(sample::step(3, 2))).unwrap();
    wait_until_written(&path, |run| !run.steps.is_empty());
    recorder.tell(Event::Parameter(run.parameters[0].clone())).unwrap();
    recorder.tell(Event::Step(sample::step(3, 1))).unwrap();
    recorder.finish().unwrap();
    let read = store::read(&path).unwrap();
    assert_eq!(read.parameters, run.parameters[..1]);
    assert_eq!(read.steps, [sample::step(3, 1)]);
}

#[test]
fn the_first_break_counts_and_lost_parameters_are_added_to_it() {
    let folder = tempfile::tempdir().unwrap();
    for is_written_between in [false, true] {
        let path = folder.path().join(format!("{is_written_between}.db"));
        let mut first = sample::broken_run().first_break.unwrap();
        first.parameters_are_bad = false;
        let second = Break { step: 40, ..first.clone() };
        let recorder = Recorder::create(&path, Limits::default()).unwrap();
        recorder.tell(Event::Break(Box::new(first.clone()))).unwrap();
        if is_written_between {
            wait_until_written(&path, |run| run.first_break.as_ref() == Some(&first));
        }
        recorder.tell(Event::Break(Box::new(second))).unwrap();
        recorder.tell(Event::ParametersLost).unwrap();
        recorder.finish().unwrap();
        first.parameters_are_bad = true;
        assert_eq!(store::read(&path).unwrap().first_break, Some(first));
    }
}

#[test]
fn a_step_may_consume_several_batches() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.db");
    let run = Run {
        batches: vec![sample::batch(0, 2), sample::batch(0, 3), sample::batch(1, 0)],
        ..Run::default()
    };
    sample::write(&path, &run);
    assert_eq!(store::read(&path).unwrap(), run);
}

fn wait_until_written(path: &std::path::Path, condition: impl Fn(&Run) -> bool) {
    let start = std::time::Instant::now();
    while !condition(&store::read(path).unwrap()) {
        assert!(start.elapsed().as_secs() < 60, "nothing was written");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// NaN differs from itself, so the texts are compared; they tell all other numbers apart.
fn assert_same(read: &Run, told: &Run) {
    assert_eq!(format!("{read:#?}"), format!("{told:#?}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_run_comes_back_as_it_was(run in run()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        sample::write(&path, &run);
        assert_same(&store::read(&path).unwrap(), &run);
    }
}

fn run() -> impl Strategy<Value = Run> {
    (
        option::of(header()),
        option::of(
            (option::of(any::<String>()), option::of(place()))
                .prop_map(|(name, place)| Optimizer { name, place }),
        ),
        btree_map(any::<u32>(), parameter(), 0..4),
        btree_map(step_number(), step(), 0..6),
        vec((step_number(), vec(a_sample(), 0..4)), 0..6),
        option::of(a_break()),
        vec(any::<String>(), 0..3),
        option::of(prop::sample::select(vec![
            Ending::Completed,
            Ending::StoppedAfterBreak,
            Ending::StoppedAtStep,
        ])),
    )
        .prop_map(|(header, optimizer, parameters, steps, mut batches, first_break, notes, ending)| {
            batches.sort_by_key(|(step, _)| *step);
            Run {
                header,
                optimizer,
                parameters: parameters
                    .into_iter()
                    .map(|(slot, parameter)| Parameter { slot, ..parameter })
                    .collect(),
                steps: steps.into_iter().map(|(number, step)| Step { step: number, ..step }).collect(),
                batches: batches.into_iter().map(|(step, samples)| Batch { step, samples }).collect(),
                first_break,
                graphs: Vec::new(),
                data: Vec::new(),
                forecasts: Vec::new(),
                acts: Vec::new(),
                began_at: 0,
                intervened_at: None,
                notes,
                ending,
            }
        })
}

/// Steps are sorted by SQLite, to which numbers from 2^63 on are negative.
fn step_number() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..4, 0..=i64::MAX.cast_unsigned()]
}

fn real() -> impl Strategy<Value = f64> {
    prop_oneof![
        prop::num::f64::ANY,
        prop::sample::select(vec![0.0, -0.0, 1.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ]
}

fn header() -> impl Strategy<Value = Header> {
    let rank = option::of((any::<u32>(), any::<u32>()).prop_map(|(number, of)| Rank { number, of }));
    (any::<String>(), any::<u32>(), any::<u64>(), any::<u64>(), option::of(any::<String>()), rank).prop_map(
        |(engine, process_id, started_unix_ms, seed, intervention, rank)| Header {
            engine,
            process_id,
            started_unix_ms,
            seed,
            intervention,
            rank,
        },
    )
}

fn shape() -> impl Strategy<Value = Vec<u64>> {
    vec(any::<u64>(), 0..4)
}

fn place() -> impl Strategy<Value = Place> {
    (any::<String>(), any::<u32>(), any::<u32>(), option::of(any::<String>()))
        .prop_map(|(file, line, column, function)| Place { file, line, column, function })
}

fn parameter() -> impl Strategy<Value = Parameter> {
    let birth = (any::<u32>(), any::<u64>()).prop_map(|(thread, operation)| Birth { thread, operation });
    (
        option::of(any::<String>()),
        shape(),
        any::<String>(),
        option::of(place()),
        option::of(any::<u64>()),
        option::of(birth),
    )
        .prop_map(|(name, shape, dtype, first_use, first_update, birth)| Parameter {
            slot: 0,
            name,
            shape,
            dtype,
            first_use,
            first_update,
            initial: None,
            birth,
        })
}

fn step() -> impl Strategy<Value = Step> {
    (
        [(); 6].map(|()| option::of(real())),
        option::of(any::<u64>()),
        [(); 3].map(|()| any::<u64>()),
        option::of(any::<bool>()),
        btree_map(any::<u32>(), parameter_step(), 0..3),
    )
        .prop_map(
            |(reals, loss_bits, [operations, elapsed_us, watching_us], carries_gradients, parameters)| Step {
                step: 0,
                loss: reals[0],
                loss_bits,
                learning_rate: reals[1],
                gradient_norm: reals[2],
                weight_norm: reals[3],
                update_norm: reals[4],
                largest_value: reals[5],
                operations,
                elapsed_us,
                watching_us,
                carries_gradients,
                parameters: parameters
                    .into_iter()
                    .map(|(slot, parameter)| ParameterStep { slot, ..parameter })
                    .collect(),
            },
        )
}

/// A parameter of which nothing is known leaves no row.
fn parameter_step() -> impl Strategy<Value = ParameterStep> {
    (option::of(summary()), option::of(summary()), option::of(summary()))
        .prop_filter("something is known", |(gradient, value, update)| {
            gradient.is_some() || value.is_some() || update.is_some()
        })
        .prop_map(|(gradient, value, update)| ParameterStep { slot: 0, gradient, value, update })
}

fn summary() -> impl Strategy<Value = Summary> {
    ([(); 6].map(|()| any::<u64>()), [(); 4].map(|()| real())).prop_map(
        |([count, nan, pos_inf, neg_inf, zeros, subnormals], [min, max, mean, m2])| Summary {
            count,
            nan,
            pos_inf,
            neg_inf,
            zeros,
            subnormals,
            min,
            max,
            mean,
            m2,
        },
    )
}

fn range() -> impl Strategy<Value = Range> {
    ([(); 5].map(|()| any::<u64>()), real(), real()).prop_map(
        |([count, nan, pos_inf, neg_inf, zeros], min, max)| Range {
            count,
            nan,
            pos_inf,
            neg_inf,
            zeros,
            min,
            max,
        },
    )
}

fn a_sample() -> impl Strategy<Value = Sample> {
    (any::<u64>(), option::of(any::<String>())).prop_map(|(index, name)| Sample { index, name })
}

fn phase() -> impl Strategy<Value = Phase> {
    prop::sample::select(vec![
        Phase::Input,
        Phase::Forward,
        Phase::Loss,
        Phase::Backward,
        Phase::Optimizer,
        Phase::Parameter,
    ])
}

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(vec![
        Role::Data,
        Role::Parameter,
        Role::Activation,
        Role::Gradient,
        Role::OptimizerState,
        Role::Constant,
    ])
}

fn tensor() -> impl Strategy<Value = TensorSeen> {
    let texts = [(); 2].map(|()| option::of(any::<String>()));
    (shape(), any::<String>(), range(), role(), texts).prop_map(
        |(shape, dtype, range, role, [parameter, made_by])| TensorSeen {
            shape,
            dtype,
            range,
            role,
            parameter,
            made_by,
        },
    )
}

fn operation() -> impl Strategy<Value = Operation> {
    (
        any::<u64>(),
        any::<String>(),
        [(); 3].map(|()| option::of(any::<String>())),
        phase(),
        [(); 2].map(|()| option::of(place())),
        option::of(real()),
        vec(tensor(), 0..3),
        tensor(),
    )
        .prop_map(|(sequence, op, texts, phase, places, scalar, inputs, output)| {
            let [carried_out, module, parameter] = texts;
            let [place, forward_place] = places;
            Operation {
                sequence,
                op,
                carried_out,
                phase,
                module,
                parameter,
                place,
                forward_place,
                scalar,
                inputs,
                output,
            }
        })
}

fn origin() -> impl Strategy<Value = Origin> {
    (
        shape(),
        shape(),
        vec(real(), 0..5),
        range(),
        vec(range(), 0..3),
        option::of(any::<u64>()),
        option::of(a_sample()),
        option::of(place()),
    )
        .prop_map(|(shape, position, vector, range, columns, batch_row, sample, place)| Origin {
            shape,
            position,
            vector,
            range,
            columns,
            batch_row,
            sample,
            place,
        })
}

fn a_break() -> impl Strategy<Value = Break> {
    (
        step_number(),
        phase(),
        prop::sample::select(vec![Kind::Nan, Kind::Infinity, Kind::NegativeInfinity]),
        vec(operation(), 1..4),
        vec(origin(), 0..3),
        vec(a_sample(), 0..3),
        vec(any::<u64>(), 0..3),
        any::<[bool; 3]>(),
    )
        .prop_map(
            |(
                step,
                phase,
                kind,
                mut trail,
                origins,
                samples,
                batch_rows,
                [loss_is_bad, parameters_are_bad, in_evaluation],
            )| {
                Break {
                    step,
                    phase,
                    kind,
                    producer: trail.remove(0),
                    trail,
                    origins,
                    samples,
                    batch_rows,
                    loss_is_bad,
                    parameters_are_bad,
                    in_evaluation,
                }
            },
        )
}
