//! Builders for broken runs, and the few checks that all tests share.

use denan_diagnose::{AnnotatedBox, Annotations, Context, diagnose};
use denan_finding::Finding;
use denan_numerics::{Range, Summary};
use denan_record::model::{
    Batch, Break, Header, Kind, Node, Operation, Origin, Parameter, ParameterStep, Phase, Place, Role, Run,
    Sample, Step, StepGraph, TensorSeen,
};
use std::collections::BTreeMap;

/// A run that breaks in the operation given.
pub fn broken(step: u64, phase: Phase, kind: Kind, producer: Operation) -> Run {
    let loss_is_bad = matches!(phase, Phase::Input | Phase::Forward | Phase::Loss);
    Run {
        header: Some(Header {
            engine: "burn 0.22.1".to_owned(),
            process_id: 1,
            started_unix_ms: 0,
            seed: 42,
            intervention: None,
            rank: None,
        }),
        first_break: Some(Break {
            step,
            phase,
            kind,
            producer: Operation { phase, ..producer },
            trail: Vec::new(),
            origins: Vec::new(),
            samples: Vec::new(),
            batch_rows: Vec::new(),
            loss_is_bad,
            parameters_are_bad: true,
            in_evaluation: false,
        }),
        ..Run::default()
    }
}

/// Changes of a run that a test makes.
pub trait RunWith: Sized {
    fn with(self, change: impl FnOnce(&mut Break)) -> Self;
    fn with_origin(self, origin: Origin) -> Self;
    fn with_losses(self, losses: &[f64]) -> Self;
    fn with_norms(self, weight_norms: &[f64], update_norms: &[f64]) -> Self;
    fn with_batches(self, samples: &[&[u64]]) -> Self;
}

impl RunWith for Run {
    fn with(mut self, change: impl FnOnce(&mut Break)) -> Self {
        change(self.first_break.as_mut().expect("a broken run"));
        self
    }

    fn with_origin(self, origin: Origin) -> Self {
        self.with(|broken| broken.origins.push(origin))
    }

    /// Losses of the steps from 0 on.
    fn with_losses(mut self, losses: &[f64]) -> Self {
        for (step, loss) in losses.iter().enumerate() {
            step_mut(&mut self, step as u64).loss = Some(*loss);
        }
        self
    }

    /// Norms of the steps from 0 on: weights after the update, and the update.
    fn with_norms(mut self, weight_norms: &[f64], update_norms: &[f64]) -> Self {
        for (step, (weights, update)) in weight_norms.iter().zip(update_norms).enumerate() {
            let step = step_mut(&mut self, step as u64);
            step.weight_norm = Some(*weights);
            step.update_norm = Some(*update);
            step.learning_rate = Some(0.5);
        }
        self
    }

    /// Indices of the samples in the steps from 0 on.
    fn with_batches(mut self, samples: &[&[u64]]) -> Self {
        for (step, samples) in samples.iter().enumerate() {
            let samples = samples.iter().map(|index| sample(*index)).collect();
            self.batches.push(Batch { step: step as u64, samples });
        }
        self
    }
}

fn step_mut(run: &mut Run, step: u64) -> &mut Step {
    if run.steps.iter().all(|known| known.step != step) {
        run.steps.push(Step { step, ..Step::default() });
    }
    run.steps.iter_mut().find(|known| known.step == step).expect("just pushed")
}

/// An operation at `src/loss.rs:42`.
pub fn operation(op: &str, inputs: Vec<TensorSeen>) -> Operation {
    Operation {
        sequence: 7,
        op: op.to_owned(),
        carried_out: None,
        phase: Phase::Forward,
        module: None,
        parameter: None,
        place: Some(place()),
        forward_place: None,
        scalar: None,
        inputs,
        output: tensor(&[f64::NAN, 1.0], Role::Activation),
    }
}

pub fn carried_out(operation: Operation, by: &str) -> Operation {
    Operation { carried_out: Some(by.to_owned()), ..operation }
}

pub fn with_scalar(operation: Operation, scalar: f64) -> Operation {
    Operation { scalar: Some(scalar), ..operation }
}

pub fn place() -> Place {
    Place { file: "src/loss.rs".to_owned(), line: 42, column: 0, function: None }
}

/// A float32 tensor of these values.
pub fn tensor(values: &[f64], role: Role) -> TensorSeen {
    TensorSeen {
        shape: vec![values.len() as u64],
        dtype: "float32".to_owned(),
        range: range(values),
        role,
        parameter: None,
        made_by: None,
    }
}

/// Values made in the forward pass.
pub fn activation(values: &[f64]) -> TensorSeen {
    tensor(values, Role::Activation)
}

pub fn made_by(call: &str, seen: TensorSeen) -> TensorSeen {
    TensorSeen { made_by: Some(call.to_owned()), ..seen }
}

pub fn with_dtype(seen: TensorSeen, dtype: &str) -> TensorSeen {
    TensorSeen { dtype: dtype.to_owned(), ..seen }
}

pub fn range(values: &[f64]) -> Range {
    values.iter().map(|value| one(*value)).collect()
}

fn one(value: f64) -> Range {
    let is_finite = value.is_finite();
    Range {
        count: 1,
        nan: value.is_nan().into(),
        pos_inf: (value == f64::INFINITY).into(),
        neg_inf: (value == f64::NEG_INFINITY).into(),
        zeros: (value == 0.0).into(),
        min: if is_finite { value } else { f64::INFINITY },
        max: if is_finite { value } else { f64::NEG_INFINITY },
    }
}

/// Values that are all the same.
pub fn summary(count: u64, value: f64) -> Summary {
    Summary {
        count,
        nan: if value.is_nan() { count } else { 0 },
        zeros: if value == 0.0 { count } else { 0 },
        min: value,
        max: value,
        mean: value,
        ..Summary::EMPTY
    }
}

pub fn sample(index: u64) -> Sample {
    Sample { index, name: Some(format!("image_{index}.xml")) }
}

/// An element of the tensor that these rows make up.
///
/// `shape` has the length of a row as its last size; `row` counts vectors.
pub fn origin(shape: &[u64], rows: &[&[f64]], row: usize, column: u64) -> Origin {
    let width = rows[0].len();
    let per_batch_row = if shape.len() >= 3 { shape[1] } else { 1 };
    let row_index = row as u64;
    let position = if shape.len() >= 3 {
        vec![row_index / per_batch_row, row_index % per_batch_row, column]
    } else {
        vec![row_index, column]
    };
    let columns = (0..width).map(|column| rows.iter().map(|row| one(row[column])).collect()).collect();
    Origin {
        shape: shape.to_vec(),
        batch_row: Some(position[0]),
        sample: Some(sample(100 + position[0])),
        position,
        vector: rows[row].to_vec(),
        range: rows.iter().flat_map(|row| row.iter().map(|value| one(*value))).collect(),
        columns,
        place: Some(place()),
    }
}

pub fn parameter(slot: u32, name: &str, shape: &[u64]) -> Parameter {
    Parameter {
        slot,
        name: Some(name.to_owned()),
        shape: shape.to_vec(),
        dtype: "float32".to_owned(),
        ..Parameter::default()
    }
}

pub fn parameter_step(slot: u32, gradient: Summary, update: Summary) -> ParameterStep {
    ParameterStep { slot, gradient: Some(gradient), value: None, update: Some(update) }
}

/// Annotations by index of the sample.
#[derive(Default)]
pub struct Files(pub BTreeMap<u64, Vec<AnnotatedBox>>);

impl Files {
    pub fn of(files: &[(u64, &[[f64; 4]])]) -> Self {
        let boxes = |edges: &[[f64; 4]]| {
            edges.iter().enumerate().map(|(index, edges)| annotated(index as u64, *edges)).collect()
        };
        Self(files.iter().map(|(index, edges)| (*index, boxes(edges))).collect())
    }
}

impl Annotations for Files {
    fn boxes(&self, sample: &Sample) -> Option<Vec<AnnotatedBox>> {
        self.0.get(&sample.index).cloned()
    }
}

fn annotated(index: u64, [xmin, ymin, xmax, ymax]: [f64; 4]) -> AnnotatedBox {
    AnnotatedBox {
        index,
        class: Some("RBC".to_owned()),
        xmin,
        ymin,
        xmax,
        ymax,
        image_width: Some(640.0),
        image_height: Some(480.0),
    }
}

/// The findings without looking into any file.
pub fn findings(run: &Run) -> Vec<Finding> {
    diagnose(run, &Context::default())
}

/// Rules and confidences, most likely first: `log-of-zero 0.93`.
pub fn verdict(findings: &[Finding]) -> String {
    let parts: Vec<String> =
        findings.iter().map(|finding| format!("{} {}", finding.rule, finding.confidence)).collect();
    parts.join(", ")
}

/// The finding of one rule.
pub fn of<'a>(findings: &'a [Finding], rule: &str) -> &'a Finding {
    let found = findings.iter().find(|finding| finding.rule == rule);
    found.unwrap_or_else(|| panic!("no {rule} in {}", verdict(findings)))
}

/// Fails unless every text of a finding is as the house writes it.
#[track_caller]
pub fn assert_house_style(findings: &[Finding]) {
    for finding in findings {
        let texts = [&finding.summary].into_iter().chain(&finding.evidence).chain(&finding.remedies);
        for text in texts {
            assert!(!text.ends_with('.'), "full stop: {text}");
            assert!(!text.is_empty() && !text.contains('\n'), "one line: {text:?}");
            assert!(!text.contains("  "), "two spaces: {text}");
        }
        assert!((0.0..=1.0).contains(&finding.confidence), "{}", finding.confidence);
        assert!(!finding.evidence.is_empty(), "no evidence: {}", finding.summary);
        assert!(!finding.remedies.is_empty(), "no remedy: {}", finding.summary);
    }
}

/// A step's operations, put together one by one.
#[derive(Default)]
pub struct Graph(pub StepGraph);

impl Graph {
    pub fn of(step: u64) -> Self {
        Self(StepGraph { step, ..StepGraph::default() })
    }

    /// Adds a tensor of these values, of shape `[1, values]`; returns its index.
    pub fn add(&mut self, op: &str, inputs: &[u32], values: &[f64], role: Role) -> u32 {
        self.0.nodes.push(Node {
            op: op.to_owned(),
            call: None,
            phase: if role == Role::Gradient { Phase::Backward } else { Phase::Forward },
            scalar: None,
            window: None,
            place: None,
            inputs: inputs.to_vec(),
            shape: vec![1, values.len() as u64],
            dtype: "float32".to_owned(),
            role,
            slot: None,
            is_new: true,
            range: range(values),
            values: Vec::new(),
            rows: None,
        });
        self.0.nodes.len() as u32 - 1
    }

    pub fn data(&mut self, values: &[f64]) -> u32 {
        self.add("input", &[], values, Role::Data)
    }

    pub fn parameter(&mut self, slot: u32, values: &[f64]) -> u32 {
        let index = self.add("random", &[], values, Role::Parameter);
        self.0.nodes[index as usize].slot = Some(slot);
        index
    }

    pub fn made(&mut self, op: &str, inputs: &[u32], values: &[f64]) -> u32 {
        self.add(op, inputs, values, Role::Activation)
    }

    pub fn node(&mut self, index: u32) -> &mut Node {
        &mut self.0.nodes[index as usize]
    }

    /// Layers with the weights of slots 0, 1, …, whose outputs reach these sizes, and the gradient of the loss.
    pub fn of_layers(step: u64, sizes: &[f64]) -> Self {
        let mut graph = Self::of(step);
        let mut at = graph.data(&[1.0]);
        for (slot, size) in sizes.iter().enumerate() {
            let weight = graph.parameter(slot as u32, &[0.5]);
            at = graph.made("matmul", &[at, weight], &[*size]);
        }
        graph.add("ones", &[], &[1.0], Role::Gradient);
        graph
    }
}

/// A summary with this standard deviation around 0.
pub fn spread(count: u64, std: f64) -> Summary {
    Summary { count, min: -3.0 * std, max: 3.0 * std, m2: count as f64 * std * std, ..Summary::EMPTY }
}
