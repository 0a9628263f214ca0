//! Causes in the data: bad values and boxes without area.

use crate::support::*;
use denan_diagnose::{Context, blamed_samples, diagnose};
use denan_record::model::Phase::{Backward, Forward, Input};
use denan_record::model::{DataSeen, Extreme, Kind, Origin, Role, Run};

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

/// xmin, ymin, xmax, ymax as fractions of the image; the third is a point.
const CORNERS: &[&[f64]] =
    &[&[0.1, 0.1, 0.3, 0.4], &[0.0, 0.0, 1.0, 1.0], &[0.79, 0.7, 0.79, 0.7], &[0.5, 0.2, 0.9, 0.8]];

/// Centre, width and height; the third has no width.
const SIZES: &[&[f64]] =
    &[&[0.5, 0.5, 0.2, 0.3], &[0.2, 0.6, 0.1, 0.1], &[0.8, 0.7, 0.0, 0.1], &[0.3, 0.3, 0.2, 0.2]];

/// Four boxes in two images.
const PER_IMAGE: &[u64] = &[2, 2, 4];

/// The same numbers as a plain table.
const TABLE: &[u64] = &[4, 4];

fn log_of_a_ratio() -> Run {
    broken(3, Forward, Kind::NegativeInfinity, operation("log", vec![activation(&[0.0, 7.0])]))
}

fn input(range: &[f64]) -> Run {
    let mut producer = operation("input", Vec::new());
    producer.output = tensor(range, Role::Data);
    broken(3, Input, Kind::Nan, producer)
}

#[test]
fn a_bad_element_is_named_with_its_sample() {
    let rows: &[&[f64]] = &[&[1.0, 2.0], &[3.0, 4.0], &[5.0, NAN]];
    let run = input(&[1.0, 2.0, 3.0, 4.0, 5.0, NAN]).with_origin(origin(&[3, 2], rows, 2, 1));
    let found = findings(&run);
    assert_eq!(verdict(&found), "non-finite-input 0.97");
    assert_eq!(
        found[0].summary,
        "image_102.xml carries NaN into the training: row 2, column 1 of a batch tensor of shape [3, 2]"
    );
    let evidence = found[0].evidence.join("\n");
    assert!(evidence.contains("1 NaN in 6 values; the others are from 1 to 5"), "{evidence}");
    assert!(evidence.contains("the finite values of that column lie between 2 and 4"), "{evidence}");
    assert_eq!(found[0].interventions, ["drop-samples"]);
    assert_house_style(&found);

    let blamed = blamed_samples(&run, &Context::default());
    assert_eq!(blamed.len(), 1);
    assert_eq!(blamed[0].sample, Some(sample(102)));
    assert_eq!(blamed[0].batch_row, Some(2));
    assert_eq!(blamed[0].why, "NaN in row 2, column 1 of a batch tensor of shape [3, 2]");
}

#[test]
fn bad_input_without_its_element_is_less_sure() {
    for (values, expected) in [
        (&[1.0, NAN][..], "non-finite-input 0.9"),
        (&[1.0, INF][..], "non-finite-input 0.9"),
        // An attention mask is written like this.
        (&[0.0, -INF][..], "non-finite-input 0.6"),
    ] {
        let found = findings(&input(values));
        assert_eq!(verdict(&found), expected, "{values:?}");
        assert_house_style(&found);
    }
}

#[test]
fn finite_input_is_not_blamed() {
    let rows: &[&[f64]] = &[&[1.0, 2.0], &[3.0, 4.0]];
    let run = broken(3, Forward, Kind::Infinity, operation("relu", vec![tensor(&[1.0], Role::Data)]))
        .with_origin(origin(&[2, 2], rows, 1, 1));
    assert_eq!(verdict(&findings(&run)), "unknown 0.05");
}

#[test]
fn a_target_worked_out_of_a_flat_box_shows_the_box() {
    let rows: &[&[f64]] = &[&[1.0, 2.0], &[3.0, -INF], &[5.0, 6.0]];
    let run =
        input(&[1.0, -INF]).with_origin(Origin { sample: Some(sample(337)), ..origin(&[3, 2], rows, 1, 1) });
    let files = Files::of(&[(337, &[[10.0, 10.0, 10.0, 40.0]])]);
    let found = diagnose(&run, &Context { annotations: &files, ..Context::default() });
    let evidence = found[0].evidence.join("\n");
    assert!(evidence.contains("box 0 (RBC) of image_337.xml has width 0: xmin 10, xmax 10"), "{evidence}");
}

#[test]
fn a_flat_box_is_judged_by_file_tensor_and_operation() {
    /// The file states the point.
    const STATES: &[[f64; 4]] = &[[504.0, 337.0, 504.0, 337.0], [320.0, 96.0, 576.0, 384.0]];
    /// The file knows ordinary boxes only.
    const DENIES: &[[f64; 4]] = &[[64.0, 48.0, 192.0, 192.0], [320.0, 96.0, 576.0, 384.0]];
    let corners = |shape| origin(shape, CORNERS, 2, 2);
    let sizes = |shape| origin(shape, SIZES, 2, 2);
    for (name, origin, file, expected) in [
        ("corners and file", corners(PER_IMAGE), Some(STATES), "degenerate-box 0.97"),
        ("sizes and file", sizes(PER_IMAGE), Some(STATES), "degenerate-box 0.97"),
        ("file, encoded target", origin(PER_IMAGE, SIZES, 0, 2), Some(STATES), "degenerate-box 0.93"),
        ("corners, file denies", corners(PER_IMAGE), Some(DENIES), "log-of-zero 0.93"),
        ("corners per image", corners(PER_IMAGE), None, "degenerate-box 0.75"),
        ("sizes per image", sizes(PER_IMAGE), None, "degenerate-box 0.7"),
        ("corners in a table", corners(TABLE), None, "degenerate-box 0.6"),
        ("a zero in a table of features", sizes(TABLE), None, "log-of-zero 0.93"),
        ("an ordinary box", origin(PER_IMAGE, CORNERS, 0, 2), None, "log-of-zero 0.93"),
        (
            "padding",
            origin(PER_IMAGE, &[CORNERS[0], CORNERS[3], &[0.0; 4], CORNERS[1]], 2, 2),
            None,
            "log-of-zero 0.93",
        ),
        ("no box has area", origin(PER_IMAGE, &[CORNERS[2]; 4], 2, 2), None, "log-of-zero 0.93"),
        (
            "the zero is a position",
            origin(PER_IMAGE, &[&[0.1, 0.0, 0.2, 0.2], SIZES[0], SIZES[1], SIZES[3]], 0, 1),
            None,
            "log-of-zero 0.93",
        ),
        (
            "seven columns",
            origin(
                &[2, 2, 7],
                &[&[0.5, 0.5, 0.5, 0.5, 0.0, 0.2, 0.3], &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]],
                0,
                4,
            ),
            None,
            "log-of-zero 0.93",
        ),
    ] {
        let sample_index = origin.sample.as_ref().expect("named").index;
        let run = log_of_a_ratio().with_origin(origin);
        let files = file.map(|file| Files::of(&[(sample_index, file)])).unwrap_or_default();
        let found = diagnose(&run, &Context { annotations: &files, ..Context::default() });
        assert_eq!(verdict(&found), expected, "{name}");
        assert_house_style(&found);
    }
}

#[test]
fn the_box_of_the_file_is_named_with_its_edges() {
    let point = [504.0, 337.0, 504.0, 337.0];
    let run = log_of_a_ratio().with_origin(origin(PER_IMAGE, CORNERS, 2, 2));
    let files = Files::of(&[(101, &[point, [320.0, 96.0, 576.0, 384.0]])]);
    let context = Context { annotations: &files, ..Context::default() };
    let found = diagnose(&run, &context);
    assert_eq!(
        found[0].summary,
        "a box of no area reached log: box 0 (RBC) of image_101.xml has width 0 and height 0: \
         xmin 504, xmax 504, ymin 337, ymax 337"
    );
    assert_eq!(found[0].interventions, ["drop-samples", "safe-op"]);
    let blamed = blamed_samples(&run, &context);
    assert_eq!(blamed.len(), 1);
    assert_eq!(blamed[0].sample, Some(sample(101)));
    assert_eq!(blamed[0].batch_row, Some(1));
    assert_eq!(blamed[0].why, "box 0 (RBC) has width 0 and height 0: xmin 504, xmax 504, ymin 337, ymax 337");
}

#[test]
fn a_logarithm_of_the_data_themselves_is_not_one_of_a_side() {
    let log = operation("log", vec![tensor(&[0.0, 0.7], Role::Data)]);
    let run = broken(3, Forward, Kind::NegativeInfinity, log).with_origin(origin(PER_IMAGE, SIZES, 2, 2));
    assert_eq!(verdict(&findings(&run)), "log-of-zero 0.93");
}

#[test]
fn a_root_of_an_inverted_side_is_one_of_a_box() {
    let sqrt = |values: &[f64]| broken(3, Forward, Kind::Nan, operation("sqrt", vec![activation(values)]));
    let rows: &[&[f64]] = &[&[0.1, 0.1, 0.9, 0.8], &[0.8, 0.4, 0.4, 0.9], &[0.2, 0.3, 0.4, 0.4]];
    for (name, origin, values, expected) in [
        ("beside others", origin(&[1, 3, 4], rows, 1, 0), [-0.4, 0.5], "degenerate-box 0.75"),
        // A box that entered the engine alone; the root read sides of others.
        ("alone", origin(&[4], &rows[1..2], 0, 0), [-0.4, 0.5], "degenerate-box 0.6"),
        ("no side has a length", origin(&[4], &rows[1..2], 0, 0), [-0.4, -0.1], "unknown 0.05"),
        ("an ordinary box", origin(&[4], &rows[..1], 0, 0), [-0.4, 0.5], "unknown 0.05"),
    ] {
        assert_eq!(verdict(&findings(&sqrt(&values).with_origin(origin))), expected, "{name}");
    }
}

#[test]
fn an_inverted_box_needs_a_negative_argument() {
    // Ordinary boxes as centre and size look inverted when read as corners.
    let rows: &[&[f64]] = &[&[0.5, 0.5, 0.2, 0.3], &[0.1, 0.1, 0.3, 0.9], &[0.6, 0.6, 0.9, 0.8]];
    let log = |values: &[f64]| broken(3, Forward, Kind::Nan, operation("log", vec![activation(values)]));
    let traced = || origin(&[1, 3, 4], rows, 0, 2);
    assert_eq!(verdict(&findings(&log(&[0.0, 7.0]).with_origin(traced()))), "log-of-zero 0.93");
    assert_eq!(verdict(&findings(&log(&[-0.3, 7.0]).with_origin(traced()))), "degenerate-box 0.75");
}

#[test]
fn a_root_of_a_flat_side_fails_in_its_gradient() {
    let gradient =
        with_scalar(carried_out(operation("sqrt", vec![activation(&[0.0, 0.2])]), "powf_scalar"), -0.5);
    let run = broken(3, Backward, Kind::Infinity, gradient).with_origin(origin(PER_IMAGE, SIZES, 2, 2));
    let files = Files::of(&[(101, &[[504.0, 337.0, 504.0, 400.0]])]);
    let found = diagnose(&run, &Context { annotations: &files, ..Context::default() });
    assert_eq!(verdict(&found), "degenerate-box 0.97");
    assert!(found[0].summary.starts_with("a box of no area reached the gradient of sqrt"));
    // Nobody but the file could say so.
    assert_eq!(verdict(&findings(&run)), "infinite-gradient 0.93");
}

#[test]
fn an_operation_that_needs_no_side_is_not_broken_by_one() {
    let files = Files::of(&[(101, &[[504.0, 337.0, 504.0, 337.0]])]);
    for producer in [
        operation("matmul", vec![activation(&[0.0, 1e30])]),
        operation("sqrt", vec![activation(&[0.0, 1.0])]),
        with_scalar(operation("powf", vec![activation(&[0.0, 1e30])]), 2.0),
    ] {
        let op = producer.op.clone();
        let run = broken(3, Forward, Kind::Infinity, producer).with_origin(origin(PER_IMAGE, CORNERS, 2, 2));
        let found = diagnose(&run, &Context { annotations: &files, ..Context::default() });
        assert_eq!(verdict(&found), "unknown 0.05", "{op}");
    }
}

#[test]
fn without_an_origin_the_files_of_the_batch_are_read() {
    let files = Files::of(&[
        (1, &[[0.0, 0.0, 9.0, 9.0]]),
        (2, &[[5.0, 5.0, 5.0, 9.0]]),
        (7, &[[5.0, 5.0, 5.0, 9.0]]),
    ]);
    let context = Context { annotations: &files, ..Context::default() };
    let run = || log_of_a_ratio().with(|broken| broken.samples = vec![sample(1), sample(2)]);

    let found = diagnose(&run(), &context);
    assert_eq!(verdict(&found), "degenerate-box 0.85");
    assert_eq!(blamed_samples(&run(), &context)[0].batch_row, Some(1));

    // An earlier batch held such a box, and nothing happened.
    let survived = run().with_batches(&[&[1, 7], &[1]]);
    assert_eq!(verdict(&diagnose(&survived, &context)), "log-of-zero 0.93");
    // The bad row is another one.
    let other_row = run().with(|broken| broken.batch_rows = vec![0]);
    assert_eq!(verdict(&diagnose(&other_row, &context)), "log-of-zero 0.93");
}

#[test]
fn a_value_that_came_from_the_pixels_acquits_the_boxes() {
    let pixels: &[&[f64]] = &[&[0.5; 8], &[0.25; 8]];
    let run = log_of_a_ratio().with_origin(origin(&[1, 2, 8], pixels, 0, 3));
    let files = Files::of(&[(100, &[[504.0, 337.0, 504.0, 337.0]])]);
    let found = diagnose(&run, &Context { annotations: &files, ..Context::default() });
    assert_eq!(verdict(&found), "log-of-zero 0.93");
}

#[test]
fn a_row_is_resolved_to_its_sample_through_the_batch() {
    let files = Files::of(&[(8, &[[504.0, 337.0, 504.0, 337.0]])]);
    let anonymous = Origin { sample: None, ..origin(PER_IMAGE, CORNERS, 2, 2) };
    let run = log_of_a_ratio().with_origin(anonymous).with_batches(&[&[1, 2], &[3, 4], &[5, 6], &[7, 8]]);
    let context = Context { annotations: &files, ..Context::default() };
    assert_eq!(verdict(&diagnose(&run, &context)), "degenerate-box 0.97");
    assert_eq!(blamed_samples(&run, &context)[0].sample, Some(sample(8)));
}

#[test]
fn a_sample_that_was_survived_before_is_doubted() {
    let files = Files::of(&[(101, &[[504.0, 337.0, 504.0, 337.0]])]);
    let run = log_of_a_ratio().with_origin(origin(PER_IMAGE, CORNERS, 2, 2)).with_batches(&[&[101]]);
    let found = diagnose(&run, &Context { annotations: &files, ..Context::default() });
    assert_eq!(verdict(&found), "degenerate-box 0.6");
}

#[test]
fn a_row_is_blamed_only_if_most_rows_are_innocent() {
    let rows: &[&[f64]] = &[&[0.0, 2.0], &[3.0, 4.0], &[3.0, 5.0], &[6.0, 7.0]];
    let log = || broken(3, Forward, Kind::Infinity, operation("log", vec![activation(&[0.0, 7.0])]));
    let one = log().with_origin(origin(&[4, 2], rows, 0, 0));
    let blamed = blamed_samples(&one, &Context::default());
    assert_eq!(blamed.len(), 1);
    assert_eq!(blamed[0].why, "followed from log back to element [0, 0]: [0, 2]");

    let all = (0..4).fold(log(), |run, row| run.with_origin(origin(&[4, 2], rows, row, 0)));
    assert!(blamed_samples(&all, &Context::default()).is_empty());
}

#[test]
fn a_row_of_a_data_set_in_memory_is_blamed_if_the_gradient_leaps_while_the_weights_stand_still() {
    let with = |size: f64, updates: [f64; 3], of_batch: f64, leap: f64| {
        let overflow = operation("matmul", vec![activation(&[1e25, 1e25])]);
        let [before, at_leap, after] = updates;
        let mut run = broken(9, Forward, Kind::Infinity, overflow)
            .with_losses(&[1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 20.0, 30.0, 1e9])
            .with_norms(
                &[10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 1e6],
                &[0.1, 0.1, 0.1, 0.1, 0.1, before, at_leap, after, 1e6],
            );
        for (step, norm) in run.steps.iter_mut().zip([4.0, 3.0, 5.0, 2.0, 3.0, 4.0, leap, leap, 1e9]) {
            step.gradient_norm = Some(norm);
        }
        run.data.push(DataSeen {
            place: Some(place()),
            shape: vec![360, 1],
            dtype: "float32".to_owned(),
            tensors: 3,
            axis: 1,
            columns: vec![spread(360, 1.0)],
            typical: vec![0.1],
            extreme: Some(Extreme { value: size, column: 0, step: 0, row: Some(129), sample: None }),
        });
        for step in [0, 8] {
            let mut graph = Graph::of(step);
            let set = graph.data(&[0.0, size]);
            let index = graph.data(&[3.0, 5.0]);
            let batch = graph.made("select", &[set, index], &[of_batch]);
            graph.node(set).shape = vec![360, 1];
            graph.node(set).place = Some(0);
            graph.node(batch).shape = vec![20, 1];
            graph.0.places.push(place());
            run.graphs.push(graph.0);
        }
        run
    };
    let updates = [0.1, 60.0, 8.0];
    let run = with(200.0, updates, 0.9, 400.0);
    let found = findings(&run);
    assert_eq!(found[0].rule, "outlier-sample", "{}", verdict(&found));
    assert!(found[0].evidence[2].contains("3 steps before the break, in step 6"), "{:?}", found[0].evidence);
    assert_house_style(&found);
    let blamed = blamed_samples(&run, &Context::default());
    assert_eq!(
        blamed.iter().filter_map(|blame| Some(blame.sample.as_ref()?.index)).collect::<Vec<_>>(),
        [129]
    );
    for (name, size, updates, of_batch, leap) in [
        ("the weights had moved", 200.0, [5.0, 60.0, 8.0], 0.9, 400.0),
        ("it was survived", 200.0, [0.1, 60.0, 0.2], 0.9, 400.0),
        ("its update was harmless", 200.0, [0.1, 2.0, 8.0], 0.9, 400.0),
        ("other batches hold such values", 200.0, updates, 90.0, 400.0),
        ("gradients vary so much", 200.0, updates, 0.9, 20.0),
        ("a heavy tail", 50.0, updates, 0.9, 400.0),
    ] {
        let found = findings(&with(size, updates, of_batch, leap));
        assert!(found.iter().all(|found| found.rule != "outlier-sample"), "{name}");
    }
}
