//! `denan run`: watches a training, explains its break, proves cures.

use crate::annotations::AnnotationFiles;
use crate::args::{Common, CureChoice, RunArguments};
use crate::cargo;
use crate::collected::Collected;
use crate::commands::rerun::Rerunner;
use crate::commands::{cures, look, screen};
use crate::error::Error;
use crate::host::Host;
use crate::launch::Launch;
use crate::python;
use crate::records::Records;
use crate::result;
use crate::scratch::Scratch;
use crate::session::{self, Output};
use crate::sources::SourceFiles;
use crate::states::States;
use crate::terminal::Terminal;
use denan_finding::{NextCommand, Outcome, RunResult, act_in_words};
use denan_record::event::Event;
use denan_record::plan::Plan;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Acts of a guard that are said as they happen.
const MOST_ACTS_SAID: u32 = 20;

/// Runs, watches, explains, cures.
pub fn run(arguments: &RunArguments, common: &Common, host: &Host, terminal: &Terminal) -> Result<u8, Error> {
    let typed = Launch::typed(&arguments.command)?;
    // Before hours of training, not after them.
    if let Some(path) = &arguments.patch {
        cures::check_patch(path)?;
    }
    let seed = common.seed.unwrap_or_else(random_seed);
    if arguments.guard && typed.is("cargo") {
        // Before it is built.
        return Err(no_guard());
    }
    let burn = cargo::watched(&typed, host, &|text| terminal.say(text))?;
    let can_screen = burn.is_none();
    let launch = match burn {
        Some(launch) => launch,
        None => python::watched(typed, host, seed)?,
    };
    if arguments.guard && !can_screen {
        return Err(no_guard());
    }
    let mut notes = Vec::new();
    let scratch = Scratch::of(&launch, can_screen);
    let screened = match arguments.screen {
        true if can_screen => Some(screen::whole(&launch, seed, &scratch, terminal)?),
        true => {
            // The program would train to its end, twice.
            notes.push("the data set was not gone through: --screen is for PyTorch trainings".to_owned());
            None
        }
        false => None,
    };
    let record = record_path(arguments.record.as_deref());
    let mut records = match Records::create(record) {
        Ok(records) => Some(records),
        // An explicit path that cannot be used is a mistake of the caller; a folder that cannot be
        // written must not keep a training from running.
        Err(error) if arguments.record.is_some() => return Err(error.into()),
        Err(error) => {
            notes.push(format!("nothing was recorded: {error}"));
            None
        }
    };
    // A guard goes back to states of its own, by which the training is another one.
    let states = match can_screen && !arguments.guard && arguments.state_every > 0.0 {
        true => States::every(arguments.state_every).ok(),
        false => None,
    };
    let plan = Plan {
        seed,
        stop_after_break: !arguments.keep_going,
        guard: arguments.guard,
        keep_states: states.as_ref().map(States::plan),
        ..Plan::default()
    };
    let mut warned = false;
    let mut acts = 0;
    let mut noticed = false;
    let mut on_event = |event: &Event| match event {
        // Of several ranks, and of an evaluation and the training, the first is said.
        Event::Break(found) | Event::Noticed { found, .. } if !std::mem::replace(&mut noticed, true) => {
            // The guard says what it did about it.
            if arguments.guard && !found.in_evaluation {
                return;
            }
            let what = if found.in_evaluation { "an evaluation" } else { "the training" };
            terminal.say(&format!("{what} went wrong by step {}; looking into it", found.step));
        }
        Event::Forecast(forecast) if !std::mem::replace(&mut warned, true) => terminal.say(&format!(
            "step {}: {} grows and will overflow {} near step {} at this rate",
            forecast.at, forecast.op, forecast.dtype, forecast.step
        )),
        Event::Acted(act) => {
            acts += 1;
            match acts {
                ..=MOST_ACTS_SAID => terminal.say(&format!("guard: {}", act_in_words(act))),
                more if more == MOST_ACTS_SAID + 1 => {
                    terminal.say("guard: it acts on; the record names each act")
                }
                _ => {}
            }
        }
        _ => {}
    };
    let watched = session::watch(&launch, plan, Output::Shown, None, records.as_mut(), |event| {
        scratch.hear(event);
        on_event(event);
    });
    let is_empty = |told: &Collected| told.run.steps.is_empty() && told.run.first_break.is_none();
    if watched.as_ref().map_or(true, |watched| watched.ranks.values().all(is_empty))
        && let Some(records) = records.take()
    {
        records.discard();
    }
    let watched = watched?;
    let (rank, status) = (watched.telling_rank(), watched.status);
    let mut told = watched.of_rank(rank);
    let annotations = AnnotationFiles::of_command(&launch.arguments, launch.folder.as_deref());
    let noticed = told.run.first_break.as_ref().map(|found| told.noticed_since.unwrap_or(found.step));
    let restart = noticed.and_then(|step| states.as_ref()?.before(step));
    if noticed.is_some()
        && let Some(why) = states.as_ref().and_then(States::given_up)
    {
        notes.push(format!("re-runs begin at the beginning, since no states were kept: {why}"));
    }
    let mut rerunner = Rerunner {
        launch: &launch,
        scratch: &scratch,
        rank,
        seed,
        restart,
        annotations: &annotations,
        deadline: Instant::now() + Duration::from_secs(arguments.cure_budget),
        terminal,
        jobs: common.jobs.unwrap_or(1).into(),
    };
    let looked = look::closely(&mut told, rank, &mut rerunner, records.as_mut(), &mut notes);
    let run = &told.run;
    let record = records.as_ref().and_then(|records| records.path_of(rank));
    if let Some(error) = records.and_then(Records::finish) {
        notes.push(format!("the record is incomplete: {error}"));
    }

    let status = status.filter(|_| run.ending.is_none_or(|_| run.first_break.is_none()));
    let mut result = result::of_run(run, &annotations, looked.again.as_ref(), status);
    result.notes.extend(notes);
    result.screened = screened;
    screen::halve(&mut result, run, rank, &rerunner);
    result.record = record.map(|path| path.display().to_string());
    if result.outcome == Outcome::NoTraining {
        result.notes.push(no_training(&launch));
    }
    let sources = SourceFiles::of(&launch.source);
    if result.outcome == Outcome::Broke && arguments.cure != CureChoice::Off {
        if !run.is_of_torch() {
            cures::run_again(&mut result, run, &rerunner);
        }
        if looked.repeats {
            cures::prove(&mut result, run, &arguments.cure, &mut rerunner, &sources);
        } else {
            result.notes.push("cures are not tried: no re-run would be the same training".to_owned());
        }
    }
    result.next = next_command(&result);
    if let Some(path) = &arguments.patch {
        cures::write_patch(&mut result, path, &sources);
    }
    result::show(&result, common, terminal, &sources)
}

fn no_guard() -> Error {
    Error::NotSupported {
        what: "--guard is for PyTorch trainings".to_owned(),
        help: "a burn program guards itself: call denan_burn::remedies::Guard in the place of optimizer.step"
            .to_owned(),
    }
}

fn next_command(result: &RunResult) -> Option<NextCommand> {
    let cause = result.causes.first()?;
    Some(NextCommand {
        command: format!("denan explain {}", cause.rule),
        purpose: "what this cause is, how it is recognised and cured".to_owned(),
    })
}

fn no_training(launch: &Launch) -> String {
    if launch.source.is_watched {
        "the program ran no optimizer step".to_owned()
    } else {
        "nothing of a training was seen: denan watches burn programs (denan run -- cargo run --release) and PyTorch \
         scripts (denan run train.py)"
            .to_owned()
    }
}

fn record_path(asked: Option<&Path>) -> PathBuf {
    asked.map_or_else(
        || {
            let time = time_name();
            (0..)
                .map(|number| {
                    PathBuf::from(if number == 0 {
                        format!("denan-{time}.db")
                    } else {
                        format!("denan-{time}-{number}.db")
                    })
                })
                .find(|path| !path.exists())
                .unwrap_or_default()
        },
        Path::to_owned,
    )
}

/// Seconds since the epoch as a date, `20261123-121005` in UTC, after Howard Hinnant's `civil_from_days`.
fn time_name() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}-{:02}{:02}{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

fn random_seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(SystemTime::now())
}
