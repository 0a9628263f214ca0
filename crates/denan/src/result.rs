//! From what a run left behind to what is shown, written and returned.

use crate::args::{Common, OutputFormat};
use crate::error::Error;
use crate::sources::SourceFiles;
use crate::terminal::Terminal;
use denan_diagnose::{Annotations, Context, blamed_samples, diagnose};
use denan_finding::render::{Format, Style, render};
use denan_finding::{Outcome, Overhead, RunResult};
use denan_record::model::Run;
use std::io::{self, Write};
use std::process::ExitStatus;

/// The result of a run, without cures.
///
/// `again` is the same training, run again without any change, where that has been done already.
pub fn of_run(
    run: &Run,
    annotations: &dyn Annotations,
    again: Option<&Run>,
    status: Option<ExitStatus>,
) -> RunResult {
    let context = Context { annotations, again };
    let steps = run.steps.last().map_or(0, |step| step.step + 1);
    let failed = status.is_some_and(|status| !status.success());
    let outcome = match () {
        () if run.first_break.is_some() => Outcome::Broke,
        () if failed => Outcome::ChildFailed,
        () if steps == 0 => Outcome::NoTraining,
        () => Outcome::Healthy,
    };
    RunResult {
        denan: env!("CARGO_PKG_VERSION").to_owned(),
        engine: run.header.as_ref().map(|header| header.engine.clone()),
        outcome,
        child_exit_code: status.filter(|status| !status.success()).map(exit_code_of),
        steps,
        rank: run.header.as_ref().and_then(|header| header.rank),
        last_loss: run.steps.last().and_then(|step| step.loss),
        first_break: run.first_break.clone(),
        samples: blamed_samples(run, &context),
        causes: diagnose(run, &context),
        cures: Vec::new(),
        cost: None,
        // A break is worth more than the foreboding of one.
        forecasts: if run.first_break.is_none() { run.forecasts.clone() } else { Vec::new() },
        acts: run.acts.clone(),
        overhead: overhead(run),
        record: None,
        report: None,
        notes: run.notes.iter().cloned().chain(denan_diagnose::notes(run)).collect(),
        next: None,
        replay: None,
        screened: None,
    }
}

/// What shells report for a process: its code, or 128 plus the signal that ended it.
fn exit_code_of(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1)
}

/// Share of the steps' time spent watching. Each step measures its own watching, the first step
/// left out: it also resolves every call site.
fn overhead(run: &Run) -> Option<Overhead> {
    let first = run.steps.first()?;
    let last = run.steps.last().filter(|last| last.step > first.step)?;
    let elapsed = last.elapsed_us.saturating_sub(first.elapsed_us);
    let kept = run.steps.len() as f64 - 1.0;
    let all = (last.step - first.step) as f64;
    let watching: u64 = run.steps.iter().skip(1).map(|step| step.watching_us).sum();
    (elapsed > 0).then(|| Overhead {
        level: if run.steps.iter().all(|step| step.operations == 0) { "sentinel" } else { "operations" }
            .to_owned(),
        fraction: (watching as f64 * all / kept / elapsed as f64).min(1.0),
    })
}

/// Shows the result, writes the machine-readable one, and says how denan ends.
pub fn show(
    result: &RunResult,
    common: &Common,
    terminal: &Terminal,
    sources: &SourceFiles,
) -> Result<u8, Error> {
    let style = |color| Style { color, width: terminal.width, sources };
    let json = |to: &mut dyn Write| to.write_all(render(result, Format::Json, &style(false)).as_bytes());
    put_out(common, terminal, json, |format| render(result, format, &style(terminal.color)))?;
    Ok(exit_code(result))
}

/// Shows a result as the options say: `json` writes the machine-readable one, `text` makes that for people.
pub fn put_out(
    common: &Common,
    terminal: &Terminal,
    json: impl Fn(&mut dyn Write) -> io::Result<()>,
    text: impl Fn(Format) -> String,
) -> Result<(), Error> {
    match (common.format, &common.output) {
        (OutputFormat::Json, Some(path)) => write(path, &json)?,
        (OutputFormat::Json, None) => json(&mut io::stdout().lock())?,
        (format, output) => {
            let format = if format == OutputFormat::Full { Format::Full } else { Format::Concise };
            terminal.show(&text(format))?;
            if let Some(path) = output {
                write(path, &json)?;
            }
        }
    }
    Ok(())
}

fn write(path: &std::path::Path, json: &dyn Fn(&mut dyn Write) -> io::Result<()>) -> Result<(), Error> {
    std::fs::File::create(path).and_then(|mut file| json(&mut file)).map_err(|source| Error::File {
        action: "write",
        path: path.to_owned(),
        source,
        help: "choose another file with --output".to_owned(),
    })
}

/// Writes a file that is not there yet: nothing is ever written over.
pub fn write_new(path: &std::path::Path, bytes: &[u8], help: &str) -> Result<(), Error> {
    let written = std::fs::File::create_new(path).and_then(|mut file| file.write_all(bytes));
    written.map_err(|source| Error::File {
        action: "write",
        path: path.to_owned(),
        source,
        help: help.to_owned(),
    })
}

/// The contract's exit codes.
fn exit_code(result: &RunResult) -> u8 {
    match result.outcome {
        Outcome::Healthy => {
            u8::from(result.screened.as_ref().is_some_and(|screened| !screened.bad.is_empty()))
        }
        Outcome::Broke => 1,
        Outcome::NoTraining => 3,
        Outcome::ChildFailed => u8::try_from(result.child_exit_code.unwrap_or(1)).unwrap_or(1),
    }
}
