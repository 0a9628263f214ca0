//! Which cause stands first, and what becomes of its symptoms.

use crate::support::*;
use denan_diagnose::{Context, blamed_samples, diagnose};
use denan_record::model::Phase::{Forward, Input};
use denan_record::model::{Kind, Role, Run, TensorSeen};

fn saturated() -> Run {
    broken(5, Forward, Kind::NegativeInfinity, operation("log", vec![activation(&[0.0, 1.0])]))
}

fn overflowing_exp(input: TensorSeen) -> Run {
    broken(5, Forward, Kind::Infinity, operation("exp", vec![input]))
}

fn running_away(run: Run) -> Run {
    run.with_losses(&[2.0, 40.0, 900.0, 2e4, 4e5])
        .with_norms(&[10.0, 30.0, 90.0, 270.0, 810.0], &[5.0, 20.0, 60.0, 180.0, 540.0])
}

fn calm(run: Run) -> Run {
    run.with_losses(&[2.0, 1.9, 1.8, 1.7, 1.6]).with_norms(&[10.0; 5], &[0.02; 5])
}

#[test]
fn a_healthy_run_gets_silence() {
    let mut healthy = running_away(saturated());
    healthy.first_break = None;
    assert!(findings(&healthy).is_empty());
    assert!(blamed_samples(&healthy, &Context::default()).is_empty());
}

#[test]
fn what_a_runaway_training_ends_in_is_its_symptom() {
    let exp = || overflowing_exp(activation(&[1.0, 500.0]));
    for (name, run, expected) in [
        ("saturation, calm", calm(saturated()), "log-of-zero 0.93"),
        ("saturation, running away", running_away(saturated()), "learning-rate-too-high 0.85"),
        ("exp, calm", calm(exp()), "exp-overflow 0.93"),
        ("exp, running away", running_away(exp()), "learning-rate-too-high 0.89"),
        (
            "exp of the data, running away",
            running_away(overflowing_exp(tensor(&[500.0], Role::Data))),
            "exp-overflow 0.93, learning-rate-too-high 0.85",
        ),
    ] {
        assert_eq!(verdict(&findings(&run)), expected, "{name}");
    }
}

#[test]
fn a_symptom_becomes_evidence_of_its_cause() {
    let found = findings(&running_away(saturated()));
    let evidence = found[0].evidence.join("\n");
    assert!(evidence.contains("seen with it: log at src/loss.rs:42 read an exact 0"), "{evidence}");
}

#[test]
fn a_likely_cause_that_is_not_sure_stays_ahead_of_its_symptom() {
    let run = saturated().with(|broken| broken.step = 1).with_losses(&[2.0]).with_norms(&[50.0], &[49.0]);
    let found = findings(&run);
    assert_eq!(verdict(&found), "learning-rate-too-high 0.6, log-of-zero 0.55");
    assert_house_style(&found);
}

#[test]
fn a_confirmed_box_is_the_only_cause() {
    let rows: &[&[f64]] = &[&[0.1, 0.1, 0.3, 0.4], &[0.8, 0.7, 0.8, 0.7]];
    let files = Files::of(&[(100, &[[64.0, 48.0, 192.0, 192.0], [504.0, 337.0, 504.0, 337.0]])]);
    let run = running_away(saturated()).with_origin(origin(&[1, 2, 4], rows, 1, 2));
    let found = diagnose(&run, &Context { annotations: &files, ..Context::default() });
    assert_eq!(verdict(&found), "degenerate-box 0.97");
    let symptoms = found[0].evidence.iter().filter(|line| line.starts_with("seen with it")).count();
    assert_eq!(symptoms, 2, "{:?}", found[0].evidence);
    // Read off the tensor alone it does not silence the rate.
    assert_eq!(verdict(&findings(&run)), "learning-rate-too-high 0.85, degenerate-box 0.75");
}

#[test]
fn a_bad_element_explains_everything_after_it() {
    let mut producer = operation("input", Vec::new());
    producer.output = tensor(&[1.0, f64::NAN], Role::Data);
    let rows: &[&[f64]] = &[&[1.0], &[f64::NAN]];
    let run = running_away(broken(5, Input, Kind::Nan, producer)).with_origin(origin(&[2, 1], rows, 1, 0));
    assert_eq!(verdict(&findings(&run)), "non-finite-input 0.97");
}

#[test]
fn no_sample_is_blamed_for_a_rate() {
    let rows: &[&[f64]] = &[&[0.1], &[0.2], &[0.3]];
    let run = running_away(saturated()).with_origin(origin(&[3, 1], rows, 1, 0));
    assert!(blamed_samples(&run, &Context::default()).is_empty());
    let run = calm(saturated()).with_origin(origin(&[3, 1], rows, 1, 0));
    assert_eq!(blamed_samples(&run, &Context::default()).len(), 1);
}

#[test]
fn rows_without_origins_are_named_by_the_batch() {
    let run = calm(saturated()).with(|broken| {
        broken.samples = (0..4).map(sample).collect();
        broken.batch_rows = vec![2];
    });
    let blamed = blamed_samples(&run, &Context::default());
    assert_eq!(blamed.len(), 1);
    assert_eq!(blamed[0].sample, Some(sample(2)));
    assert_eq!(blamed[0].why, "its row carries the bad value that log made");
}
