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
use std::path::{Path, PathBuf};
use std::time::Instant;

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
    let mut cured: Vec<&str> = Vec::new();
    for case in &cases {
        let expects_cure = case.sick.as_ref().is_some_and(|sick| sick.cure.is_some());
        let cure = match options.cure {
            Cures::All => true,
            Cures::OnePerCause => expects_cure && !cured.contains(&case.cause.as_str()),
            Cures::None => false,
        };
        if cure && expects_cure {
            cured.push(&case.cause);
        }
        let began = Instant::now();
        let marks = examine(&denan, case, cure)?;
        scoreboard.add(case, &marks, began.elapsed());
    }
    Ok(scoreboard.end())
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
