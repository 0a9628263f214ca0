//! Results of realistic runs.

use crate::parts::{
    LOSS, MODEL, TRAIN, bad, broke, broken, cure, finding, finite, next, operation, patch, place, strings,
    tensor, with_loss,
};
use denan_finding::{
    BlamedSample, Cure, CureCost, Hunk, Outcome, Overhead, Patch, Replay, ReplayVerdict, ReplayedNode,
    RunResult, Verdict,
};
use denan_record::model::{Act, Deed, Forecast, Kind, Phase, Rank, Role, Sample, Screened, TensorSeen};
use serde_json::json;

/// Two boxes without area: log of 0 in the forward pass.
pub fn degenerate_box() -> RunResult {
    let mut producer = operation("log", Phase::Forward, Some(place(LOSS, 41, 52)), bad(768, 0, 0, 2));
    producer.output.shape = vec![16, 24, 2];
    producer.module = Some("head.loss".to_owned());
    let input = tensor(&[16, 24, 2], Role::Activation, finite(768, 0.0, 3.41, 2));
    producer.inputs = vec![TensorSeen { made_by: Some("div".to_owned()), ..input }];
    let step = |op, phase, line, range| operation(op, phase, Some(place(LOSS, line, 9)), range);
    let trail = vec![
        step("sub", Phase::Forward, 44, bad(768, 0, 2, 0)),
        step("abs", Phase::Forward, 45, bad(768, 0, 2, 0)),
        step("mul", Phase::Forward, 46, bad(768, 44, 2, 0)),
        step("sum", Phase::Loss, 47, bad(1, 1, 0, 0)),
    ];
    let sample = |index, name: &str, row, why: &str| BlamedSample {
        sample: Some(Sample { index, name: Some(name.to_owned()) }),
        batch_row: Some(row),
        why: why.to_owned(),
    };
    let leave_out = cure("degenerate-box", "drop-samples", "leave out 2 samples", Verdict::Survived, 200);
    let safe = cure("log-of-zero", "safe-op", "log(x) → log(max(x, 1e-6))", Verdict::Survived, 200);
    let lower = cure(
        "learning-rate-too-high",
        "lower-learning-rate",
        "learning rate 0.01 → 0.005",
        Verdict::Broke,
        9,
    );
    RunResult {
        samples: vec![
            sample(337, "BloodImage_00338.xml", 3, "box 12 has width 0 (xmin 504, xmax 504)"),
            sample(
                73,
                "BloodImage_00074.xml",
                11,
                "box 2 has height 0 (ymin 311, ymax 311) and lies at the lower edge of its image",
            ),
        ],
        causes: vec![
            finding(
                "degenerate-box",
                0.97,
                "log of 0, a box of no area in BloodImage_00338.xml",
                &[
                    "the input of log holds 2 zeros, both where a box of the batch has a side of length 0",
                    "the other 14 samples of the batch have no such box",
                ],
                &["repair or delete the 2 boxes; `denan scan` lists every box of this kind"],
            ),
            finding(
                "log-of-zero",
                0.6,
                "log of an input that holds an exact 0, with nothing that keeps it away from the edge",
                &[],
                &[],
            ),
        ],
        cures: vec![
            Cure {
                args: json!({ "indices": [73, 337] }).as_object().cloned().unwrap(),
                ..with_loss(leave_out, 1.9, 0.8)
            },
            Cure {
                patch: patch(
                    "src/loss.rs",
                    41,
                    "    let target = (sizes.clone() / anchors.clone()).log();",
                    "    let target = (sizes.clone() / anchors.clone()).clamp_min(1e-6).log();",
                ),
                ..with_loss(safe, 1.9, 0.8412)
            },
            lower,
        ],
        next: next("degenerate-box"),
        ..broke(9, broken(8, Kind::NegativeInfinity, producer, trail))
    }
}

/// A cure whose patch changes two places of a file.
pub fn several_places() -> RunResult {
    let constant = cure(
        "learning-rate-schedule",
        "constant-learning-rate",
        "learning rate 0.05",
        Verdict::Survived,
        200,
    );
    let patch = Patch {
        file: "train.py".to_owned(),
        line: 41,
        before: "optimizer = SGD(model.parameters(), lr=0.1)".to_owned(),
        after: "optimizer = SGD(model.parameters(), lr=0.05)\nwarm = LinearLR(optimizer)".to_owned(),
        more: vec![Hunk { line: 58, before: "    scheduler.step()".to_owned(), after: String::new() }],
        ran: Some(Verdict::Survived),
    };
    RunResult {
        cures: vec![Cure { patch: Some(patch), ..with_loss(constant, 1.9, 0.8) }],
        cost: Some(CureCost { seconds: 41.5, times_first_run: Some(6.24) }),
        ..degenerate_box()
    }
}

/// Square root at 0: finite forwards, infinite backwards.
pub fn infinite_gradient() -> RunResult {
    let mut producer = operation("sqrt", Phase::Backward, Some(place(TRAIN, 88, 23)), bad(64, 0, 1, 0));
    producer.carried_out = Some("recip".to_owned());
    producer.forward_place = Some(place(LOSS, 58, 68));
    producer.output.role = Role::Gradient;
    producer.inputs = vec![tensor(&[64, 1], Role::Activation, finite(64, 0.0, 8.712, 1))];
    let layer = |number: u64| {
        let mut layer = operation("linear", Phase::Backward, None, bad(4096, 4096, 0, 0));
        layer.place = Some(place(TRAIN, 88, 23));
        layer.forward_place = Some(place(MODEL, 20 + number as u32, 9));
        layer
    };
    let mut trail = vec![operation("sum", Phase::Backward, Some(place(LOSS, 58, 56)), bad(64, 0, 1, 0))];
    trail.push(operation("powf", Phase::Backward, Some(place(LOSS, 58, 38)), bad(256, 4, 0, 0)));
    trail.extend((0..11).rev().map(layer));
    let mut first_break = broken(412, Kind::Infinity, producer, trail);
    first_break.loss_is_bad = false;
    first_break.parameters_are_bad = true;
    let safe = cure("infinite-gradient", "safe-op", "sqrt(x) → sqrt(x + 1e-12)", Verdict::Survived, 613);
    RunResult {
        samples: vec![BlamedSample {
            sample: None,
            batch_row: Some(17),
            why: "the prediction equals the truth to the last bit".to_owned(),
        }],
        causes: vec![finding(
            "infinite-gradient",
            0.95,
            "the gradient of sqrt is infinite at 0, and its input is 0 in 1 of 64 rows",
            &["the loss is finite (0.0214), only its gradient is not"],
            &["torch-like losses without the root: the squared distance has a finite gradient everywhere"],
        )],
        cures: vec![
            Cure {
                patch: patch(
                    "src/loss.rs",
                    58,
                    "    let distance = (predicted - truth).powf_scalar(2.0).sum_dim(1).sqrt();",
                    "    let distance =\n        ((predicted - truth).powf_scalar(2.0).sum_dim(1) + 1e-12).sqrt();",
                ),
                ..with_loss(safe, 1.304, 0.019_32)
            },
            Cure {
                reason: Some("the first surviving cure needs no other".to_owned()),
                ..cure(
                    "exploding-gradients",
                    "clip-gradients",
                    "clip each gradient to norm 1",
                    Verdict::NotRun,
                    0,
                )
            },
        ],
        notes: strings(&["the program does not tell its samples, so denan names the row of the batch only"]),
        next: next("infinite-gradient"),
        ..broke(413, first_break)
    }
}

/// Adam divides by a second moment of almost nothing.
pub fn optimizer_epsilon() -> RunResult {
    let mut producer = operation("Adam", Phase::Optimizer, Some(place(TRAIN, 91, 27)), bad(512, 0, 3, 0));
    producer.carried_out = Some("div".to_owned());
    producer.parameter = Some("embedding.weight".to_owned());
    producer.output.shape = vec![64, 8];
    let moment = |min, max, zeros| tensor(&[64, 8], Role::OptimizerState, finite(512, min, max, zeros));
    producer.inputs = vec![moment(-3.1e-4, 2.72e-4, 0), moment(0.0, 1.04e-3, 3)];
    let mut add = operation("Adam", Phase::Optimizer, Some(place(TRAIN, 91, 27)), bad(512, 0, 3, 0));
    add.parameter = Some("embedding.weight".to_owned());
    let mut first_break = broken(2036, Kind::Infinity, producer, vec![add.clone(), add]);
    first_break.loss_is_bad = false;
    first_break.parameters_are_bad = true;
    let raise = |to: &str, verdict, steps| {
        cure("optimizer-epsilon", "raise-epsilon", &format!("Adam's epsilon 0 → {to}"), verdict, steps)
    };
    RunResult {
        causes: vec![finding(
            "optimizer-epsilon",
            0.93,
            "Adam divides by a second moment of 0 and its epsilon is 0",
            &["3 of 512 entries of embedding.weight have not had a gradient since step 0"],
            &["epsilon 1e-8, which is the usual default"],
        )],
        cures: vec![
            with_loss(raise("1e-8", Verdict::Survived, 3054), 4.17, 1.038),
            with_loss(raise("1e-4", Verdict::Survived, 3054), 4.17, 1.102),
            Cure {
                reason: Some("the loss of step 12 differs from the record".to_owned()),
                ..raise("1e-2", Verdict::NotReproduced, 12)
            },
        ],
        next: next("optimizer-epsilon"),
        ..broke(2037, first_break)
    }
}

/// A rate that the loss surface does not allow, and the search for one that it does.
pub fn learning_rate() -> RunResult {
    let mut producer = operation("exp", Phase::Forward, Some(place(MODEL, 27, 49)), bad(8192, 0, 8192, 0));
    producer.inputs = vec![tensor(&[32, 256], Role::Activation, finite(8192, 91.0, 4.112e11, 0))];
    let trail = vec![
        operation("div", Phase::Forward, Some(place(MODEL, 28, 9)), bad(8192, 8192, 0, 0)),
        operation("cross_entropy", Phase::Loss, Some(place(TRAIN, 84, 20)), bad(1, 1, 0, 0)),
    ];
    let rate = |to: &str, verdict, steps| {
        let change = format!("learning rate 0.5 → {to}");
        cure("learning-rate-too-high", "lower-learning-rate", &change, verdict, steps)
    };
    RunResult {
        causes: vec![
            finding(
                "learning-rate-too-high",
                0.78,
                "the learning rate 0.5 is too high: each of the last 6 updates changed the weights by more than their own size",
                &[
                    "update / weight: 0.8, 1.4, 2.2, 7.9, 48, 1.1e4 in steps 6 to 11",
                    "the loss rose with the gradients: 2.31, 2.9, 8.4, 113, 4.4e5",
                ],
                &["warm the rate up over the first 100 steps"],
            ),
            finding("exp-overflow", 0.55, "exp of up to 4.112e11, where float32 ends at 88.7", &[], &[]),
            finding(
                "bad-initialization",
                0.2,
                "weights of hidden.weight start 3 times too large for their fan-in",
                &[],
                &[],
            ),
        ],
        cures: vec![
            Cure {
                patch: patch(
                    "src/train.rs",
                    14,
                    "const LEARNING_RATE: f64 = 0.5;",
                    "const LEARNING_RATE: f64 = 0.0625;",
                ),
                ..with_loss(rate("0.0625", Verdict::Survived, 200), 2.31, 0.4421)
            },
            with_loss(rate("0.03125", Verdict::Survived, 200), 2.31, 0.6034),
            Cure {
                reason: Some("the loss no longer falls".to_owned()),
                ..with_loss(rate("0.125", Verdict::Unstable, 200), 2.31, 2.304)
            },
            rate("0.25", Verdict::Broke, 31),
        ],
        next: next("learning-rate-too-high"),
        report: Some("denan-20260314-031502.html".to_owned()),
        ..broke(12, broken(11, Kind::Infinity, producer, trail))
    }
}

/// Nothing wrong.
pub fn healthy() -> RunResult {
    RunResult {
        denan: "0.1.0".to_owned(),
        engine: Some("burn 0.22.1".to_owned()),
        outcome: Outcome::Healthy,
        steps: 24_412,
        rank: None,
        last_loss: Some(0.083_124),
        overhead: Some(Overhead { level: "operations".to_owned(), fraction: 0.031 }),
        record: Some("denan-20260314-031502.db".to_owned()),
        ..RunResult::default()
    }
}

/// A break that no rule explains, at an operation of unknown origin.
pub fn unexplained() -> RunResult {
    let mut producer = operation("conv2d", Phase::Forward, None, bad(4096, 1, 0, 0));
    producer.module = Some("backbone.0.conv".to_owned());
    let mut weight = tensor(&[16, 3, 3, 3], Role::Parameter, finite(432, -0.31, 0.29, 0));
    weight.parameter = Some("backbone.0.conv.weight".to_owned());
    producer.inputs = vec![tensor(&[4, 3, 32, 32], Role::Data, finite(12_288, 0.0, 1.0, 7301)), weight];
    broke(3, broken(2, Kind::Nan, producer, vec![]))
}

pub fn no_training() -> RunResult {
    RunResult { denan: "0.1.0".to_owned(), ..RunResult::default() }
}

pub fn child_failed() -> RunResult {
    RunResult {
        engine: Some("burn 0.22.1".to_owned()),
        outcome: Outcome::ChildFailed,
        child_exit_code: Some(101),
        steps: 12,
        rank: None,
        last_loss: Some(0.731),
        record: Some("denan-20260314-031502.db".to_owned()),
        ..no_training()
    }
}

/// A training that will overflow soon.
pub fn growing() -> RunResult {
    let forecast = Forecast {
        tensor: 0,
        op: "mul".to_owned(),
        phase: Phase::Forward,
        place: Some(place(MODEL, 27, 49)),
        dtype: "float16".to_owned(),
        at: 24_411,
        largest: 16_384.0,
        powers_left: 1.9993,
        powers_per_step: 0.000_4,
        step: 29_410,
    };
    let faster = Forecast {
        op: "matmul".to_owned(),
        phase: Phase::Backward,
        powers_per_step: 2.5,
        ..forecast.clone()
    };
    RunResult { forecasts: vec![forecast, faster], ..healthy() }
}

/// A breaking step, carried out again as it was.
pub fn replayed() -> RunResult {
    let mut result = unexplained();
    let broken = result.first_break.as_ref().unwrap();
    let node = |number: u32, op: &str, reads: &[u32], tensor: &TensorSeen| ReplayedNode {
        number,
        op: op.to_owned(),
        call: (op == "exp").then(|| "softmax".to_owned()),
        phase: if number < 14 { Phase::Forward } else { Phase::Backward },
        place: Some(place(MODEL, 20 + number, 9)),
        reads: reads.to_vec(),
        tensor: tensor.clone(),
        recorded: None,
    };
    let (input, output) = (&broken.producer.inputs[0], &broken.producer.output);
    let mut nodes: Vec<ReplayedNode> = (0..12).map(|number| node(number, "exp", &[], input)).collect();
    nodes.push(node(12, "conv2d", &[1, 11], output));
    nodes.extend((13..24).map(|number| node(number, "add", &[number - 1], output)));
    result.replay = Some(Replay {
        step: broken.step,
        operations: 24,
        differing: 0,
        changes: Vec::new(),
        verdict: ReplayVerdict::SameBreak,
        nodes,
        producer: Some(12),
        focus: None,
        all: false,
    });
    result
}

/// The same step with a change that heals it.
pub fn replayed_with_a_change() -> RunResult {
    let mut result = healthy();
    result.overhead = None;
    let mut replay = replayed().replay.unwrap();
    replay.changes = vec!["log (12) reads at least 0.000001".to_owned()];
    replay.verdict = ReplayVerdict::Finite;
    replay.nodes.truncate(13);
    replay.nodes[12].recorded = Some(bad(4096, 1, 0, 0));
    replay.nodes[12].tensor.range = finite(4096, -13.8, 0.0, 1);
    (replay.differing, replay.producer, replay.focus) = (1, None, Some(12));
    result.replay = Some(replay);
    result
}

/// A training that a guard has kept alive.
pub fn guarded() -> RunResult {
    let mut result = learning_rate();
    if let Some(broken) = &mut result.first_break {
        broken.parameters_are_bad = false;
    }
    let act = |step: u64, what: Deed, samples: u64| Act {
        step,
        what,
        why: "the gradient of head.weight was NaN in 3 of 40 elements".to_owned(),
        samples: (0..samples)
            .map(|index| Sample { index, name: (index == 0).then(|| "a.png".to_owned()) })
            .collect(),
        to: (what == Deed::RolledBack).then_some(300),
        factor: (what == Deed::RolledBack).then_some(0.5),
        file: (what == Deed::KeptCheckpoint).then(|| "model.pt".to_owned()),
    };
    result.acts = (0..10).map(|step| act(310 + step, Deed::SkippedStep, step)).collect();
    result.acts.push(act(320, Deed::RolledBack, 0));
    result.acts.push(act(330, Deed::KeptCheckpoint, 0));
    result
}

/// An evaluation of one of two ranks, and a data set that was gone through.
pub fn screened() -> RunResult {
    let mut result = learning_rate();
    result.rank = Some(Rank { number: 1, of: 2 });
    if let Some(broken) = &mut result.first_break {
        broken.in_evaluation = true;
    }
    let sample = |index: u64, name: Option<&str>| Sample { index, name: name.map(str::to_owned) };
    result.screened = Some(Screened {
        samples: 90,
        bad: vec![(sample(7, Some("scan-7.png")), f64::NAN), (sample(12, None), f64::INFINITY)],
        together: vec![vec![sample(3, None), sample(4, None)]],
        gave_up: None,
    });
    result
}

/// One of each kind.
pub fn all() -> Vec<RunResult> {
    vec![
        degenerate_box(),
        infinite_gradient(),
        optimizer_epsilon(),
        learning_rate(),
        unexplained(),
        healthy(),
        growing(),
        replayed(),
        replayed_with_a_change(),
        no_training(),
        child_failed(),
        screened(),
        guarded(),
    ]
}
