//! The cures of `denan run`: experiments, patches of what survived, and the patched program as the last experiment.

use crate::args::CureChoice;
use crate::commands::rerun::Rerunner;
use crate::error::Error;
use crate::sources::SourceFiles;
use denan_cure::experiments::{self, Experiment, Rerun as _};
use denan_cure::patch::{PatchContext, SourceTree as _, applied, patch, unified_diff, unified_diff_in};
use denan_cure::verdict::{judge, judge_start};
use denan_diagnose::{Context, blamed_samples, diagnose};
use denan_finding::{Cure, CureCost, NextCommand, Patch, RunResult, Verdict};
use denan_record::model::Run;
use denan_record::store::add_tape;
use denan_record::tape::Tape;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::time::Instant;

/// A patched program makes this many times the steps of an experiment.
const LONGER: u64 = 2;

/// Runs the training once more as it is: what differs from run to run is a cause by itself, and the breaking step goes on
/// the record.
pub fn run_again(result: &mut RunResult, run: &Run, rerunner: &Rerunner<'_>) {
    match rerunner.again(run) {
        Ok((again, tape)) => {
            keep_tape(result, run, &again, tape.as_deref());
            let context = Context { annotations: rerunner.annotations, again: Some(&again) };
            result.causes = diagnose(run, &context);
            result.samples = blamed_samples(run, &context);
        }
        Err(reason) => result.notes.push(format!("the training was not run again: {reason}")),
    }
}

/// Tries what the causes name, and makes a patch of what survives.
pub fn prove(
    result: &mut RunResult,
    run: &Run,
    choice: &CureChoice,
    rerunner: &mut Rerunner<'_>,
    sources: &SourceFiles,
) {
    let only = match choice {
        CureChoice::Only(ids) => Some(ids.as_slice()),
        _ => None,
    };
    let began = Instant::now();
    let mut experiments = experiments::experiment(run, &result.causes, &result.samples, only, rerunner);
    for experiment in &mut experiments {
        write_out(experiment, run, rerunner, sources);
    }
    experiments::follow(&mut result.causes, &experiments);
    result.cures.extend(experiments.into_iter().map(|experiment| experiment.cure));
    result.cures.sort_by_key(|cure| cure.verdict != Verdict::Survived);
    let is_late = |cure: &Cure| cure.steps > 0 && rerunner.begins_at(&cure.intervention) > 0;
    if let (Some(restart), true) = (&rerunner.restart, result.cures.iter().any(is_late)) {
        result.notes.push(format!(
            "re-runs began with step {}, whose state the first run had kept: what they prove holds from there on; with \
             --state-every 0 they begin at the beginning",
            restart.step
        ));
    }
    let seconds = began.elapsed().as_secs_f64();
    let first_run = rerunner.scratch.time_to_break().map(|time| time.as_secs_f64());
    let times_first_run = first_run.filter(|time| *time > 0.0).map(|time| seconds / time);
    result.cost = (!result.cures.is_empty()).then_some(CureCost { seconds, times_first_run });
}

/// Gives an experiment that was survived its patch. Where the patched program shows that the change only puts the break
/// off, a stronger one takes its place, if one lasts.
fn write_out(experiment: &mut Experiment, run: &Run, rerunner: &mut Rerunner<'_>, sources: &SourceFiles) {
    let mut tried = experiment.clone();
    while let (Some(intervention), Verdict::Survived, Some(found)) =
        (&tried.intervention, tried.cure.verdict, &run.first_break)
    {
        let context = PatchContext {
            break_: found,
            step_place: run.optimizer.as_ref().and_then(|optimizer| optimizer.place.as_ref()),
            learning_rate: experiments::learning_rate(run),
            run: Some(run),
            dropped: &tried.dropped,
        };
        match patch(intervention, &context, sources) {
            Ok(patch) => try_patch(&mut tried.cure, patch, run, rerunner, sources),
            Err(no_patch) => tried.cure.reason = Some(format!("no patch: {no_patch}")),
        }
        if tried.cure.verdict == Verdict::Survived || experiment.cure.verdict == Verdict::Survived {
            // What was found first is told of, unless a stronger change lasts.
            *experiment = tried.clone();
        }
        if tried.cure.verdict == Verdict::Survived {
            return;
        }
        match experiments::stronger(run, &tried, rerunner) {
            Some(stronger) => tried = stronger,
            None => return,
        }
    }
}

/// Gives a cure its patch, after the patched program was run where that can be done: what does not survive is no patch,
/// and what survives no longer than the experiment no cure.
fn try_patch(cure: &mut Cure, patch: Patch, run: &Run, rerunner: &Rerunner<'_>, sources: &SourceFiles) {
    let text = sources.read(&patch.file).and_then(|text| applied(&patch, &text));
    // A burn program would have to be built once more.
    let (true, Some(text)) = (run.is_of_torch(), text) else {
        cure.patch = Some(patch);
        return;
    };
    rerunner.terminal.say(&format!("running {} with the patch", patch.file));
    // Longer than the experiment: what only puts the break off is no cure.
    let began_at = rerunner.begins_at(&cure.intervention);
    let steps = began_at + LONGER * (experiments::steps_to_outlive(run, &cure.rule, began_at) - began_at);
    let again = match rerunner.patched(&patch.file, &text, &cure.intervention, steps) {
        Ok(again) => again,
        Err(reason) => {
            cure.reason = Some(format!("the patch was not run: {reason}"));
            cure.patch = Some(patch);
            return;
        }
    };
    let judged = judge(run, &again, 0, steps);
    if judged.verdict == Verdict::Survived {
        cure.patch = Some(Patch { ran: Some(judged.verdict), ..patch });
        return;
    }
    let lasts_as_long = || judge_start(run, &again, began_at + cure.steps).verdict == Verdict::Survived;
    let is_put_off = judged.is_too_weak() && lasts_as_long();
    let why = judged.reason.unwrap_or_else(|| "it does not survive".to_owned());
    if is_put_off {
        cure.verdict = Verdict::Unstable;
        cure.reason = Some(format!("puts it off: with the change in {}, {why}", patch.file));
    } else {
        cure.reason = Some(format!(
            "no patch: the change of line {} of {} is not what survived ({why}); by hand: {}",
            patch.line, patch.file, cure.change
        ));
    }
}

/// Writes the patch of the best cure that has one to a file that is not there yet. What keeps it from that is a note:
/// the result is worth more than the file.
pub fn write_patch(result: &mut RunResult, path: &Path, sources: &SourceFiles) {
    let Some(patch) = result.cures.iter().find_map(|cure| cure.patch.as_ref()) else {
        result.notes.push(format!("{} was not written: there is no patch", path.display()));
        return;
    };
    let whole = sources.read(&patch.file).and_then(|text| unified_diff_in(patch, &text));
    let text = whole.unwrap_or_else(|| unified_diff(patch));
    let written = OpenOptions::new().write(true).create_new(true).open(path);
    match written.and_then(|mut file| file.write_all(text.as_bytes())) {
        Ok(()) => {
            result.next = Some(NextCommand {
                command: format!("git apply {}", path.display()),
                purpose: format!("makes the change in {}", patch.file),
            });
        }
        Err(error) => result.notes.push(format!("{} was not written: {error}", path.display())),
    }
}

/// Whether a patch can be written to a file: it is never written over one.
///
/// # Errors
/// The file is there, or its folder is not.
pub fn check_patch(path: &Path) -> Result<(), Error> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let (kind, help) = match folder {
        _ if path.exists() => {
            (ErrorKind::AlreadyExists, "name a file that is not there yet with --patch FILE")
        }
        Some(folder) if !folder.is_dir() => {
            (ErrorKind::NotFound, "name a folder that is there with --patch FILE")
        }
        _ => return Ok(()),
    };
    Err(Error::File {
        action: "write the patch to",
        path: path.to_owned(),
        source: kind.into(),
        help: help.to_owned(),
    })
}

/// Adds the breaking step to the record, so that it can be replayed, if the second run broke in the same way.
fn keep_tape(result: &mut RunResult, run: &Run, again: &Run, tape: Option<&Tape>) {
    let way = |run: &Run| {
        let first = run.first_break.as_ref()?;
        Some((first.step, first.phase, first.producer.op.clone(), first.producer.place.clone()))
    };
    let (Some(record), Some(tape)) = (&result.record, tape) else {
        let is_new = |note: &&String| !run.notes.contains(note) && note.contains("`replay`");
        result.notes.extend(again.notes.iter().filter(is_new).cloned());
        return;
    };
    if way(run) == way(again)
        && let Err(error) = add_tape(Path::new(record), tape)
    {
        result.notes.push(format!("the breaking step is not on the record for `replay`: {error}"));
    }
}
