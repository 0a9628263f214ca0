//! The document `denan/run/v1` of the contract.
//!
//! Keys come in the contract's order. One without a value is absent; lists are there even when
//! empty.

use super::words::blamed_place;
use super::{Sources, Style};
use crate::escape::is_unsafe;
use crate::finding::{BlamedSample, Cure, Finding, Replay, ReplayedNode, RunResult};
use crate::patch::{Hunk, Patch};
use denan_record::model::{Act, Break, Forecast, Operation, Phase, Place, Sample, Screened, TensorSeen};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::io::{self, Write};

pub(super) fn render(result: &RunResult, style: &Style<'_>) -> String {
    written(&Document::new(result, style.sources))
}

/// A result as the document of a schema.
pub(super) fn document(schema: &'static str, result: &impl Serialize) -> String {
    written(&Named { schema, result })
}

/// The same, written piece by piece: documents can be larger than what they are made of.
pub(super) fn write_document(
    schema: &'static str,
    result: &impl Serialize,
    to: &mut dyn Write,
) -> io::Result<()> {
    write(&Named { schema, result }, to)
}

#[derive(Serialize)]
struct Named<'a, T> {
    schema: &'static str,
    #[serde(flatten)]
    result: &'a T,
}

/// A document as text that is safe to show.
fn written(document: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    write(document, &mut bytes).expect("its keys are strings");
    String::from_utf8(bytes).expect("JSON is text")
}

fn write(document: &impl Serialize, to: &mut dyn Write) -> io::Result<()> {
    let mut safe = Safe { to: io::BufWriter::new(to), begun: Vec::new() };
    serde_json::to_writer_pretty(&mut safe, document)?;
    safe.write_all(b"\n")?;
    safe.flush()
}

/// Writes JSON on, with the characters that are not safe to show written out.
///
/// Such characters occur only inside strings, where JSON lets them be written out. What it has to write out, serde_json has: the line
/// feeds left are those of the layout.
struct Safe<W: Write> {
    to: W,
    /// The beginning of a character whose end has not come in.
    begun: Vec<u8>,
}

impl<W: Write> Write for Safe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.begun.is_empty() && bytes.iter().all(|byte| matches!(byte, b'\n' | b' '..=b'~')) {
            self.to.write_all(bytes)?;
            return Ok(bytes.len());
        }
        self.begun.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.begun) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&self.begun[..error.valid_up_to()]).unwrap_or_default(),
        };
        for character in whole.chars() {
            if character != '\n' && is_unsafe(character) {
                let mut units = [0; 2];
                for unit in character.encode_utf16(&mut units) {
                    write!(self.to, "\\u{unit:04x}")?;
                }
            } else {
                self.to.write_all(character.encode_utf8(&mut [0; 4]).as_bytes())?;
            }
        }
        let length = whole.len();
        self.begun.drain(..length);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A number that JSON may not have: `"NaN"`, `"Infinity"`, `"-Infinity"`.
struct Number(f64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() {
            to.serialize_f64(self.0)
        } else if self.0.is_nan() {
            to.serialize_str("NaN")
        } else if self.0 > 0.0 {
            to.serialize_str("Infinity")
        } else {
            to.serialize_str("-Infinity")
        }
    }
}

/// Numbers that may be non-finite.
pub(crate) fn numbers<S: Serializer>(values: &[f64; 4], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(values.iter().map(|value| Number(*value)))
}

/// A number that may be non-finite.
pub(crate) fn number<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
    Number(*value).serialize(to)
}

/// Any count of numbers that may be non-finite.
pub(crate) fn number_list<S: Serializer>(values: &[f64], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(values.iter().map(|value| Number(*value)))
}

/// Sentences, in which a no-break space is a matter of display only.
struct Prose<'a>(&'a str);

impl Serialize for Prose<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0.replace('\u{a0}', " "))
    }
}

fn prose(sentences: &[String]) -> Vec<Prose<'_>> {
    sentences.iter().map(|sentence| Prose(sentence)).collect()
}

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    denan: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<&'a str>,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    child_exit_code: Option<i32>,
    steps: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    rank: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ranks: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_loss: Option<Number>,
    #[serde(rename = "break", skip_serializing_if = "Option::is_none")]
    first_break: Option<BreakKeys<'a>>,
    samples: Vec<SampleKeys<'a>>,
    causes: Vec<CauseKeys<'a>>,
    cures: Vec<CureKeys<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cure_cost: Option<CureCostKeys>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    forecasts: Vec<ForecastKeys<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    acts: Vec<ActKeys<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overhead: Option<OverheadKeys<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a str>,
    notes: Vec<Prose<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<ReplayKeys<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    screen: Option<ScreenKeys<'a>>,
}

/// Something that a guard did.
#[derive(Serialize)]
struct ActKeys<'a> {
    step: u64,
    what: &'static str,
    why: Prose<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    samples: Vec<NamedKeys<'a>>,
}

#[derive(Serialize)]
struct NamedKeys<'a> {
    index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

impl<'a> ActKeys<'a> {
    fn new(act: &'a Act) -> Self {
        let named = |sample: &'a Sample| NamedKeys { index: sample.index, name: sample.name.as_deref() };
        Self {
            step: act.step,
            what: act.what.as_str(),
            why: Prose(&act.why),
            to: act.to,
            factor: act.factor.map(Number),
            file: act.file.as_deref(),
            samples: act.samples.iter().map(named).collect(),
        }
    }
}

/// What came of going through the data set, forward and loss only.
#[derive(Serialize)]
struct ScreenKeys<'a> {
    samples: u64,
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    bad: Vec<ScreenedKeys<'a>>,
    /// Indices of samples whose loss is not finite in one batch, and is in two.
    together: Vec<Vec<u64>>,
}

#[derive(Serialize)]
struct ScreenedKeys<'a> {
    index: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    loss: Number,
}

impl<'a> ScreenKeys<'a> {
    fn new(screened: &'a Screened) -> Self {
        let bad = screened.bad.iter().map(|(sample, loss)| ScreenedKeys {
            index: sample.index,
            name: sample.name.as_deref(),
            loss: Number(*loss),
        });
        let indices = |group: &Vec<Sample>| group.iter().map(|sample| sample.index).collect();
        Self {
            samples: screened.samples,
            complete: screened.gave_up.is_none(),
            reason: screened.gave_up.as_deref(),
            bad: bad.collect(),
            together: screened.together.iter().map(indices).collect(),
        }
    }
}

impl<'a> Document<'a> {
    fn new(result: &'a RunResult, sources: &dyn Sources) -> Self {
        Self {
            schema: "denan/run/v1",
            denan: &result.denan,
            engine: result.engine.as_deref(),
            outcome: result.outcome.as_str(),
            child_exit_code: result.child_exit_code,
            steps: result.steps,
            rank: result.rank.map(|rank| rank.number),
            ranks: result.rank.map(|rank| rank.of),
            last_loss: result.last_loss.map(Number),
            first_break: result.first_break.as_ref().map(|broken| BreakKeys::new(broken, sources)),
            samples: result.samples.iter().map(SampleKeys::new).collect(),
            causes: result.causes.iter().map(CauseKeys::new).collect(),
            cures: result.cures.iter().map(CureKeys::new).collect(),
            cure_cost: result.cost.map(|cost| CureCostKeys {
                seconds: Number(cost.seconds),
                times_first_run: cost.times_first_run.map(Number),
            }),
            forecasts: result.forecasts.iter().map(|forecast| ForecastKeys::new(forecast, sources)).collect(),
            acts: result.acts.iter().map(ActKeys::new).collect(),
            overhead: result
                .overhead
                .as_ref()
                .map(|overhead| OverheadKeys { level: &overhead.level, fraction: Number(overhead.fraction) }),
            record: result.record.as_deref(),
            report: result.report.as_deref(),
            notes: prose(&result.notes),
            replay: result.replay.as_ref().map(|replay| ReplayKeys::new(replay, sources)),
            screen: result.screened.as_ref().map(ScreenKeys::new),
        }
    }
}

#[derive(Serialize)]
struct ForecastKeys<'a> {
    op: &'a str,
    phase: &'static str,
    #[serde(flatten)]
    place: Option<PlaceKeys>,
    dtype: &'a str,
    at: u64,
    largest: Number,
    powers_left: Number,
    powers_per_step: Number,
    step: u64,
}

impl<'a> ForecastKeys<'a> {
    fn new(forecast: &'a Forecast, sources: &dyn Sources) -> Self {
        Self {
            op: &forecast.op,
            phase: forecast.phase.as_str(),
            place: forecast.place.as_ref().map(|place| PlaceKeys::new(place, sources)),
            dtype: &forecast.dtype,
            at: forecast.at,
            largest: Number(forecast.largest),
            powers_left: Number(forecast.powers_left),
            powers_per_step: Number(forecast.powers_per_step),
            step: forecast.step,
        }
    }
}

#[derive(Serialize)]
struct ReplayKeys<'a> {
    step: u64,
    operations: u64,
    verdict: &'static str,
    differing: u64,
    changes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    producer: Option<u32>,
    nodes: Vec<NodeKeys<'a>>,
}

impl<'a> ReplayKeys<'a> {
    fn new(replay: &'a Replay, sources: &dyn Sources) -> Self {
        Self {
            step: replay.step,
            operations: replay.operations,
            verdict: replay.verdict.as_str(),
            differing: replay.differing,
            changes: &replay.changes,
            producer: replay.producer,
            nodes: replay.nodes.iter().map(|node| NodeKeys::new(node, sources)).collect(),
        }
    }
}

#[derive(Serialize)]
struct NodeKeys<'a> {
    number: u32,
    op: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<&'a str>,
    phase: &'static str,
    #[serde(flatten)]
    place: Option<PlaceKeys>,
    reads: &'a [u32],
    output: TensorKeys<'a>,
    differs: bool,
}

impl<'a> NodeKeys<'a> {
    fn new(node: &'a ReplayedNode, sources: &dyn Sources) -> Self {
        Self {
            number: node.number,
            op: &node.op,
            call: node.call.as_deref(),
            phase: node.phase.as_str(),
            place: node.place.as_ref().map(|place| PlaceKeys::new(place, sources)),
            reads: &node.reads,
            output: TensorKeys::new(&node.tensor),
            differs: node.recorded.is_some(),
        }
    }
}

#[derive(Serialize)]
struct BreakKeys<'a> {
    step: u64,
    phase: &'static str,
    kind: &'static str,
    /// An evaluation before this step broke, and not the training.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    evaluation: bool,
    producer: OperationKeys<'a>,
    trail: Vec<OperationKeys<'a>>,
}

impl<'a> BreakKeys<'a> {
    fn new(broken: &'a Break, sources: &dyn Sources) -> Self {
        let operation = |operation| OperationKeys::new(operation, sources);
        Self {
            step: broken.step,
            phase: broken.phase.as_str(),
            kind: broken.kind.as_str(),
            evaluation: broken.in_evaluation,
            producer: operation(&broken.producer),
            trail: broken.trail.iter().map(operation).collect(),
        }
    }
}

#[derive(Serialize)]
struct OperationKeys<'a> {
    op: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    carried_out: Option<&'a str>,
    phase: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
    #[serde(flatten)]
    place: Option<PlaceKeys>,
    /// Where the backward pass was started, when `file` and `line` are the forward call's.
    #[serde(skip_serializing_if = "Option::is_none")]
    backward: Option<PlaceKeys>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scalar: Option<Number>,
    inputs: Vec<TensorKeys<'a>>,
    output: TensorKeys<'a>,
}

impl<'a> OperationKeys<'a> {
    fn new(operation: &'a Operation, sources: &dyn Sources) -> Self {
        let place = |place| PlaceKeys::new(place, sources);
        let backward = operation.forward_place.as_ref().and(operation.place.as_ref());
        Self {
            op: &operation.op,
            carried_out: operation.carried_out.as_deref(),
            phase: operation.phase.as_str(),
            module: operation.module.as_deref(),
            parameter: operation.parameter.as_deref(),
            place: blamed_place(operation).map(place),
            backward: backward.filter(|_| operation.phase == Phase::Backward).map(place),
            scalar: operation.scalar.map(Number),
            inputs: operation.inputs.iter().map(TensorKeys::new).collect(),
            output: TensorKeys::new(&operation.output),
        }
    }
}

#[derive(Serialize)]
struct PlaceKeys {
    file: String,
    line: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<u32>,
}

impl PlaceKeys {
    fn new(place: &Place, sources: &dyn Sources) -> Self {
        Self {
            file: sources.show(&place.file),
            line: place.line,
            column: (place.column > 0).then_some(place.column),
        }
    }
}

#[derive(Serialize)]
struct TensorKeys<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<Number>,
    nonfinite: u64,
    zeros: u64,
    shape: &'a [u64],
    dtype: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameter: Option<&'a str>,
}

impl<'a> TensorKeys<'a> {
    fn new(tensor: &'a TensorSeen) -> Self {
        Self {
            min: tensor.range.min_opt().map(Number),
            max: tensor.range.max_opt().map(Number),
            nonfinite: tensor.range.nonfinite(),
            zeros: tensor.range.zeros,
            shape: &tensor.shape,
            dtype: &tensor.dtype,
            parameter: tensor.parameter.as_deref(),
        }
    }
}

#[derive(Serialize)]
struct SampleKeys<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_row: Option<u64>,
    why: Prose<'a>,
}

impl<'a> SampleKeys<'a> {
    fn new(blamed: &'a BlamedSample) -> Self {
        let sample = blamed.sample.as_ref();
        Self {
            index: sample.map(|sample| sample.index),
            name: sample.and_then(|sample| sample.name.as_deref()),
            batch_row: blamed.batch_row,
            why: Prose(&blamed.why),
        }
    }
}

#[derive(Serialize)]
struct CauseKeys<'a> {
    rule: &'a str,
    confidence: Number,
    summary: Prose<'a>,
    evidence: Vec<Prose<'a>>,
    remedies: Vec<Prose<'a>>,
}

impl<'a> CauseKeys<'a> {
    fn new(cause: &'a Finding) -> Self {
        Self {
            rule: &cause.rule,
            confidence: Number(cause.confidence),
            summary: Prose(&cause.summary),
            evidence: prose(&cause.evidence),
            remedies: prose(&cause.remedies),
        }
    }
}

#[derive(Serialize)]
struct CureKeys<'a> {
    rule: &'a str,
    intervention: &'a str,
    args: &'a Map<String, Value>,
    change: Prose<'a>,
    verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Prose<'a>>,
    steps: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    loss_start: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loss_end: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<PatchKeys<'a>>,
}

impl<'a> CureKeys<'a> {
    fn new(cure: &'a Cure) -> Self {
        Self {
            rule: &cure.rule,
            intervention: &cure.intervention,
            args: &cure.args,
            change: Prose(&cure.change),
            verdict: cure.verdict.as_str(),
            reason: cure.reason.as_deref().map(Prose),
            steps: cure.steps,
            loss_start: cure.loss_start.map(Number),
            loss_end: cure.loss_end.map(Number),
            patch: cure.patch.as_ref().map(PatchKeys::new),
        }
    }
}

/// What proving cures took.
#[derive(Serialize)]
struct CureCostKeys {
    seconds: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    times_first_run: Option<Number>,
}

#[derive(Serialize)]
struct PatchKeys<'a> {
    file: &'a str,
    line: u32,
    before: &'a str,
    after: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    more: Vec<HunkKeys<'a>>,
    /// What came of running the patched program.
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<&'static str>,
}

#[derive(Serialize)]
struct HunkKeys<'a> {
    line: u32,
    before: &'a str,
    after: &'a str,
}

impl<'a> PatchKeys<'a> {
    fn new(patch: &'a Patch) -> Self {
        let hunk = |hunk: &'a Hunk| HunkKeys { line: hunk.line, before: &hunk.before, after: &hunk.after };
        Self {
            file: &patch.file,
            line: patch.line,
            before: &patch.before,
            after: &patch.after,
            more: patch.more.iter().map(hunk).collect(),
            verdict: patch.ran.map(crate::finding::Verdict::as_str),
        }
    }
}

#[derive(Serialize)]
struct OverheadKeys<'a> {
    level: &'a str,
    fraction: Number,
}
