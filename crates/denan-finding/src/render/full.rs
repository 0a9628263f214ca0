//! For people: the verdict first, then where, which sample, why, what cures it, and what is next.

mod breaking;
mod cures;
mod replay;

use super::page::{Ink, Page, Text, text};
use super::{Style, words};
use crate::act::act_in_words;
use crate::finding::{BlamedSample, CureCost, Finding, Outcome, RunResult};
use crate::number::{counted, float, percent};
use denan_record::model::{Break, Deed, Rank};

/// What hangs below a heading starts in this column.
const INDENT: &str = "    ";
/// Samples that are named one by one.
const MOST_SAMPLES: usize = 8;
/// Acts of a guard that are told from the beginning, and as many from the end.
const MOST_ACTS: usize = 4;
/// Observations shown for the likeliest cause.
const MOST_EVIDENCE: usize = 6;

pub(super) fn render(result: &RunResult, style: &Style<'_>) -> String {
    let mut page = Page::new(style.color, style.width);
    if let Some(replayed) = &result.replay {
        replay::section(&mut page, replayed, style);
        if result.first_break.is_none() {
            page.blank();
            footer(&mut page, result);
            return page.finish();
        }
        page.blank();
    }
    match (result.outcome, &result.first_break) {
        (_, Some(broken)) => broke(&mut page, result, broken, style),
        (Outcome::Healthy, None) => return healthy(page, result, style),
        (Outcome::Broke, None) => {
            headline(&mut page, ERROR, "the training broke; the record does not say where");
        }
        (Outcome::NoTraining, None) => no_training(&mut page, result),
        (Outcome::ChildFailed, None) => child_failed(&mut page, result),
    }
    page.blank();
    footer(&mut page, result);
    page.finish()
}

const ERROR: (Ink, &str) = (Ink::Error, "error");
const WARNING: (Ink, &str) = (Ink::Warning, "warning");

fn headline(page: &mut Page, (ink, word): (Ink, &str), sentence: &str) {
    let line = Text::new().add(ink, word).add(Ink::Bold, ": ").add(Ink::Bold, sentence);
    page.hanging((Ink::Plain, ""), word.len() + 2, &line);
}

fn broke(page: &mut Page, result: &RunResult, broken: &Break, style: &Style<'_>) {
    headline(page, ERROR, &verdict(result, broken));
    breaking::place(page, broken, style);
    breaking::trail(page, broken, style);
    samples(page, &result.samples);
    acts(page, result);
    screened(page, result);
    causes(page, result);
    cures::table(page, &result.cures);
    cures::help(page, result);
}

/// What broke, when, and the likeliest cause, no surer than the rule is.
fn verdict(result: &RunResult, broken: &Break) -> String {
    let start = if broken.in_evaluation {
        format!("the evaluation before step\u{a0}{} broke", broken.step)
    } else {
        format!("the training broke at step\u{a0}{}", broken.step)
    };
    let start = match result.rank {
        Some(Rank { number, of }) => format!("{start} on rank\u{a0}{number} of\u{a0}{of}"),
        None => start,
    };
    let Some(cause) = result.causes.first() else {
        let operation = words::operation(&broken.producer);
        let kind = words::kind(broken.kind);
        return format!("{start}: {operation} made the first {kind}, for a reason denan does not know");
    };
    let summary = &cause.summary;
    if cause.confidence >= 0.9 || result.is_proven(cause) || cause.rule == "unknown" {
        format!("{start}: {summary}")
    } else if cause.confidence >= 0.5 {
        format!("{start}, probably because: {summary}")
    } else {
        format!("{start}, perhaps because: {summary}")
    }
}

fn samples(page: &mut Page, samples: &[BlamedSample]) {
    if samples.is_empty() {
        return;
    }
    page.blank();
    let heading = if samples.len() == 1 { "sample to blame:" } else { "samples to blame:" };
    page.heading(Ink::Bold, heading);
    for blamed in &samples[..samples.len().min(MOST_SAMPLES)] {
        let row = blamed.batch_row.map(|row| format!("row\u{a0}{row} of the batch"));
        let (name, facts) = match &blamed.sample {
            Some(sample) => {
                let index = sample.name.as_ref().map(|_| format!("index\u{a0}{}", sample.index));
                (words::sample_name(sample), index.into_iter().chain(row).collect::<Vec<_>>())
            }
            None => (text(Ink::Bold, row.as_deref().unwrap_or("a sample without a name")), vec![]),
        };
        let mut line = name;
        if !facts.is_empty() {
            line = line.add(Ink::Plain, &format!(" ({})", facts.join(", ")));
        }
        line = line.add(Ink::Plain, ": ").add(Ink::Plain, &blamed.why);
        page.hanging((Ink::Plain, INDENT), INDENT.len() + 4, &line);
    }
    if let Some(more) = samples.len().checked_sub(MOST_SAMPLES).filter(|more| *more > 0) {
        let more = format!("and {} that the record names", counted(more as u64, "other", "others"));
        page.paragraph((Ink::Plain, INDENT), &text(Ink::Plain, &more));
    }
}

/// What a guard did, and how far the training came with it.
fn acts(page: &mut Page, result: &RunResult) {
    let Some(last) = result.acts.last() else { return };
    page.blank();
    let end = match last.what {
        Deed::GaveUp => "it gave up in the end".to_owned(),
        _ => {
            let loss = result.last_loss.map(|loss| format!(", last loss {}", float(loss)));
            format!(
                "the training made {}{}",
                counted(result.steps, "step", "steps"),
                loss.unwrap_or_default()
            )
        }
    };
    let acts = counted(result.acts.len() as u64, "act", "acts");
    let line = Text::new().add(Ink::Bold, "guard: ").add(Ink::Plain, &format!("{acts}; {end}"));
    page.hanging((Ink::Plain, ""), INDENT.len(), &line);
    let left_out = result.acts.len().saturating_sub(2 * MOST_ACTS);
    for (at, act) in result.acts.iter().enumerate() {
        if left_out > 0 && at == MOST_ACTS {
            let others = format!("… {left_out} more, which the record names");
            page.paragraph((Ink::Plain, INDENT), &text(Ink::Faint, &others));
        }
        if left_out == 0 || !(MOST_ACTS..MOST_ACTS + left_out).contains(&at) {
            page.hanging((Ink::Plain, INDENT), INDENT.len() + 4, &text(Ink::Plain, &act_in_words(act)));
        }
    }
}

/// What came of going through the data set.
fn screened(page: &mut Page, result: &RunResult) {
    let Some(screened) = &result.screened else { return };
    let samples = counted(screened.samples, "sample", "samples");
    let found = match screened.bad.len() {
        0 => format!("none of {samples} has a loss that is not finite by itself"),
        bad => format!("the loss of {bad} of {samples} is not finite by itself:"),
    };
    let ink = if screened.bad.is_empty() { Ink::Plain } else { Ink::Error };
    let ended = screened
        .gave_up
        .as_ref()
        .map(|reason| format!("not all of the data set was gone through: {reason}; "));
    page.blank();
    let line =
        Text::new().add(ink, "screen: ").add(Ink::Plain, &ended.unwrap_or_default()).add(Ink::Plain, &found);
    page.hanging((Ink::Plain, ""), INDENT.len(), &line);
    for (sample, loss) in &screened.bad {
        let index =
            sample.name.as_ref().map(|_| format!(" (index\u{a0}{})", sample.index)).unwrap_or_default();
        let line = words::sample_name(sample).add(Ink::Plain, &format!("{index}: {}", float(*loss)));
        page.hanging((Ink::Plain, INDENT), INDENT.len() + 4, &line);
    }
    for group in &screened.together {
        let names: Vec<String> = group.iter().map(|sample| sample.index.to_string()).collect();
        let line = format!("only together: {}", names.join(", "));
        page.paragraph((Ink::Plain, INDENT), &text(Ink::Plain, &line));
    }
}

fn causes(page: &mut Page, result: &RunResult) {
    let Some((first, others)) = result.causes.split_first() else {
        return;
    };
    page.blank();
    let proven = if result.is_proven(first) { ", and proven by a re-run" } else { "" };
    let line = Text::new()
        .add(Ink::Bold, "cause: ")
        .add(Ink::Error, &first.rule)
        .add(Ink::Plain, &format!(" ({}{proven})", sureness(first)));
    page.hanging((Ink::Plain, ""), INDENT.len(), &line);
    for evidence in first.evidence.iter().take(MOST_EVIDENCE) {
        page.paragraph((Ink::Plain, "  - "), &text(Ink::Plain, evidence));
    }
    if others.is_empty() {
        return;
    }
    page.heading(Ink::Plain, "less likely:");
    for cause in others {
        let line = Text::new()
            .add(Ink::Plain, &format!("{} ({}): ", cause.rule, sureness(cause)))
            .add(Ink::Plain, &cause.summary);
        let line = line.shortened(page.width().saturating_sub(INDENT.len()));
        page.paragraph((Ink::Plain, INDENT), &line);
    }
}

fn sureness(cause: &Finding) -> String {
    format!("{}\u{a0}sure", percent(cause.confidence.clamp(0.0, 1.0)))
}

fn healthy(mut page: Page, result: &RunResult, style: &Style<'_>) -> String {
    let loss = result.last_loss.map(|loss| format!(", last loss {}", float(loss)));
    let sentence = format!(
        ": {}{}, nothing non-finite",
        counted(result.steps, "step", "steps"),
        loss.unwrap_or_default()
    );
    let line = Text::new().add(Ink::Good, "healthy").add(Ink::Plain, &sentence);
    page.hanging((Ink::Plain, ""), INDENT.len(), &line);
    let mut rest = watching(result).unwrap_or_default();
    for (word, path) in [("record", &result.record), ("report", &result.report)] {
        if let Some(path) = path {
            let comma = if rest.is_empty() { "" } else { ", " };
            rest = rest.add(Ink::Plain, &format!("{comma}{word} ")).add_whole(Ink::Plain, path);
        }
    }
    if !rest.is_empty() {
        page.paragraph((Ink::Plain, ""), &rest);
    }
    forecasts(&mut page, result, style);
    acts(&mut page, result);
    screened(&mut page, result);
    notes(&mut page, result);
    next(&mut page, result);
    page.finish()
}

fn no_training(page: &mut Page, result: &RunResult) {
    let sentence = match &result.engine {
        Some(engine) => {
            format!("no training was seen: {engine} was loaded, but no optimizer made a step")
        }
        None => "no training was seen: the command loaded no engine that denan can watch".to_owned(),
    };
    headline(page, WARNING, &sentence);
    if let Some(code) = result.child_exit_code {
        page.paragraph((Ink::Plain, INDENT), &text(Ink::Plain, &format!("it ended with exit code {code}")));
    }
    let way_out = match &result.engine {
        Some(_) => {
            "let it run to its first optimizer step; a command that only evaluates or exports a model \
                    has nothing to watch"
        }
        None => {
            "give the command that trains, with its own arguments: `denan run -- COMMAND ARGS…`; if it \
                 starts the training in a container or on another machine, call denan inside there"
        }
    };
    page.blank();
    page.paragraph((Ink::Help, "help: "), &text(Ink::Plain, way_out));
}

fn child_failed(page: &mut Page, result: &RunResult) {
    let how = match result.child_exit_code {
        Some(code @ 129..=192) => {
            format!("was ended by signal {} (exit code {code})", code - 128)
        }
        Some(code) => format!("failed by itself with exit code {code}"),
        None => "was ended from outside, without an exit code".to_owned(),
    };
    headline(page, ERROR, &format!("the training {how}"));
    let seen = match result.steps {
        0 => "it did so before its first optimizer step; denan saw nothing non-finite".to_owned(),
        steps => {
            let loss = result.last_loss.map(|loss| format!(", last loss {}", float(loss)));
            let steps = counted(steps, "step", "steps");
            format!("denan found nothing non-finite in its {steps}{}", loss.unwrap_or_default())
        }
    };
    page.paragraph((Ink::Plain, INDENT), &text(Ink::Plain, &seen));
    if result.child_exit_code == Some(137) {
        let hint = "signal 9 is how the system ends a process when memory runs out";
        page.paragraph((Ink::Plain, INDENT), &text(Ink::Plain, hint));
    }
    acts(page, result);
}

fn footer(page: &mut Page, result: &RunResult) {
    if let Some(watching) = watching(result) {
        page.paragraph((Ink::Plain, ""), &watching);
    }
    if let Some(cost) = &result.cost {
        page.paragraph((Ink::Plain, ""), &text(Ink::Plain, &proving(cost)));
    }
    for (word, path) in [("record: ", &result.record), ("report: ", &result.report)] {
        if let Some(path) = path {
            page.paragraph((Ink::Plain, word), &Text::new().add_whole(Ink::Plain, path));
        }
    }
    notes(page, result);
    next(page, result);
}

/// `proving cures took 41 s, 6 times the run up to the break`.
fn proving(cost: &CureCost) -> String {
    let times = cost.times_first_run.map(|times| {
        let times = if times < 10.0 { format!("{times:.1}") } else { format!("{times:.0}") };
        format!(", {times} times the run up to the break")
    });
    format!("proving cures took {:.0}\u{a0}s{}", cost.seconds, times.unwrap_or_default())
}

fn watching(result: &RunResult) -> Option<Text> {
    let overhead = result.overhead.as_ref()?;
    let watching = match overhead.level.as_str() {
        "operations" => "watching every operation".to_owned(),
        "sentinel" => "watching every step".to_owned(),
        other => format!("watching at level {other}"),
    };
    let sentence = format!("{watching} took {} of the time", percent(overhead.fraction));
    Some(text(Ink::Plain, &sentence))
}

fn forecasts(page: &mut Page, result: &RunResult, style: &Style<'_>) {
    if let Some((nearest, others)) = result.forecasts.split_first() {
        let line = words::forecast(nearest, others.len(), style.sources);
        page.hanging((Ink::Warning, "forecast: "), INDENT.len(), &line);
    }
}

fn notes(page: &mut Page, result: &RunResult) {
    for note in &result.notes {
        page.paragraph((Ink::Bold, "note: "), &text(Ink::Plain, note));
    }
}

fn next(page: &mut Page, result: &RunResult) {
    if let Some(next) = &result.next {
        let line =
            Text::new().add_whole(Ink::Bold, &next.command).add(Ink::Faint, &format!("  ({})", next.purpose));
        page.paragraph((Ink::Help, "next: "), &line);
    }
}
