//! Causes in the arithmetic: log, division, exp, and gradients at the edge.

use crate::support::*;
use denan_record::model::Phase::{Backward, Forward};
use denan_record::model::{Kind, Operation, Role, Run};

fn forward(operation: Operation) -> Run {
    broken(3, Forward, Kind::Infinity, operation)
}

fn backward(operation: Operation) -> Run {
    broken(3, Backward, Kind::Infinity, operation)
}

#[track_caller]
fn check(run: &Run, expected: &str, summary: &str) {
    let found = findings(run);
    assert_eq!(verdict(&found), expected);
    assert_eq!(found[0].summary, summary);
    assert_house_style(&found);
}

#[test]
fn log_of_zero_needs_a_value_outside_its_domain() {
    for (op, inputs, expected, summary) in [
        (
            "log",
            activation(&[0.0, 1.0]),
            "log-of-zero 0.93",
            "log at src/loss.rs:42 read an exact 0, which looks like a saturated probability",
        ),
        (
            "log",
            made_by("softmax", activation(&[0.0, 1.0])),
            "log-of-zero 0.93",
            "log at src/loss.rs:42 read an exact 0: the softmax before it is saturated",
        ),
        (
            "log",
            made_by("relu", activation(&[0.0, 7.0])),
            "log-of-zero 0.93",
            "log at src/loss.rs:42 read an exact 0",
        ),
        (
            "ln",
            activation(&[-2.0, 7.0]),
            "log-of-zero 0.93",
            "ln at src/loss.rs:42 read -2, but is defined above 0 only",
        ),
        ("log1p", activation(&[-1.0, 7.0]), "log-of-zero 0.93", "log1p at src/loss.rs:42 read an exact -1"),
        (
            "log2",
            tensor(&[0.0, 7.0], Role::Data),
            "log-of-zero 0.93",
            "log2 at src/loss.rs:42 read an exact 0, which stands in the data",
        ),
        // The counterparts that must stay silent.
        (
            "log",
            activation(&[1e-30, 1.0]),
            "unknown 0.05",
            "log made inf out of finite values at src/loss.rs:42, and no known cause fits",
        ),
        (
            "log_softmax",
            activation(&[0.0, 1.0]),
            "unknown 0.05",
            "log_softmax made inf out of finite values at src/loss.rs:42, and no known cause fits",
        ),
        (
            "log1p",
            activation(&[0.0, 1.0]),
            "unknown 0.05",
            "log1p made inf out of finite values at src/loss.rs:42, and no known cause fits",
        ),
    ] {
        check(&forward(operation(op, vec![inputs])), expected, summary);
    }
}

#[test]
fn division_by_zero_counts_the_zeros() {
    let div = |divisor: &[f64]| operation("div", vec![activation(&[1.0, 2.0]), activation(divisor)]);
    for (producer, expected, summary) in [
        (
            div(&[0.0, 1.0]),
            "division-by-zero 0.93",
            "div divides by an exact 0: 1 of 2 values is 0 at src/loss.rs:42",
        ),
        (
            with_scalar(operation("div_scalar", vec![activation(&[1.0])]), 0.0),
            "division-by-zero 0.93",
            "div_scalar divides by the number 0 at src/loss.rs:42",
        ),
        (
            operation("recip", vec![activation(&[0.0, 0.0, 2.0])]),
            "division-by-zero 0.93",
            "recip divides by an exact 0: 2 of 3 values are 0 at src/loss.rs:42",
        ),
        (
            operation("mean", vec![activation(&[])]),
            "division-by-zero 0.93",
            "mean over no element divides 0 by 0 at src/loss.rs:42",
        ),
        (
            operation("std", vec![activation(&[3.0, 4.0])]),
            "division-by-zero 0.93",
            "std over a single value divides 0 by 0 at src/loss.rs:42",
        ),
        (
            div(&[1e-39, 1.0]),
            "division-by-zero 0.8",
            "div divides by as little as 1e-39, so that it overflows at src/loss.rs:42",
        ),
        (
            div(&[-1.0, 1.0]),
            "division-by-zero 0.5",
            "div divides by values that pass through 0 at src/loss.rs:42",
        ),
        // The counterparts that must stay silent.
        (
            div(&[1.0, 2.0]),
            "unknown 0.05",
            "div made inf out of finite values at src/loss.rs:42, and no known cause fits",
        ),
        (
            with_scalar(operation("div", vec![activation(&[0.0])]), 2.0),
            "unknown 0.05",
            "div made inf out of finite values at src/loss.rs:42, and no known cause fits",
        ),
        (
            operation("mean", vec![activation(&[3.0, 4.0])]),
            "unknown 0.05",
            "mean made inf out of finite values at src/loss.rs:42, and no known cause fits",
        ),
    ] {
        check(&forward(producer), expected, summary);
    }
}

#[test]
fn zero_over_zero_is_told_from_a_number_over_zero() {
    let div = operation("div", vec![activation(&[0.0, 2.0]), activation(&[0.0, 1.0])]);
    let run = broken(3, Forward, Kind::Nan, div);
    check(&run, "division-by-zero 0.93", "div divides 0 by 0: 1 of 2 values is 0 at src/loss.rs:42");
}

#[test]
fn a_division_fails_in_its_gradient_only_if_the_loss_is_finite() {
    let gradient = || carried_out(operation("div", vec![activation(&[0.0, 1.0])]), "recip");
    check(
        &backward(gradient()),
        "division-by-zero 0.85",
        "the gradient of div divides by an exact 0: 1 of 2 values is 0 at src/loss.rs:42",
    );
    let run = backward(gradient()).with(|broken| broken.loss_is_bad = true);
    assert_eq!(verdict(&findings(&run)), "unknown 0.05");
}

#[test]
fn exp_overflow_knows_where_each_type_ends() {
    for (op, dtype, value, expected) in [
        ("exp", "float32", 88.73, "exp-overflow 0.93"),
        ("exp", "float32", 88.72, "unknown 0.05"),
        ("exp", "bfloat16", 88.73, "exp-overflow 0.93"),
        ("exp", "float16", 11.1, "exp-overflow 0.93"),
        ("exp", "float16", 11.0, "unknown 0.05"),
        ("exp", "float64", 709.0, "unknown 0.05"),
        ("exp", "float64", 710.0, "exp-overflow 0.93"),
        ("exp", "float32", -1000.0, "unknown 0.05"),
        ("sinh", "float32", -89.5, "exp-overflow 0.93"),
        ("cosh", "float32", 89.0, "unknown 0.05"),
        ("exp2", "float32", 127.9, "unknown 0.05"),
        ("exp2", "float32", 128.1, "exp-overflow 0.93"),
        ("relu", "float32", 500.0, "unknown 0.05"),
    ] {
        let run = forward(operation(op, vec![with_dtype(activation(&[value]), dtype)]));
        let found = findings(&run);
        assert_eq!(verdict(&found), expected, "{op} of {value} in {dtype}");
        assert_house_style(&found);
    }
}

#[test]
fn a_power_overflows_only_if_it_is_more_than_a_square() {
    for (base, exponent, expected) in [
        (1e10, 4.0, "exp-overflow 0.93"),
        (-1e10, 4.0, "exp-overflow 0.93"),
        (1e9, 4.0, "unknown 0.05"),
        (1e20, 2.0, "unknown 0.05"),
    ] {
        let power = with_scalar(operation("powf_scalar", vec![activation(&[base])]), exponent);
        assert_eq!(verdict(&findings(&forward(power))), expected, "{base} ^ {exponent}");
    }
}

#[test]
fn the_remedy_of_an_exponential_depends_on_what_follows() {
    let run = |trail: &[&str]| {
        forward(operation("exp", vec![activation(&[100.0])])).with(|broken| {
            broken.trail = trail.iter().map(|op| operation(op, Vec::new())).collect();
        })
    };
    for (trail, first) in [
        (&["sum_dim", "log"][..], "take the largest value out before the sum"),
        (&["add_scalar", "log"][..], "log(1 + exp(x)) has a safe form"),
        (&["div"][..], "a softmax written by hand has a safe form"),
        (&["mean"][..], "bound the argument"),
    ] {
        let found = findings(&run(trail));
        assert!(found[0].remedies[0].starts_with(first), "{trail:?}: {:?}", found[0].remedies);
    }
}

#[test]
fn an_infinite_gradient_lies_at_the_edge_of_a_steep_function() {
    let sqrt = |values: &[f64]| {
        with_scalar(carried_out(operation("sqrt", vec![activation(values)]), "powf_scalar"), -0.5)
    };
    for (producer, expected, summary) in [
        (
            sqrt(&[0.0, 4.0]),
            "infinite-gradient 0.93",
            "sqrt is finite at 0, but its gradient there is not at src/loss.rs:42",
        ),
        (
            // The logarithm is finite, one over its argument is not.
            carried_out(operation("log", vec![activation(&[1e-40, 4.0])]), "recip"),
            "infinite-gradient 0.75",
            "the gradient of log overflows for an argument of 1e-40 at src/loss.rs:42",
        ),
        (
            operation("acos", vec![activation(&[-0.5, 1.0])]),
            "infinite-gradient 0.93",
            "acos is finite at 1, but its gradient there is not at src/loss.rs:42",
        ),
        (
            operation("std", vec![activation(&[3.0, 3.0])]),
            "infinite-gradient 0.6",
            "std is finite where it is 0, but its gradient there is not at src/loss.rs:42",
        ),
        (
            carried_out(operation("my_kernel", vec![activation(&[0.0, 4.0])]), "recip"),
            "infinite-gradient 0.6",
            "my_kernel is finite at 0, but its gradient there is not at src/loss.rs:42",
        ),
        // The counterparts that must stay silent.
        (
            sqrt(&[1.0, 4.0]),
            "unknown 0.05",
            "the gradient of sqrt made inf out of finite values at src/loss.rs:42, and no known cause fits",
        ),
        (
            // Zeros in a product mean nothing.
            carried_out(operation("sqrt", vec![activation(&[0.0, 1e30])]), "mul"),
            "unknown 0.05",
            "the gradient of sqrt made inf out of finite values at src/loss.rs:42, and no known cause fits",
        ),
        (
            operation("matmul", vec![activation(&[0.0, 1e30])]),
            "unknown 0.05",
            "the gradient of matmul made inf out of finite values at src/loss.rs:42, and no known cause fits",
        ),
    ] {
        check(&backward(producer), expected, summary);
    }
}

#[test]
fn an_infinite_gradient_needs_a_finite_loss() {
    let sqrt = with_scalar(carried_out(operation("sqrt", vec![activation(&[0.0])]), "powf"), -0.5);
    let run = backward(sqrt).with(|broken| broken.loss_is_bad = true);
    assert_eq!(verdict(&findings(&run)), "unknown 0.05");
}

#[test]
fn a_log_of_zero_that_the_loss_did_not_see_comes_back_with_the_gradient() {
    for producer in [
        operation("log", vec![activation(&[0.0, 4.0])]),
        carried_out(operation("log", vec![activation(&[0.0, 4.0])]), "recip"),
        carried_out(operation("log1p", vec![activation(&[0.0, 4.0])]), "recip"),
    ] {
        let run = backward(producer);
        assert_eq!(verdict(&findings(&run)), "log-of-zero 0.9");
        let run = run.with(|broken| broken.loss_is_bad = true);
        assert_eq!(verdict(&findings(&run)), "unknown 0.05");
    }
    let other = carried_out(operation("log", vec![activation(&[0.0, 4.0])]), "mul");
    assert_eq!(verdict(&findings(&backward(other))), "unknown 0.05", "zeros in a product mean nothing");
}

#[test]
fn remedies_speak_the_language_of_the_engine() {
    let mut run = forward(operation("log", vec![activation(&[0.0, 7.0])]));
    assert!(findings(&run)[0].remedies[0].contains("clamp_min(1e-6)"));
    if let Some(header) = &mut run.header {
        header.engine = "torch 2.15.0".to_owned();
    }
    assert!(findings(&run)[0].remedies[0].contains("clamp(min=1e-6)"));
}

#[test]
fn the_unknown_lists_everything_and_guesses_nothing() {
    let run = forward(with_scalar(operation("powf", vec![activation(&[-8.0, 2.0])]), 1.0 / 3.0))
        .with_losses(&[2.0, 1.9, 1.8])
        .with_norms(&[10.0, 10.0, 10.0], &[0.01, 0.01, 0.01]);
    let found = findings(&run);
    let evidence = of(&found, "unknown").evidence.join("\n");
    for part in ["step 3", "-8", "0.3333", "2, 1.9, 1.8", "learning rate is 0.5", "0.001"] {
        assert!(evidence.contains(part), "{part} not in:\n{evidence}");
    }
    assert_eq!(found.len(), 1);
}
