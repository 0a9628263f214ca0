//! The close look: a training whose break was only noticed runs again, and every operation of the steps around it is
//! looked at.
//!
//! Adapters that see every operation anyway (burn) tell the break with its producer, and nothing is to be done here.

use super::rerun::Rerunner;
use crate::collected::Collected;
use crate::records::Records;
use denan_record::event::Event;
use denan_record::model::{Break, Run};
use denan_record::plan::Plan;

/// Steps that a close look may take in: each takes two to three times as long as it does otherwise.
const MOST_LOOKED_AT: u64 = 32;

/// What a second run has shown besides where the first one broke.
pub struct Looked {
    /// It, if it was the same training.
    pub again: Option<Run>,
    /// Whether the training repeats itself, as far as that was tried.
    pub repeats: bool,
}

/// Looks for the producer of a break that was only noticed, and puts what was found into the run and on the record.
pub fn closely(
    told: &mut Collected,
    rank: u32,
    rerunner: &mut Rerunner<'_>,
    records: Option<&mut Records>,
    notes: &mut Vec<String>,
) -> Looked {
    let run = &mut told.run;
    let Some(noticed) = run.first_break.clone().filter(|_| run.is_of_torch()) else {
        return Looked { again: None, repeats: true };
    };
    let since = told.noticed_since.unwrap_or(noticed.step);
    let looked = match is_seen(run, &noticed) {
        true => Looked { again: None, repeats: true },
        false => look(run, rank, (since, noticed.step), rerunner, notes),
    };
    if let (Some(records), Some(found)) = (records, &run.first_break) {
        // The steps again, with the figures that the second run has added.
        let steps = run.steps.iter().filter(|step| looked.again.is_some() && step.step <= found.step);
        let steps = steps.map(|step| Event::Step(step.clone()));
        let graphs = run.graphs.iter().map(|graph| Event::Graph(Box::new(graph.clone())));
        let events = [Event::Data(run.data.clone()), Event::Break(Box::new(found.clone()))];
        for event in steps.chain(graphs).chain(events) {
            records.tell(rank, event);
        }
    }
    looked
}

/// Whether the operations of the breaking step are known.
fn is_seen(run: &Run, noticed: &Break) -> bool {
    run.graphs.iter().any(|graph| graph.step == noticed.step && graph.producer.is_some())
}

/// `between` are the first step that may have been the breaking one and the one in which it was noticed.
fn look(
    run: &mut Run,
    rank: u32,
    between: (u64, u64),
    rerunner: &mut Rerunner<'_>,
    notes: &mut Vec<String>,
) -> Looked {
    let (again, step) = match look_once(run, rank, between, rerunner) {
        Ok(looked) => looked,
        Err(reason) => {
            notes.push(format!("where it broke is not known more closely: {reason}"));
            return Looked { again: None, repeats: true };
        }
    };
    if let (Some(restart), Some(differs)) = (&rerunner.restart, first_difference(run, &again, step)) {
        let failed = again.notes.iter().find_map(|note| note.strip_prefix("the state was not put back: "));
        notes.push(match failed {
            Some(why) => format!("re-runs begin at the beginning, not with step {}: {why}", restart.step),
            None => format!(
                "re-runs begin at the beginning: with the state that was kept at step {} the training does not go on \
                 as it did (its loss differs at step {differs}); give denan.step all that a step changes",
                restart.step
            ),
        });
        let time = rerunner
            .scratch
            .time_to_break()
            .map_or(String::new(), |time| format!(" (about {} s)", time.as_secs().max(1)));
        rerunner.terminal.say(&format!("not the same training from there; from the beginning{time}"));
        rerunner.restart = None;
        return look(run, rank, between, rerunner, notes);
    }
    let differs = first_difference(run, &again, step);
    if differs.is_none() && again.first_break.is_none() {
        // Not even a close look finds anything: the machine, which a cause will say.
        return Looked { again: Some(again), repeats: true };
    }
    let Some(differs) = differs else {
        if !adopt(run, &again) {
            notes.push(
                "no operation made the bad value: it was written where none is seen, by another rank or by code outside \
                 of PyTorch"
                    .to_owned(),
            );
        }
        return Looked { again: Some(again), repeats: true };
    };
    notes.push(format!(
        "the training does not repeat itself (its losses differ from step {differs} on): what is told of the break is \
         that of a second run; seed every generator to have the first one explained"
    ));
    rerunner
        .terminal
        .say("it does not repeat itself; running it once more, looking at every operation of every step");
    let plan = Plan {
        look_from: Some(0),
        look_at_once: run.optimizer.is_none(),
        stop_at_step: None,
        ..rerunner.plan(0)
    };
    match rerunner.rerun_one(plan) {
        Ok(watched) => {
            let telling = watched.telling_rank();
            let other = watched.of_rank(telling).run;
            if is_broken_closely(&other) {
                // Another course of the training: its losses belong to its break.
                let first = std::mem::replace(run, other);
                (run.notes, run.acts) = (first.notes, first.acts);
            } else {
                notes.push("the second run did not break: where the first one did is not known".to_owned());
            }
        }
        Err(reason) => notes.push(format!("where it broke is not known more closely: {reason}")),
    }
    Looked { again: None, repeats: false }
}

/// The run once more with a close look at the steps that may have been the breaking one, and the last of these.
///
/// # Errors
/// It could not be run, or there is no time left.
fn look_once(
    run: &Run,
    rank: u32,
    between: (u64, u64),
    rerunner: &Rerunner<'_>,
) -> Result<(Run, u64), String> {
    let from = rerunner.restart.as_ref();
    let from = from.map_or(String::new(), |restart| format!(" from step {} on", restart.step));
    let (since, step) = narrow(between, rank, rerunner);
    rerunner.terminal.say(&format!("running it again{from} up to step {step}, to see each operation"));
    let plan = Plan {
        look_from: Some(since.saturating_sub(1)),
        look_at_once: run.optimizer.is_none(),
        ..rerunner.plan(step + 1)
    };
    Ok((rerunner.rerun_one(plan)?.of_rank(rank).run, step))
}

/// The first step that may have been the breaking one and the last, in fewer steps than are dear to look at: another run
/// goes through all gradients and values from there on.
fn narrow((since, noticed): (u64, u64), rank: u32, rerunner: &Rerunner<'_>) -> (u64, u64) {
    if noticed - since <= MOST_LOOKED_AT {
        return (since, noticed);
    }
    rerunner
        .terminal
        .say(&format!("it broke between step {since} and step {noticed}; running it again to find which"));
    let plan = Plan { check_from: Some(since), ..rerunner.plan(noticed + 1) };
    let found = rerunner.rerun_one(plan).ok().and_then(|watched| watched.of_rank(rank).run.first_break);
    match found {
        Some(found) if found.step <= noticed => (found.step, found.step),
        _ => (since, noticed),
    }
}

fn is_broken_closely(run: &Run) -> bool {
    run.first_break.as_ref().is_some_and(|found| is_seen(run, found))
}

/// Takes the break and the operations of a second run over, if it saw them, and the figures of all its steps, of which
/// the first run went through some.
fn adopt(run: &mut Run, again: &Run) -> bool {
    for step in &again.steps {
        if let Ok(at) = run.steps.binary_search_by_key(&step.step, |known| known.step) {
            let known = &mut run.steps[at];
            let cost = (known.operations, known.elapsed_us, known.watching_us);
            *known = step.clone();
            (known.operations, known.elapsed_us, known.watching_us) = cost;
        }
    }
    for parameter in &mut run.parameters {
        let of_again = again.parameters.iter().find(|other| other.slot == parameter.slot);
        // Where it skipped steps it did not see the first ones.
        let first = of_again
            .and_then(|other| other.first_update)
            .filter(|first| again.began_at == 0 || *first > again.began_at);
        parameter.first_update = first.or(parameter.first_update);
    }
    if !is_broken_closely(again) {
        return false;
    }
    let lost = run.first_break.as_ref().is_some_and(|noticed| noticed.parameters_are_bad);
    run.first_break = again.first_break.clone();
    if let Some(found) = &mut run.first_break {
        // The second run has no guard that keeps the bad step from the parameters.
        found.parameters_are_bad = lost || found.parameters_are_bad && run.acts.is_empty();
    }
    run.graphs = again.graphs.clone();
    run.data = again.data.clone();
    true
}

/// The first step up to the breaking one whose losses are not the same bit for bit.
fn first_difference(run: &Run, again: &Run, until: u64) -> Option<u64> {
    let of = |step: u64| {
        let at = again.steps.binary_search_by_key(&step, |other| other.step);
        at.ok().map(|at| &again.steps[at])
    };
    let last = again.first_break.as_ref().map_or(until, |found| found.step.min(until));
    let steps = run.steps.iter().filter(|step| (again.began_at..last).contains(&step.step));
    steps
        .filter(|step| of(step.step).is_none_or(|other| other.loss_bits != step.loss_bits))
        .map(|step| step.step)
        .next()
}
