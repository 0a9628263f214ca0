//! Causes in the state of a training, in its machine and in its numbers' type.

use crate::support::*;
use denan_diagnose::{Context, blamed_samples, diagnose, notes};
use denan_record::model::Phase::{self, Backward, Forward, Optimizer};
use denan_record::model::{Kind, Parameter, Role, Run, Step, TensorSeen, Window};

#[test]
fn a_parameter_that_is_bad_from_the_start_is_the_only_cause() {
    let poisoned = TensorSeen {
        parameter: Some("head.weight".to_owned()),
        ..tensor(&[0.5, f64::NAN, 1.0], Role::Parameter)
    };
    let mut producer = operation("input", vec![]);
    producer.output = poisoned;
    let found = findings(&broken(0, Phase::Parameter, Kind::Nan, producer));
    assert_eq!(verdict(&found), "non-finite-parameter 0.96");
    assert!(found[0].summary.contains("head.weight holds 1 NaN"), "{}", found[0].summary);
    assert_house_style(&found);
}

#[test]
fn a_rate_that_is_no_number_is_one_of_the_schedule() {
    let update =
        with_scalar(carried_out(operation("Sgd", vec![tensor(&[1.0], Role::Gradient)]), "mul"), f64::NAN);
    let mut run = broken(3, Optimizer, Kind::Nan, update).with_losses(&[2.0, 1.9, 1.8, 1.7]);
    for step in &mut run.steps {
        step.learning_rate = Some(if step.step == 3 { f64::NAN } else { 0.1 });
    }
    let found = findings(&run);
    assert_eq!(verdict(&found), "learning-rate-schedule 0.97");
    assert_house_style(&found);
    // With a sane rate the NaN has another reason.
    run.steps[3].learning_rate = Some(0.1);
    run.first_break.as_mut().unwrap().producer.scalar = Some(0.1);
    assert_ne!(findings(&run)[0].rule, "learning-rate-schedule");
}

#[test]
fn a_rate_that_turns_negative_is_one_too_but_not_one_that_always_was() {
    let overflow = || broken(6, Forward, Kind::Infinity, operation("mul", vec![activation(&[1e30, 1e30])]));
    let with_rates = |rates: [f64; 6]| {
        let mut run = overflow().with_losses(&[2.0, 1.0, 3.0, 90.0, 1e5, 1e9]);
        for (step, rate) in run.steps.iter_mut().zip(rates) {
            step.learning_rate = Some(rate);
        }
        run
    };
    let found = findings(&with_rates([0.1, 0.05, 0.0, -0.05, -0.1, -0.15]));
    assert_eq!(verdict(&found), "learning-rate-schedule 0.94");
    assert!(found[0].summary.contains("step 3"), "{}", found[0].summary);
    assert!(findings(&with_rates([-0.1; 6])).iter().all(|found| found.rule != "learning-rate-schedule"));
}

#[test]
fn the_same_step_that_goes_well_the_second_time_speaks_for_the_machine() {
    let mut run = broken(2, Forward, Kind::Nan, operation("matmul", vec![activation(&[1.0])]))
        .with_losses(&[2.0, 1.5, f64::NAN]);
    for step in &mut run.steps {
        step.loss_bits = Some(step.step);
    }
    let again = Run { first_break: None, ..run.clone() };
    let well = |losses: &[f64]| {
        let mut again = again.clone();
        for (step, loss) in again.steps.iter_mut().zip(losses) {
            step.loss = Some(*loss);
        }
        again
    };
    let second = well(&[2.0, 1.5, 1.2]);
    let context = Context { again: Some(&second), ..Context::default() };
    let found = diagnose(&run, &context);
    assert_eq!(verdict(&found), "transient-fault 0.93");
    assert!(blamed_samples(&run, &context).is_empty());
    assert_house_style(&found);
    // Another training from the first step on proves nothing.
    let mut other = second.clone();
    other.steps[0].loss_bits = Some(99);
    let context = Context { again: Some(&other), ..Context::default() };
    assert!(diagnose(&run, &context).iter().all(|found| found.rule != "transient-fault"));
}

#[test]
fn float16_overflows_where_float32_would_not() {
    let half = |values: &[f64]| with_dtype(activation(values), "float16");
    let mut product = operation("mul", vec![half(&[300.0, 1.0]), half(&[400.0, 1.0])]);
    product.output.dtype = "float16".to_owned();
    let found = findings(&broken(4, Forward, Kind::Infinity, product.clone()));
    assert_eq!(found[0].rule, "half-precision-overflow", "{}", verdict(&found));
    assert_house_style(&found);
    // In float32 such values overflow nowhere.
    product.output.dtype = "float32".to_owned();
    let found = findings(&broken(4, Forward, Kind::Infinity, product));
    assert!(found.iter().all(|found| found.rule != "half-precision-overflow"));
}

#[test]
fn what_vanished_in_float16_is_why_a_norm_is_zero() {
    let division = operation("div", vec![tensor(&[0.0, 0.0], Role::Gradient), activation(&[0.0])]);
    let mut run = broken(4, Forward, Kind::Nan, division).with(|broken| broken.loss_is_bad = false);
    let mut graph = Graph::of(4);
    let incoming = graph.add("mul", &[], &[1e-9, 2e-9], Role::Gradient);
    let cast = graph.add("cast", &[incoming], &[0.0, 0.0], Role::Gradient);
    graph.node(cast).dtype = "float16".to_owned();
    run.graphs.push(graph.0);
    let found = findings(&run);
    assert_eq!(verdict(&found), "half-precision-underflow 0.94");
    assert_house_style(&found);
    run.graphs.clear();
    assert_eq!(findings(&run)[0].rule, "division-by-zero");
}

#[test]
fn an_epsilon_that_float16_rounds_to_zero_keeps_nothing_away_from_it() {
    let with_epsilon = |epsilon: f64, dtype: &str| {
        let mut run = broken(4, Forward, Kind::Infinity, operation("log", vec![activation(&[0.0, 0.5])]));
        let mut graph = Graph::of(4);
        let probability = graph.add("softmax", &[], &[0.0, 0.5], Role::Activation);
        let sum = graph.add("add", &[probability], &[0.0, 0.5], Role::Activation);
        graph.node(sum).dtype = dtype.to_owned();
        graph.node(sum).scalar = Some(epsilon);
        let log = graph.add("log", &[sum], &[f64::NEG_INFINITY, -0.7], Role::Activation);
        graph.0.producer = Some(log);
        run.graphs.push(graph.0);
        findings(&run)
    };
    let found = with_epsilon(1e-8, "float16");
    assert_eq!(verdict(&found), "half-precision-underflow 0.94");
    assert_house_style(&found);
    // What float16 can hold, and what another type can.
    for (epsilon, dtype) in [(1e-4, "float16"), (1e-8, "float32")] {
        assert_eq!(with_epsilon(epsilon, dtype)[0].rule, "log-of-zero", "{epsilon} {dtype}");
    }
}

#[test]
fn a_softmax_over_nothing_is_no_division() {
    let rows = made_by("max", activation(&[0.5, f64::NEG_INFINITY]));
    let mut inside =
        carried_out(operation("softmax", vec![activation(&[0.5, f64::NEG_INFINITY]), rows]), "sub");
    inside.output = tensor(&[f64::NAN, 0.0], Role::Activation);
    let found = findings(&broken(4, Forward, Kind::Nan, inside));
    assert_eq!(verdict(&found), "empty-softmax 0.96");
    assert!(found[0].summary.starts_with("softmax got 1 row"), "{}", found[0].summary);
    assert_house_style(&found);
}

#[test]
fn a_mask_hides_a_value_only_if_its_gradient_was_zero() {
    let root = carried_out(operation("sqrt", vec![activation(&[0.0, 4.0])]), "powf");
    let root = with_scalar(root, -0.5);
    let next = |values: &[f64]| {
        let mut next = operation("sqrt", vec![]);
        next.output = tensor(values, Role::Gradient);
        next
    };
    let masked = |values: &[f64]| {
        let mut run =
            broken(4, Backward, Kind::Infinity, root.clone()).with(|broken| broken.trail.push(next(values)));
        let mut graph = Graph::of(4);
        let input = graph.data(&[0.0, 4.0]);
        let call = graph.made("sqrt", &[input], &[0.0, 2.0]);
        graph.made("mask_fill", &[call], &[1.0, 2.0]);
        graph.node(call).place = Some(0);
        graph.0.places.push(place());
        run.graphs.push(graph.0);
        findings(&run)
    };
    let found = masked(&[f64::NAN, 0.25]);
    assert_eq!(found[0].rule, "masked-branch", "{}", verdict(&found));
    assert_house_style(&found);
    assert_eq!(masked(&[f64::INFINITY, 0.25])[0].rule, "infinite-gradient");
}

#[test]
fn a_product_with_a_mask_of_zeros_and_ones_hides_as_a_selection_does() {
    let with = |mask: &[f64], are_known: bool, gradient: &[f64]| {
        let inputs = vec![tensor(&[0.0, 0.0, 0.5, 0.5], Role::Gradient), activation(&[0.0, 0.0, 4.0, 6.0])];
        let mut root = carried_out(operation("sqrt", inputs), "div");
        root.output = tensor(gradient, Role::Gradient);
        let mut graph = Graph::of(4);
        let input = graph.data(&[0.0, 0.0, 4.0, 9.0]);
        let call = graph.made("sqrt", &[input], &[0.0, 0.0, 2.0, 3.0]);
        let factor = graph.data(mask);
        graph.made("mul", &[call, factor], &[0.0, 0.0, 2.0, 3.0]);
        graph.node(call).place = Some(0);
        if are_known {
            graph.node(factor).values = mask.to_vec();
        }
        graph.0.places.push(place());
        let mut run = broken(4, Backward, Kind::Nan, root);
        run.graphs.push(graph.0);
        findings(&run)
    };
    let (mask, gradient) = ([0.0, 0.0, 1.0, 1.0], [f64::NAN, f64::NAN, 0.2, 0.1]);
    let found = with(&mask, true, &gradient);
    assert_eq!(found[0].rule, "masked-branch", "{}", verdict(&found));
    assert!(found[0].summary.starts_with("a product with a mask of 0 and 1 hides"), "{}", found[0].summary);
    assert_house_style(&found);
    for (name, mask, are_known, gradient) in [
        ("weights of samples", [0.0, 0.0, 0.3, 1.0], true, gradient),
        ("it may hold anything between", mask, false, gradient),
        ("the mask takes others out", [0.0, 1.0, 1.0, 1.0], true, gradient),
        ("one edge met a gradient", mask, true, [f64::NAN, f64::INFINITY, 0.2, 0.1]),
    ] {
        assert_eq!(with(&mask, are_known, &gradient)[0].rule, "infinite-gradient", "{name}");
    }
}

#[test]
fn a_part_that_was_released_late_is_blamed_if_it_moves_most() {
    let parameter = |slot, first_update| Parameter {
        slot,
        name: Some(if slot == 0 { "backbone.weight".to_owned() } else { "head.weight".to_owned() }),
        first_update: Some(first_update),
        ..Parameter::default()
    };
    let run = |share: f64| {
        let overflow = operation("matmul", vec![activation(&[1e25])]);
        let mut run = broken(22, Forward, Kind::Infinity, overflow);
        run.parameters = vec![parameter(0, 20), parameter(1, 0)];
        for step in 0..22_u64 {
            let of = |slot, share| {
                let mut seen = parameter_step(slot, summary(4, 1.0), summary(4, share));
                seen.value = Some(summary(4, 1.0));
                seen
            };
            let mut parameters = vec![of(1, 1e-3)];
            if step >= 20 {
                parameters.push(of(0, share));
            }
            let (loss, update_norm) = (Some(1.0), Some(if step >= 20 { share } else { 1e-3 }));
            let weight_norm = Some(1.0);
            run.steps.push(Step { step, loss, update_norm, weight_norm, parameters, ..Step::default() });
        }
        run
    };
    let found = findings(&run(0.8));
    assert_eq!(found[0].rule, "unfrozen-backbone", "{}", verdict(&found));
    assert!(found[0].evidence[0].contains("backbone.weight"), "{:?}", found[0].evidence);
    assert_house_style(&found);
    assert!(findings(&run(1e-3)).iter().all(|found| found.rule != "unfrozen-backbone"), "it hardly moved");
}

#[test]
fn a_pooling_that_skips_gets_a_note_and_no_finding() {
    let mut graph = Graph::of(0);
    let input = graph.data(&[1.0]);
    let pool = graph.made("max_pool2d", &[input], &[1.0]);
    graph.node(pool).window = Some(Window { kernel: vec![2, 2], stride: vec![3, 3] });
    let mut run = Run { graphs: vec![graph.0], ..Run::default() };
    let said = notes(&run);
    assert_eq!(said.len(), 1);
    assert!(said[0].contains("of its input is never seen"), "{}", said[0]);
    assert!(findings(&run).is_empty());
    run.graphs[0].nodes[pool as usize].window = Some(Window { kernel: vec![2, 2], stride: vec![2, 2] });
    assert!(notes(&run).is_empty());
}
