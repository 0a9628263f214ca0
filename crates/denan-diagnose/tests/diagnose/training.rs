//! Causes in the training loop: rate and optimizer.

use crate::support::*;
use denan_record::model::Phase::{Forward, Optimizer};
use denan_record::model::{Kind, Operation, Role, Run, Step};

fn overflow(step: u64) -> Run {
    let product = operation("matmul", vec![activation(&[1e25, -1e22]), tensor(&[1e20], Role::Parameter)]);
    broken(step, Forward, Kind::Infinity, product)
}

#[test]
fn a_runaway_loss_with_large_updates_is_the_rate() {
    let run = overflow(5)
        .with_losses(&[2.0, 40.0, 900.0, 2e4, 4e5])
        .with_norms(&[10.0, 30.0, 90.0, 270.0, 810.0], &[5.0, 20.0, 60.0, 180.0, 540.0]);
    let found = findings(&run);
    assert_eq!(verdict(&found), "learning-rate-too-high 0.89");
    assert_eq!(
        found[0].summary,
        "the learning rate 0.5 is too high: the loss went from 2 to 400000, and updates reached 2 times the weights"
    );
    assert_eq!(found[0].interventions, ["lower-learning-rate", "clip-gradients"]);
    assert!(found[0].remedies[0].contains("try 0.05"), "{:?}", found[0].remedies);
    assert_house_style(&found);
}

#[test]
fn the_rate_is_judged_by_loss_and_updates_together() {
    let healthy = &[0.01; 6][..];
    let weights = &[10.0; 6][..];
    for (name, step, losses, weights, updates, expected) in [
        ("loss alone", 4, &[2.0, 40.0, 900.0, 2e4][..], &[][..], &[][..], "learning-rate-too-high 0.7"),
        ("rising, but updates are small", 4, &[2.0, 40.0, 900.0, 2e4][..], weights, healthy, "unknown 0.05"),
        ("calm loss", 6, &[2.0, 1.9, 1.8, 1.7, 1.6, 1.5][..], weights, healthy, "unknown 0.05"),
        (
            "calm loss, large updates",
            6,
            &[2.0, 1.9, 1.8, 1.7, 1.6, 1.5][..],
            weights,
            &[3.0; 6][..],
            "unknown 0.05",
        ),
        ("one bad batch", 6, &[2.0, 1.0, 0.5, 0.4, 0.3, 30.0][..], weights, &[3.0; 6][..], "unknown 0.05"),
        (
            "noise around a small loss",
            6,
            &[2.0, 1e-3, 1e-4, 1e-3, 1e-2, 0.1][..],
            weights,
            &[0.5; 6][..],
            "unknown 0.05",
        ),
        ("swept away at once", 1, &[2.0][..], &[50.0][..], &[49.0][..], "learning-rate-too-high 0.7"),
        (
            "swept away at last",
            5,
            &[2.0, 1.9, 1.8, 1.7, 1.6][..],
            &[10.0, 10.0, 10.0, 10.0, 400.0][..],
            &[0.1, 0.1, 0.1, 0.1, 399.0][..],
            "learning-rate-too-high 0.75",
        ),
        ("zero weights take a first step", 1, &[2.0][..], &[0.02][..], &[0.02][..], "unknown 0.05"),
        ("before any update", 0, &[][..], &[][..], &[][..], "unknown 0.05"),
    ] {
        let run = overflow(step).with_losses(losses).with_norms(weights, updates);
        let found = findings(&run);
        assert_eq!(verdict(&found), expected, "{name}");
        assert_house_style(&found);
    }
}

#[test]
fn a_first_update_that_leaves_nothing_of_the_weights_is_seen_by_their_size() {
    let mut run = overflow(1).with_losses(&[2.0]).with_norms(&[5000.0], &[5000.0]);
    assert_eq!(verdict(&findings(&run)), "unknown 0.05");
    run.parameters = vec![parameter(0, "fc.weight", &[10, 10])];
    let found = findings(&run);
    assert_eq!(verdict(&found), "learning-rate-too-high 0.7");
    assert!(found[0].summary.contains("at least 20 times the weights"), "{}", found[0].summary);
}

#[test]
fn enormous_data_are_no_overflow_of_the_training() {
    let run = |role| {
        let product = operation("mul", vec![tensor(&[1e25], role), tensor(&[1e20], Role::Parameter)]);
        broken(4, Forward, Kind::Infinity, product).with_losses(&[2.0, 40.0, 900.0, 2e4])
    };
    assert_eq!(verdict(&findings(&run(Role::Activation))), "learning-rate-too-high 0.7");
    assert_eq!(verdict(&findings(&run(Role::Data))), "learning-rate-too-high 0.6");
}

fn adam(divisor: &[f64]) -> Operation {
    let inputs = vec![tensor(&[0.0, 1e-3], Role::OptimizerState), tensor(divisor, Role::OptimizerState)];
    Operation { parameter: Some("fc.weight".to_owned()), ..carried_out(operation("Adam", inputs), "div") }
}

fn in_optimizer(producer: Operation) -> Run {
    let mut run = broken(2, Optimizer, Kind::Nan, producer).with_losses(&[2.0, 1.9, 1.8]);
    run.parameters = vec![parameter(0, "fc.weight", &[2])];
    run
}

#[test]
fn an_optimizer_that_divides_by_zero_lacks_its_epsilon() {
    let mut run = in_optimizer(adam(&[0.0, 1e-2]));
    run.steps[2].parameters = vec![parameter_step(0, summary(4, 0.0), summary(4, 0.0))];
    let found = findings(&run);
    assert_eq!(verdict(&found), "optimizer-epsilon 0.95");
    assert_eq!(found[0].summary, "Adam divides by 0 in its update of fc.weight");
    let evidence = found[0].evidence.join("\n").replace('\u{a0}', " ");
    assert!(evidence.contains("100 % of it is exactly 0"), "{evidence}");
    assert_eq!(found[0].interventions, ["raise-epsilon", "lower-learning-rate"]);
    assert_house_style(&found);
}

#[test]
fn not_every_break_in_the_optimizer_is_epsilon() {
    for (name, run, expected) in [
        ("a divisor that is tiny", in_optimizer(adam(&[1e-42, 1e-2])), "optimizer-epsilon 0.85"),
        ("a divisor that is fine", in_optimizer(adam(&[1e-3, 1e-2])), "unknown 0.05"),
        (
            "no adaptive optimizer",
            in_optimizer(Operation { op: "Sgd".to_owned(), ..adam(&[0.0, 1e-2]) }),
            "unknown 0.05",
        ),
        ("no division", in_optimizer(carried_out(adam(&[0.0, 1e25]), "mul")), "unknown 0.05"),
    ] {
        assert_eq!(verdict(&findings(&run)), expected, "{name}");
    }
    let mut bad_gradient = in_optimizer(adam(&[0.0, 1e-2]));
    bad_gradient.steps[2].parameters = vec![parameter_step(0, summary(4, f64::NAN), summary(4, 0.0))];
    assert_eq!(verdict(&findings(&bad_gradient)), "unknown 0.05", "the gradient was bad before");
}

#[test]
fn a_huge_update_out_of_a_vanishing_gradient_is_epsilon() {
    let run = |gradient: f64, update: f64| {
        let mut run = overflow(3).with_losses(&[2.0, 1.9, 1.8]).with_norms(&[10.0; 3], &[0.1; 3]);
        run.parameters = vec![parameter(0, "fc.weight", &[4])];
        run.steps[2].parameters = vec![parameter_step(0, summary(4, gradient), summary(4, update))];
        verdict(&findings(&run))
    };
    assert_eq!(run(1e-22, 1e6), "optimizer-epsilon 0.7");
    assert_eq!(run(1e-22, 0.5), "unknown 0.05", "an update of the rate's size");
    assert_eq!(run(1e-3, 1e6), "unknown 0.05", "an ordinary gradient");
}

/// A training that blows up, with what is known of the gradients at the start of each backward pass.
fn blows_up(carries: impl Fn(u64) -> Option<bool>) -> Run {
    let mut run = broken(12, Forward, Kind::Infinity, operation("matmul", vec![activation(&[1e25, 1e25])]));
    for step in 0..12 {
        run.steps.push(Step {
            step,
            loss: Some(10f64.powi(step as i32)),
            gradient_norm: Some(10f64.powi(step as i32)),
            carries_gradients: carries(step),
            ..Step::default()
        });
    }
    run
}

#[test]
fn gradients_that_are_there_in_every_step_are_never_set_to_zero() {
    let found = findings(&blows_up(|step| (step > 0).then_some(true)));
    assert_eq!(found[0].rule, "missing-zero-grad", "{}", verdict(&found));
    assert!(found[0].evidence[0].contains("of 11 in 11"), "{}", found[0].evidence[0]);
    assert_house_style(&found);
    // Set to zero once an epoch is not often enough; set to zero mostly is no such fault.
    let seldom = findings(&blows_up(|step| (step > 0).then_some(step % 8 != 0)));
    assert_eq!(seldom[0].rule, "missing-zero-grad");
    for carries in [Some(false), None] {
        let found = findings(&blows_up(|_| carries));
        assert!(found.iter().all(|found| found.rule != "missing-zero-grad"), "{}", verdict(&found));
    }
    let mostly = findings(&blows_up(|step| (step > 0).then_some(step % 2 == 0)));
    assert!(mostly.iter().all(|found| found.rule != "missing-zero-grad"), "{}", verdict(&mostly));
}

#[test]
fn a_gradient_that_a_small_update_throws_up_through_time_is_one_at_a_cliff() {
    let with = |growth: f64, update: f64, last_norm: f64| {
        let mut run =
            overflow(3).with_losses(&[1.0, 0.5, 20.0]).with_norms(&[10.0, 10.0, 60.0], &[0.1, update, 59.0]);
        for (step, norm) in run.steps.iter_mut().zip([5.0, 4.0, last_norm]) {
            step.gradient_norm = Some(norm);
        }
        let mut graph = Graph::of(2);
        let weight = graph.parameter(0, &[0.5]);
        let mut state = graph.data(&[1.0]);
        for _ in 0..20 {
            state = graph.made("matmul", &[state, weight], &[1.0]);
        }
        let mut gradient = graph.add("ones", &[], &[1.0], Role::Gradient);
        for back in 0..20 {
            gradient = graph.add("matmul", &[gradient, weight], &[0.1 * growth.powi(back)], Role::Gradient);
        }
        run.graphs.push(graph.0);
        findings(&run)
    };
    let found = with(1.2, 0.1, 4000.0);
    assert_eq!(verdict(&found), "exploding-gradients 0.85");
    assert_house_style(&found);
    for (name, growth, update, last_norm) in [
        ("the update before was large", 1.2, 5.0, 4000.0),
        ("the gradient hardly rose", 1.2, 0.1, 40.0),
        ("it does not grow through time", 1.02, 0.1, 4000.0),
    ] {
        let found = with(growth, update, last_norm);
        assert!(found.iter().all(|found| found.rule != "exploding-gradients"), "{name}");
    }
}
