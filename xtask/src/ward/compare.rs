//! Compares what denan found with what it must find.

use crate::ward::expected::{Case, Engine, Forecast, Place, SampleName};
use crate::ward::found::{self, Break, Document, Found, Replay};
use std::fs;

/// What is compared, in the order of the scoreboard's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The first cause.
    Cause,
    /// Step, phase, operation and line of the break.
    Place,
    /// The blamed samples.
    Samples,
    /// Whether a cure survived.
    Cure,
    /// Whether the script with the patch of the best one trains by itself.
    Patch,
    /// Whether the record alone breaks again at the same operation, to the last bit.
    Replay,
    /// Whether denan is silent on the healthy twin, and leaves its numbers alone.
    Twin,
}

impl Check {
    /// Those of trainings of an engine.
    pub fn of(engine: Engine) -> [Self; 6] {
        // A patched burn program would have to be built, a step of PyTorch is not carried out from its record.
        let own = match engine {
            Engine::Burn => Self::Replay,
            Engine::Torch => Self::Patch,
        };
        [Self::Cause, Self::Place, Self::Samples, Self::Cure, own, Self::Twin]
    }

    /// Share of the cases that has to pass: a wrong place or a word on a healthy run is worse than a cause that
    /// comes second.
    pub fn least_share(self) -> f64 {
        match self {
            Self::Cause | Self::Samples | Self::Cure | Self::Patch => 0.95,
            Self::Place | Self::Replay => 0.98,
            Self::Twin => 1.0,
        }
    }

    /// Head of the column.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cause => "cause",
            Self::Place => "place",
            Self::Samples => "samples",
            Self::Cure => "cure",
            Self::Patch => "patch",
            Self::Replay => "replay",
            Self::Twin => "twin",
        }
    }
}

/// What came of the checks of one case; a check without a mark does not apply.
#[derive(Default)]
pub struct Marks {
    marks: Vec<(Check, Result<(), String>)>,
    /// What proving cures took, as a multiple of the run up to the break.
    pub cost: Option<f64>,
}

impl Marks {
    /// Notes a check; `Err` says what was expected and what was found.
    pub fn set(&mut self, check: Check, mark: Result<(), String>) {
        self.marks.push((check, mark));
    }

    /// What came of a check.
    pub fn get(&self, check: Check) -> Option<&Result<(), String>> {
        self.marks.iter().find(|(made, _)| *made == check).map(|(_, mark)| mark)
    }
}

/// Checks the run of a sick training.
pub fn sick(case: &Case, found: &Found, cure: bool, marks: &mut Marks) {
    let Some(expected) = &case.sick else { return };
    if let Some(note) = &expected.note {
        marks.set(Check::Cause, self::note(note, found));
        return;
    }
    if let Some(forecast) = &expected.forecast {
        marks.set(Check::Cause, self::forecast(forecast, found));
        return;
    }
    let document = found.document.as_ref().filter(|document| document.outcome == "broke");
    let (Some(document), 1) = (document, found.exit_code) else {
        marks.set(Check::Cause, Err(format!("expected a break, {}", outcome(found))));
        for check in [Check::Place, Check::Samples, Check::Cure, Check::Patch] {
            marks.set(check, Err("see cause".to_owned()));
        }
        return;
    };
    marks.set(Check::Cause, cause(&case.cause, document));
    marks.set(Check::Place, place(case, &expected.place, document.first_break.as_ref(), found));
    if let Some(samples) = &expected.samples {
        marks.set(Check::Samples, self::samples(samples, document));
    }
    if let Some(cures) = expected.cure.as_ref().filter(|_| cure) {
        marks.set(Check::Cure, self::cure(cures, document));
        marks.cost = document.cure_cost.as_ref().and_then(|cost| cost.times_first_run);
    }
    // Without a survivor there is nothing to patch.
    let is_cured = document.cures.iter().any(|cure| cure.verdict == "survived");
    if let Some(patched) = found.patched.as_ref().filter(|_| cure && is_cured) {
        marks.set(Check::Patch, self::patched(patched, document));
    }
    // What does not break again cannot be on tape.
    if let Some(replayed) = found.replay.as_ref().filter(|_| !expected.again) {
        marks.set(Check::Replay, replay(replayed));
    }
}

fn replay(found: &Result<Replay, String>) -> Result<(), String> {
    match found {
        Ok(replay) if replay.verdict == "same-break" && replay.differing == 0 => Ok(()),
        Ok(replay) => Err(format!(
            "expected the same break, found `{}`, {} tensors with other figures",
            replay.verdict, replay.differing
        )),
        Err(said) => Err(format!("expected the same break, found no result: {said}")),
    }
}

/// Checks that a training which does not break gets a note.
fn note(expected: &str, found: &Found) -> Result<(), String> {
    let document = found.document.as_ref().filter(|document| document.outcome == "healthy");
    let notes = document.map(|document| document.notes.join("; ")).unwrap_or_default();
    if notes.contains(expected) {
        return Ok(());
    }
    Err(format!("expected a note with `{expected}`, {}, notes: {notes}", outcome(found)))
}

/// Checks that the overflow of a training that ends before it is seen coming.
fn forecast(expected: &Forecast, found: &Found) -> Result<(), String> {
    let document = found.document.as_ref().filter(|document| document.outcome == "healthy");
    let nearest = document.and_then(|document| document.forecasts.first());
    let [first, last] = expected.steps;
    let is_right = |nearest: &&found::Forecast| {
        (&nearest.op, &nearest.dtype) == (&expected.op, &expected.dtype)
            && (first..=last).contains(&nearest.step)
    };
    if nearest.is_some_and(|nearest| is_right(&nearest)) {
        return Ok(());
    }
    let nearest = nearest.map_or("no forecast".to_owned(), |nearest| {
        format!("{} in {} at step {}", nearest.op, nearest.dtype, nearest.step)
    });
    Err(format!(
        "expected an overflow of {} between {first} and {last}, {}, {nearest}",
        expected.op,
        outcome(found)
    ))
}

/// Checks the run of a healthy training: nothing must be said, and it must print what it prints without denan.
pub fn healthy(found: &Found, without: &str) -> Result<(), String> {
    let is_silent = found.document.as_ref().is_some_and(|document| {
        document.outcome == "healthy"
            && document.causes.is_empty()
            && document.first_break.is_none()
            && document.notes.is_empty()
            && document.forecasts.is_empty()
    });
    if is_silent && found.exit_code == 0 {
        same_numbers(&found.printed, without)
    } else {
        Err(format!("expected silence, {}", outcome(found)))
    }
}

/// Checks that a training computes what it computes without denan, as far as it prints it.
fn same_numbers(watched: &str, plain: &str) -> Result<(), String> {
    if watched == plain && !plain.is_empty() {
        return Ok(());
    }
    let mut pairs = watched.lines().zip(plain.lines());
    Err(match pairs.find(|(watched, plain)| watched != plain) {
        Some((watched, plain)) => format!("expected `{plain}` as without denan, found `{watched}`"),
        None => format!("expected {} bytes as without denan, found {}", plain.len(), watched.len()),
    })
}

/// How a run ended, in words.
fn outcome(found: &Found) -> String {
    match &found.document {
        Some(document) => {
            let place = document.first_break.as_ref().map(in_words);
            let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
            format!(
                "found `{}`{place}, causes: {}, exit code {}",
                document.outcome,
                causes(document),
                found.exit_code
            )
        }
        None => format!("found no result, exit code {}: {}", found.exit_code, found.said),
    }
}

fn cause(expected: &str, document: &Document) -> Result<(), String> {
    match document.causes.first() {
        Some(first) if first.rule == expected => Ok(()),
        _ => Err(format!("expected {expected}, found {}", causes(document))),
    }
}

fn causes(document: &Document) -> String {
    let causes: Vec<String> =
        document.causes.iter().map(|cause| format!("{} {:.2}", cause.rule, cause.confidence)).collect();
    if causes.is_empty() { "none".to_owned() } else { causes.join(", ") }
}

fn place(case: &Case, expected: &Place, found: Option<&Break>, run: &Found) -> Result<(), String> {
    let found = found.ok_or("expected a break, found none")?;
    let mut wrong = Vec::new();
    let mut compare = |what: &str, expected: Option<String>, found: String| {
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            wrong.push(format!("expected {what} {expected}, found {found}"));
        }
    };
    compare("step", expected.step.map(|step| step.to_string()), found.step.to_string());
    compare("phase", expected.phase.clone(), found.phase.clone());
    compare("op", expected.op.clone(), found.producer.op.clone());
    let parameter = found.producer.parameter.clone().unwrap_or_else(|| "none".to_owned());
    compare("parameter", expected.parameter.clone(), parameter);
    if let Some(text) = &expected.line_contains {
        let (line, place) = line(case, found, run);
        if !line.contains(text.as_str()) {
            wrong.push(format!("expected the line `{text}`, found {place} `{}`", line.trim()));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ")) }
}

/// The reported line, if it is one of the case's own source, and where it is.
fn line(case: &Case, found: &Break, run: &Found) -> (String, String) {
    let (Some(file), Some(number)) = (&found.producer.file, found.producer.line) else {
        return (String::new(), "no line".to_owned());
    };
    let place = format!("{}:{number}", file.display());
    if !run.root.join(file).ends_with(&case.source) {
        return (String::new(), place);
    }
    let source = fs::read_to_string(run.root.join(&case.source)).unwrap_or_default();
    (source.lines().nth(number.saturating_sub(1)).unwrap_or_default().to_owned(), place)
}

fn in_words(found: &Break) -> String {
    let producer = &found.producer;
    let place = match (&producer.file, producer.line) {
        (Some(file), Some(line)) => format!(" at {}:{line}", file.display()),
        _ => String::new(),
    };
    format!("step {}, {}, {}{place}", found.step, found.phase, producer.op)
}

fn samples(expected: &[SampleName], document: &Document) -> Result<(), String> {
    let mut found: Vec<String> = document
        .samples
        .iter()
        .map(|sample| match (&sample.name, sample.index) {
            (Some(name), _) => name.clone(),
            (None, Some(index)) => index.to_string(),
            (None, None) => "an unnamed one".to_owned(),
        })
        .collect();
    let mut expected: Vec<String> = expected.iter().map(ToString::to_string).collect();
    expected.sort();
    found.sort();
    if expected == found {
        return Ok(());
    }
    let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
    Err(format!("expected {}, found {found}", expected.join(", ")))
}

/// Checks that a patched script trains: it ends well, and all that it prints is finite.
fn patched(printed: &Result<Option<String>, String>, document: &Document) -> Result<(), String> {
    let is_bad = |word: &str| {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
        ["nan", "inf", "infinity"].contains(&word.as_str())
    };
    match printed {
        Ok(Some(text)) => match text.split_whitespace().find(|word| is_bad(word)) {
            None => Ok(()),
            Some(word) => Err(format!("expected that the patched script trains, it prints {word}")),
        },
        Ok(None) => {
            let best = document.cures.iter().find(|cure| cure.verdict == "survived");
            let reason = best.and_then(|best| best.reason.as_deref()).unwrap_or("no reason");
            Err(format!("expected a patch, found {reason}"))
        }
        Err(said) => Err(format!("expected that the patched script trains, {said}")),
    }
}

fn cure(expected: &[String], document: &Document) -> Result<(), String> {
    let survived =
        document.cures.iter().any(|cure| cure.verdict == "survived" && expected.contains(&cure.intervention));
    if survived {
        return Ok(());
    }
    let tried: Vec<String> = document
        .cures
        .iter()
        .map(|cure| match &cure.reason {
            Some(reason) => format!("{}: {} ({reason})", cure.intervention, cure.verdict),
            None => format!("{}: {}", cure.intervention, cure.verdict),
        })
        .collect();
    let tried = if tried.is_empty() { "none".to_owned() } else { tried.join(", ") };
    Err(format!("expected that {} survives, found {tried}", expected.join(" or ")))
}
