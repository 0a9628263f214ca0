//! What results are put together from.

use denan_finding::{Cure, Finding, NextCommand, Outcome, Overhead, Patch, RunResult, Sources, Verdict};
use denan_numerics::Range;
use denan_record::model::{Break, Kind, Operation, Phase, Place, Role, TensorSeen};
use serde_json::Map;

/// A source tree in memory.
pub struct FakeSources;

const LINES: &[(&str, u32, &str)] = &[
    (LOSS, 41, "    let target = (sizes.clone() / anchors.clone()).log();"),
    (LOSS, 58, "    let distance = (predicted - truth).powf_scalar(2.0).sum_dim(1).sqrt();"),
    (TRAIN, 88, "\tlet gradients = loss.backward();"),
    (TRAIN, 91, "        model = optimizer.step(LEARNING_RATE, model, gradients);"),
    (MODEL, 27, "        let hidden = self.hidden.forward(input).exp();"),
];

pub const LOSS: &str = "/home/ada/detector/src/loss.rs";
pub const TRAIN: &str = "/home/ada/detector/src/train.rs";
pub const MODEL: &str = "/home/ada/detector/src/model.rs";

impl Sources for FakeSources {
    fn line(&self, file: &str, line: u32) -> Option<String> {
        let found = LINES.iter().find(|(path, number, _)| *path == file && *number == line);
        found.map(|(_, _, text)| (*text).to_owned())
    }

    fn show(&self, file: &str) -> String {
        file.trim_start_matches("/home/ada/detector/").to_owned()
    }
}

pub fn place(file: &str, line: u32, column: u32) -> Place {
    Place { file: file.to_owned(), line, column, function: None }
}

pub fn finite(count: u64, min: f64, max: f64, zeros: u64) -> Range {
    Range { count, zeros, min, max, ..Range::EMPTY }
}

pub fn tensor(shape: &[u64], role: Role, range: Range) -> TensorSeen {
    TensorSeen {
        shape: shape.to_vec(),
        dtype: "float32".to_owned(),
        range,
        role,
        parameter: None,
        made_by: None,
    }
}

/// An operation of no inputs whose output is one bad number.
pub fn operation(op: &str, phase: Phase, place: Option<Place>, output: Range) -> Operation {
    Operation {
        sequence: 0,
        op: op.to_owned(),
        carried_out: None,
        phase,
        module: None,
        parameter: None,
        place,
        forward_place: None,
        scalar: None,
        inputs: vec![],
        output: tensor(&[output.count], Role::Activation, output),
    }
}

pub fn bad(count: u64, nan: u64, pos_inf: u64, neg_inf: u64) -> Range {
    let finite = finite(count, -2.303, 1.227, 0);
    let range = if count == nan + pos_inf + neg_inf { Range { count, ..Range::EMPTY } } else { finite };
    Range { nan, pos_inf, neg_inf, ..range }
}

pub fn broken(step: u64, kind: Kind, producer: Operation, trail: Vec<Operation>) -> Break {
    Break {
        step,
        phase: producer.phase,
        kind,
        producer,
        trail,
        origins: vec![],
        samples: vec![],
        batch_rows: vec![],
        loss_is_bad: true,
        parameters_are_bad: false,
        in_evaluation: false,
    }
}

pub fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|item| (*item).to_owned()).collect()
}

pub fn finding(rule: &str, confidence: f64, summary: &str, evidence: &[&str], remedies: &[&str]) -> Finding {
    Finding {
        rule: rule.to_owned(),
        confidence,
        summary: summary.to_owned(),
        evidence: strings(evidence),
        remedies: strings(remedies),
        interventions: vec![],
    }
}

pub fn cure(rule: &str, intervention: &str, change: &str, verdict: Verdict, steps: u64) -> Cure {
    Cure {
        rule: rule.to_owned(),
        intervention: intervention.to_owned(),
        args: Map::new(),
        change: change.to_owned(),
        verdict,
        reason: None,
        steps,
        loss_start: None,
        loss_end: None,
        patch: None,
    }
}

pub fn with_loss(cure: Cure, start: f64, end: f64) -> Cure {
    Cure { loss_start: Some(start), loss_end: Some(end), ..cure }
}

pub fn patch(file: &str, line: u32, before: &str, after: &str) -> Option<Patch> {
    Some(Patch {
        file: file.to_owned(),
        line,
        before: before.to_owned(),
        after: after.to_owned(),
        ..Patch::default()
    })
}

pub fn next(rule: &str) -> Option<NextCommand> {
    Some(NextCommand {
        command: format!("denan explain {rule}"),
        purpose: "how it is recognised and cured, with an example".to_owned(),
    })
}

pub fn broke(steps: u64, first_break: Break) -> RunResult {
    RunResult {
        denan: "0.1.0".to_owned(),
        engine: Some("burn 0.22.1".to_owned()),
        outcome: Outcome::Broke,
        steps,
        rank: None,
        last_loss: Some(f64::NAN),
        first_break: Some(first_break),
        overhead: Some(Overhead { level: "operations".to_owned(), fraction: 0.0423 }),
        record: Some("denan-20260314-031502.db".to_owned()),
        ..RunResult::default()
    }
}
