//! Samples gone through forward and loss only: all of the data set (`--screen`), or the breaking batch by halves, where
//! its rows mix so that the bad value could not be followed to one of them.

use super::rerun::Rerunner;
use crate::error::Error;
use crate::launch::Launch;
use crate::scratch::Scratch;
use crate::terminal::Terminal;
use denan_diagnose::may_blame_samples;
use denan_finding::number::float;
use denan_finding::{BlamedSample, RunResult};
use denan_record::model::{Run, Screened};
use denan_record::plan::{Plan, Screen};

/// A batch of which more than this share is bad by itself has no culprits: the parameters are to blame.
const MOST_OF_BATCH: f64 = 0.5;

/// Goes through the whole data set with the parameters that the training begins with.
pub fn whole(launch: &Launch, seed: u64, scratch: &Scratch, terminal: &Terminal) -> Result<Screened, Error> {
    terminal.say("going through the data set once, forward and loss only");
    let plan = Plan { seed, screen: Some(Screen { step: 0, whole: true }), ..Plan::default() };
    let watched = scratch.watch(launch, plan, None, terminal)?;
    let status = watched.status;
    Ok(watched.of_rank(0).screened.unwrap_or_else(|| {
        let reason = match status.filter(|status| !status.success()) {
            Some(status) => format!("the program failed on the way ({status})"),
            None => "the program ran no backward pass".to_owned(),
        };
        Screened { gave_up: Some(reason), ..Screened::default() }
    }))
}

/// Halves the breaking batch where that may find a culprit, and blames the samples that are bad by themselves.
pub fn halve(result: &mut RunResult, run: &Run, rank: u32, rerunner: &Rerunner<'_>) {
    let Some(found) = run.first_break.as_ref().filter(|found| found.loss_is_bad && !found.in_evaluation)
    else {
        return;
    };
    let is_loaded = run.batches.iter().any(|batch| batch.step == found.step);
    let may_be_data = result.causes.first().is_some_and(|cause| may_blame_samples(&cause.rule));
    if !result.samples.is_empty() || found.samples.len() < 2 || !is_loaded || !may_be_data {
        return;
    }
    rerunner.terminal.say(&format!("trying halves of the batch of step {}", found.step));
    let screen = Some(Screen { step: found.step, whole: false });
    let screened = rerunner.rerun_one(Plan { screen, ..rerunner.plan(found.step + 1) });
    let Some(screened) = screened.ok().and_then(|watched| watched.of_rank(rank).screened) else { return };
    if screened.bad.len() as f64 > MOST_OF_BATCH * found.samples.len() as f64 {
        return;
    }
    let row = |index: u64| found.samples.iter().position(|sample| sample.index == index);
    result.samples = screened
        .bad
        .into_iter()
        .map(|(sample, loss)| BlamedSample {
            batch_row: row(sample.index).map(|row| row as u64),
            why: format!(
                "with the parameters of step\u{a0}{} its loss is {}, whatever else is in the batch",
                found.step,
                float(loss)
            ),
            sample: Some(sample),
        })
        .collect();
}
