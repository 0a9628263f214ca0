//! `cargo xtask ward`: how good denan is, measured on trainings whose cause is known.

mod compare;
mod expected;
mod found;
#[path = "../../../ward/page.rs"]
mod page;
mod scoreboard;

use compare::{Check, Marks};
use expected::{Case, Engine};
use found::{Denan, Variant};
use scoreboard::Scoreboard;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread::available_parallelism;
use std::time::Instant;

/// Cases that are examined at the same time, each with up to a gigabyte of PyTorch.
const MOST_AT_A_TIME: usize = 4;

/// What was asked for on the command line.
pub struct Options {
    /// `CAUSE` or `CAUSE/CASE`; all cases if empty.
    only: Vec<String>,
    cure: Cures,
    /// Folder for the records and results of the sick trainings.
    keep: Option<PathBuf>,
    engine: Engine,
    /// Only the first case of each cause.
    one_case: bool,
}

/// Of which cases cures are tried as well.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cures {
    All,
    /// The first of each cause that expects one.
    OnePerCause,
    None,
}

impl Options {
    /// `None` when help was asked for.
    pub fn parse(arguments: &[String]) -> Result<Option<Self>, String> {
        let mut options =
            Self { only: Vec::new(), cure: Cures::All, keep: None, engine: Engine::Burn, one_case: false };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "-h" | "--help" => return Ok(None),
                "--only" => options.only.push(value()?.trim_end_matches('/').to_owned()),
                "--cure" => options.cure = Cures::All,
                "--one-cure" => options.cure = Cures::OnePerCause,
                "--no-cure" => options.cure = Cures::None,
                "--one-case" => options.one_case = true,
                "--keep" => options.keep = Some(PathBuf::from(value()?)),
                "--engine" => match value()?.as_str() {
                    "burn" => options.engine = Engine::Burn,
                    "torch" => options.engine = Engine::Torch,
                    other => {
                        return Err(format!(
                            "there are no trainings for the engine `{other}`; there are burn and torch"
                        ));
                    }
                },
                other => return Err(format!("unknown option `{other}`; see `cargo xtask --help`")),
            }
        }
        Ok(Some(options))
    }

    /// Of which of the cases cures are tried as well.
    fn cures(&self, cases: &[Case]) -> Vec<bool> {
        let mut cured: BTreeSet<&str> = BTreeSet::new();
        let are_tried = cases.iter().map(|case| match self.cure {
            Cures::All => true,
            Cures::OnePerCause => case.expects_cure() && cured.insert(&case.cause),
            Cures::None => false,
        });
        are_tried.collect()
    }

    fn selects(&self, case: &Case) -> bool {
        let is_meant =
            self.only.is_empty() || self.only.iter().any(|only| *only == case.cause || *only == case.path());
        case.engine() == self.engine && is_meant
    }
}

/// Runs the selected cases; whether all was found as it must be.
pub fn run(options: &Options) -> Result<bool, String> {
    let root = workspace_root();
    let mut cases = expected::read_all(&root)?;
    cases.retain(|case| options.selects(case));
    if options.one_case {
        cases.dedup_by(|later, earlier| later.cause == earlier.cause);
    }
    if cases.is_empty() {
        return Err(format!("no case is called {}", options.only.join(" or ")));
    }
    let denan = Denan::build(&root, options.engine, options.keep.clone())?;
    let mut scoreboard = Scoreboard::begin(options.engine);
    let cures = options.cures(&cases);
    at_a_time(
        available_parallelism().map_or(1, NonZero::get).min(MOST_AT_A_TIME),
        cases.len(),
        |at| {
            let began = Instant::now();
            (examine(&denan, &cases[at], cures[at]), began.elapsed())
        },
        |at, (marks, took)| {
            scoreboard.add(&cases[at], &marks?, took);
            Ok(())
        },
    )?;
    Ok(scoreboard.end())
}

/// Does `count` pieces of work, up to `jobs` at the same time, and hands on what came of them in their order as soon as
/// that can be. The first error ends it.
fn at_a_time<T: Send>(
    jobs: usize,
    count: usize,
    work: impl Fn(usize) -> T + Sync,
    mut done: impl FnMut(usize, T) -> Result<(), String>,
) -> Result<(), String> {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = channel();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    // Nobody listens any more after an error.
                    if at >= count || sender.send((at, work(at))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut early: BTreeMap<usize, T> = BTreeMap::new();
        let mut expected = 0;
        for (at, what) in receiver {
            early.insert(at, what);
            while let Some(what) = early.remove(&expected) {
                done(expected, what)?;
                expected += 1;
            }
        }
        Ok(())
    })
}

fn examine(denan: &Denan, case: &Case, cure: bool) -> Result<Marks, String> {
    let mut marks = Marks::default();
    if let Some(sick) = &case.sick {
        compare::sick(case, &denan.run(case, Variant::Sick, cure || sick.again)?, cure, &mut marks);
    }
    let healthy = denan.run(case, Variant::Healthy, false)?;
    marks.set(Check::Twin, compare::healthy(&healthy, &denan.printed_without(case)?));
    Ok(marks)
}

fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map_or_else(PathBuf::new, Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_at_the_same_time_is_handed_on_in_order_and_ends_with_the_first_error() {
        let mut seen = Vec::new();
        let late = |at: usize| {
            std::thread::sleep(std::time::Duration::from_millis(if at == 0 { 50 } else { 0 }));
            at
        };
        let all = at_a_time(3, 7, late, |at, what| {
            seen.push((at, what));
            if what == 4 { Err("the fifth".to_owned()) } else { Ok(()) }
        });
        assert_eq!(all, Err("the fifth".to_owned()));
        assert_eq!(seen, [0, 1, 2, 3, 4].map(|at| (at, at)));
    }
}
