//! What is tried and how far it is searched, against trainings that are made of rules.

use denan_cure::experiments::{Rerun, experiment, follow, stronger};
use denan_finding::{BlamedSample, Finding, Verdict};
use denan_numerics::{Range, Summary};
use denan_record::model::{
    Break, Ending, Kind, Operation, ParameterStep, Phase, Place, Role, Run, Sample, Step, TensorSeen,
};
use denan_record::plan::{ClipBy, Intervention};

/// A training that survives when a rule says so.
struct Rules<F> {
    survives: F,
    jobs: usize,
    reruns: Vec<Intervention>,
    /// Samples that break it as long as they are not left out.
    bad: Vec<u64>,
}

impl<F: Fn(&Intervention) -> bool> Rules<F> {
    fn new(survives: F) -> Self {
        Self { survives, jobs: 1, reruns: Vec::new(), bad: Vec::new() }
    }
}

impl<F: Fn(&Intervention) -> bool> Rerun for Rules<F> {
    fn rerun(&mut self, interventions: &[Intervention], steps: u64) -> Vec<Result<Run, String>> {
        self.reruns.extend_from_slice(interventions);
        interventions.iter().map(|intervention| Ok(training((self.survives)(intervention), steps))).collect()
    }

    fn jobs(&self) -> usize {
        self.jobs
    }

    fn begins_at(&self, _: &str) -> u64 {
        0
    }

    fn blamed(&self, run: &Run) -> Vec<BlamedSample> {
        let left_out = match self.reruns.last() {
            Some(Intervention::DropSamples { indices, .. }) => indices.clone(),
            _ => Vec::new(),
        };
        let next = self.bad.iter().find(|index| !left_out.contains(index));
        next.filter(|_| run.first_break.is_some()).map(|&index| blamed(index)).into_iter().collect()
    }

    fn progress(&mut self, _: &str) {}
}

fn blamed(index: u64) -> BlamedSample {
    BlamedSample { sample: Some(Sample { index, name: None }), batch_row: None, why: String::new() }
}

fn training(survives: bool, steps: u64) -> Run {
    let breaks_at = if survives { u64::MAX } else { 9 };
    let gradient = Summary { count: 1, min: 2.0, max: 2.0, mean: 2.0, ..Summary::EMPTY };
    Run {
        steps: (0..steps.min(breaks_at))
            .map(|step| Step {
                step,
                loss: Some(2.0 / (1.0 + step as f64 / 10.0)),
                loss_bits: Some(step),
                learning_rate: Some(0.1),
                weight_norm: Some(1.0),
                update_norm: Some(1e-3),
                parameters: vec![ParameterStep {
                    slot: 0,
                    gradient: Some(gradient),
                    value: None,
                    update: None,
                }],
                ..Step::default()
            })
            .collect(),
        first_break: (!survives).then(|| broke("log")),
        ending: Some(if survives { Ending::StoppedAtStep } else { Ending::StoppedAfterBreak }),
        ..Run::default()
    }
}

fn broke(op: &str) -> Break {
    let range = Range { count: 4, nan: 0, pos_inf: 0, neg_inf: 0, zeros: 1, min: 0.0, max: 1.0 };
    let seen = |range| TensorSeen {
        shape: vec![4],
        dtype: "float32".to_owned(),
        range,
        role: Role::Activation,
        parameter: None,
        made_by: None,
    };
    Break {
        step: 9,
        phase: Phase::Forward,
        kind: Kind::NegativeInfinity,
        producer: Operation {
            sequence: 3,
            op: op.to_owned(),
            carried_out: None,
            phase: Phase::Forward,
            module: None,
            parameter: None,
            place: Some(Place { file: "src/main.rs".to_owned(), line: 4, column: 9, function: None }),
            forward_place: None,
            scalar: None,
            inputs: vec![seen(range)],
            output: seen(Range { neg_inf: 1, zeros: 0, ..range }),
        },
        trail: Vec::new(),
        origins: Vec::new(),
        samples: Vec::new(),
        batch_rows: Vec::new(),
        loss_is_bad: true,
        parameters_are_bad: true,
        in_evaluation: false,
    }
}

fn cause(interventions: &[&str]) -> Vec<Finding> {
    vec![Finding {
        rule: "log-of-zero".to_owned(),
        confidence: 0.9,
        summary: String::new(),
        evidence: Vec::new(),
        remedies: Vec::new(),
        interventions: interventions.iter().map(|&id| id.to_owned()).collect(),
    }]
}

#[test]
fn the_highest_rate_that_survives_is_found_in_few_re_runs() {
    let mut rules = Rules::new(
        |intervention| matches!(intervention, Intervention::LowerLearningRate { factor } if *factor < 0.04),
    );
    let found = experiment(&training(false, 100), &cause(&["lower-learning-rate"]), &[], None, &mut rules);
    assert_eq!(found[0].intervention, Some(Intervention::LowerLearningRate { factor: 0.03125 }));
    assert_eq!(found[0].cure.verdict, Verdict::Survived);
    assert_eq!(found[0].cure.change, "lower the learning rate: 0.1 → 0.003125");
    assert!(rules.reruns.len() <= 4, "{:?}", rules.reruns);
}

#[test]
fn jobs_change_how_long_a_search_takes_and_not_what_it_finds() {
    for jobs in 1..=12 {
        let mut rules = Rules::new(
            |intervention| matches!(intervention, Intervention::LowerLearningRate { factor } if *factor < 0.04),
        );
        rules.jobs = jobs;
        let found =
            experiment(&training(false, 100), &cause(&["lower-learning-rate"]), &[], None, &mut rules);
        assert_eq!(
            found[0].intervention,
            Some(Intervention::LowerLearningRate { factor: 0.03125 }),
            "{jobs} jobs"
        );
    }
}

#[test]
fn the_loosest_clip_and_the_smallest_epsilon_win() {
    let mut rules = Rules::new(|intervention| match intervention {
        Intervention::ClipGradients { limit, .. } => *limit <= 6.0,
        Intervention::RaiseEpsilon { epsilon } => *epsilon >= 1e-6,
        _ => false,
    });
    let causes = cause(&["clip-gradients", "raise-epsilon"]);
    let found = experiment(&training(false, 100), &causes, &[], None, &mut rules);
    assert_eq!(found[0].intervention, Some(Intervention::ClipGradients { by: ClipBy::Norm, limit: 6.0 }));
    assert_eq!(found[1].intervention, Some(Intervention::RaiseEpsilon { epsilon: 1e-6 }));
}

#[test]
fn the_smallest_margin_that_survives_is_found_from_the_mildest_on() {
    let at_least = |least: f64| move |tried: &Intervention| matches!(tried, Intervention::SafeOp { margin, .. } if *margin >= least);
    for (least, margin, verdict, reruns) in [
        (1e-7, 1e-7, Verdict::Survived, 1),
        (1e-6, 1e-5, Verdict::Survived, 2),
        // What is told is the mildest of those that broke.
        (1.0, 1e-7, Verdict::Broke, 3),
    ] {
        let mut rules = Rules::new(at_least(least));
        let found = experiment(&training(false, 100), &cause(&["safe-op"]), &[], None, &mut rules);
        let Some(Intervention::SafeOp { margin: tried, .. }) = found[0].intervention else {
            panic!("{:?}", found[0]);
        };
        assert_eq!((tried, found[0].cure.verdict, rules.reruns.len()), (margin, verdict, reruns));
    }
}

#[test]
fn what_a_longer_run_shows_to_be_too_weak_is_followed_by_what_is_stronger() {
    let recorded = training(false, 100);
    let mut rules = Rules::new(|tried| match tried {
        Intervention::SafeOp { margin, .. } => *margin < 1e-4,
        Intervention::LowerLearningRate { factor } => *factor < 0.04,
        _ => false,
    });
    let found = experiment(&recorded, &cause(&["safe-op", "lower-learning-rate"]), &[], None, &mut rules);
    let margin = |tried: &Intervention| match tried {
        Intervention::SafeOp { margin, .. } => Some(*margin),
        _ => None,
    };
    assert_eq!(found[0].intervention.as_ref().and_then(margin), Some(1e-7));
    let next = stronger(&recorded, &found[0], &mut rules).unwrap();
    assert_eq!(next.intervention.as_ref().and_then(margin), Some(1e-5));
    // The strongest margin there is breaks by the rule above: nothing takes the place of the second.
    assert_eq!(stronger(&recorded, &next, &mut rules), None);
    let next = stronger(&recorded, &found[1], &mut rules).unwrap();
    assert_eq!(next.intervention, Some(Intervention::LowerLearningRate { factor: 0.015625 }));
    assert_eq!(next.cure.change, "lower the learning rate: 0.1 → 0.001563");
}

#[test]
fn samples_that_come_up_later_are_left_out_as_well() {
    let mut rules = Rules::new(
        |intervention| matches!(intervention, Intervention::DropSamples { indices, .. } if indices.len() == 3),
    );
    rules.bad = vec![5, 2, 8];
    let found = experiment(&training(false, 100), &cause(&["drop-samples"]), &[blamed(5)], None, &mut rules);
    assert_eq!(found[0].intervention, Some(Intervention::DropSamples { indices: vec![5, 2, 8], rows: None }));
    assert_eq!(found[0].cure.verdict, Verdict::Survived);
}

#[test]
fn what_survives_comes_before_what_the_cause_names_first() {
    let mut rules = Rules::new(|intervention| matches!(intervention, Intervention::SafeOp { .. }));
    let causes = cause(&["lower-learning-rate", "safe-op"]);
    let found = experiment(&training(false, 100), &causes, &[], None, &mut rules);
    let order: Vec<_> = found.iter().map(|one| (one.cure.intervention.as_str(), one.cure.verdict)).collect();
    assert_eq!(order, [("safe-op", Verdict::Survived), ("lower-learning-rate", Verdict::Broke)]);
}

#[test]
fn samples_nobody_named_cannot_be_left_out_and_the_way_out_is_told() {
    let mut rules = Rules::new(|_| true);
    let found = experiment(&training(false, 100), &cause(&["drop-samples"]), &[], None, &mut rules);
    assert_eq!(found[0].cure.verdict, Verdict::NotRun);
    assert!(found[0].cure.reason.as_ref().unwrap().contains("denan_burn::data::watched"));
    assert!(rules.reruns.is_empty());
}

#[test]
fn only_the_interventions_asked_for_are_tried() {
    let mut rules = Rules::new(|_| true);
    let only = ["safe-op".to_owned()];
    let causes = cause(&["lower-learning-rate", "safe-op"]);
    let found = experiment(&training(false, 100), &causes, &[], Some(&only), &mut rules);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].cure.intervention, "safe-op");
}

#[test]
fn other_ways_to_clip_are_tried_when_one_does_not_help() {
    let mut rules = Rules::new(|intervention| {
        matches!(intervention, Intervention::ClipGradients { by: ClipBy::Value, .. })
    });
    let found = experiment(&training(false, 100), &cause(&["clip-gradients"]), &[], None, &mut rules);
    assert!(
        matches!(found[0].intervention, Some(Intervention::ClipGradients { by: ClipBy::Value, .. })),
        "{:?}",
        found[0].intervention
    );
}

#[test]
fn an_intervention_that_no_cause_names_is_tried_when_it_is_asked_for() {
    let mut rules =
        Rules::new(|intervention| matches!(intervention, Intervention::WarmUp { steps } if *steps >= 50));
    let only = ["warm-up".to_owned()];
    let found =
        experiment(&training(false, 100), &cause(&["lower-learning-rate"]), &[], Some(&only), &mut rules);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].intervention, Some(Intervention::WarmUp { steps: 50 }));
}

#[test]
fn the_order_of_the_causes_follows_the_experiments() {
    let finding = |rule: &str, confidence, intervention: &str| Finding {
        rule: rule.to_owned(),
        confidence,
        interventions: vec![intervention.to_owned()],
        ..cause(&[]).remove(0)
    };
    let named = || {
        vec![
            finding("exp-overflow", 0.93, "safe-op"),
            finding("learning-rate-too-high", 0.6, "lower-learning-rate"),
        ]
    };
    let rules = |causes: &mut Vec<Finding>, survives: fn(&Intervention) -> bool| {
        let mut rules = Rules::new(survives);
        let found = experiment(&training(false, 100), causes, &[], None, &mut rules);
        follow(causes, &found);
        causes.iter().map(|cause| (cause.rule.clone(), cause.confidence)).collect::<Vec<_>>()
    };
    let mut causes = named();
    let order = rules(&mut causes, |tried| matches!(tried, Intervention::LowerLearningRate { .. }));
    assert_eq!(order, [("learning-rate-too-high".to_owned(), 0.93), ("exp-overflow".to_owned(), 0.6)]);
    assert!(causes[0].evidence.last().unwrap().contains("speaks for it"), "{:?}", causes[0].evidence);
    assert!(causes[1].evidence.last().unwrap().contains("speaks against it"), "{:?}", causes[1].evidence);
    // As long as its own cure survives, or nothing does, the first stays first.
    for survives in [(|_| true) as fn(&Intervention) -> bool, |_| false] {
        assert_eq!(rules(&mut named(), survives)[0].0, "exp-overflow");
    }
}
