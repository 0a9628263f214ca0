//! The training once more: as it is, with one intervention, or with a patch in one of its files.

use crate::annotations::AnnotationFiles;
use crate::launch::Launch;
use crate::scratch::Scratch;
use crate::session::Watched;
use crate::terminal::Terminal;
use denan_cure::experiments::{Rerun, may_begin_late};
use denan_diagnose::{Context, blamed_samples};
use denan_finding::BlamedSample;
use denan_record::model::Run;
use denan_record::plan::{Intervention, Plan, Restart};
use denan_record::tape::Tape;
use std::path::Path;
use std::time::Instant;

/// Runs the training again for the experiments.
pub struct Rerunner<'a> {
    /// How it is started.
    pub launch: &'a Launch,
    /// Where it runs.
    pub scratch: &'a Scratch,
    /// The process whose break is explained, of several that train together.
    pub rank: u32,
    /// Seed of the first run.
    pub seed: u64,
    /// The state that re-runs begin with; none if they begin at the beginning.
    pub restart: Option<Restart>,
    /// Annotations of the data set.
    pub annotations: &'a AnnotationFiles,
    /// When the time for re-runs is used up.
    pub deadline: Instant,
    /// Where progress is said.
    pub terminal: &'a Terminal,
    /// Re-runs at the same time.
    pub jobs: usize,
}

impl Rerunner<'_> {
    /// The training once more, without any change, up to the end of the breaking step, which is put on tape.
    pub fn again(&self, run: &Run) -> Result<(Run, Option<Box<Tape>>), String> {
        let last = run.first_break.as_ref().map_or(0, |first| first.step);
        self.terminal.say("running it again as it is");
        let plan = Plan { tape_step: Some(last), ..self.plan(last + 1) };
        let told = self.rerun_one(plan)?.of_rank(self.rank);
        Ok((told.run, told.tape))
    }

    /// A re-run of this many steps without any change.
    pub fn plan(&self, steps: u64) -> Plan {
        Plan {
            seed: self.seed,
            stop_after_break: true,
            stop_at_step: Some(steps),
            check_from: Some(0),
            restart: self.restart.clone(),
            ..Plan::default()
        }
    }

    /// One re-run, with its output hidden.
    ///
    /// # Errors
    /// It could not be started, or there is no time left.
    pub fn rerun_one(&self, plan: Plan) -> Result<Watched, String> {
        self.rerun_in(self.scratch, plan)
    }

    /// A re-run without any intervention of the program with another text of one of its files, which does the same as an
    /// intervention of this name.
    ///
    /// # Errors
    /// The file is none of those that a re-run can have changed; or as for [`rerun_one`](Self::rerun_one).
    pub fn patched(&self, file: &str, text: &str, intervention: &str, steps: u64) -> Result<Run, String> {
        let scratch = self.scratch.with_file(Path::new(file), text);
        let scratch =
            scratch.ok_or_else(|| format!("{file} is none of the files that a re-run has a copy of"))?;
        let restart = self.restart.clone().filter(|_| may_begin_late(intervention));
        Ok(self.rerun_in(&scratch, Plan { restart, ..self.plan(steps) })?.of_rank(self.rank).run)
    }

    fn rerun_in(&self, scratch: &Scratch, plan: Plan) -> Result<Watched, String> {
        const NO_TIME: &str = "the time for re-runs is used up; give more with --cure-budget SECONDS";
        if Instant::now() > self.deadline {
            return Err(NO_TIME.to_owned());
        }
        let began_at = plan.restart.as_ref().map_or(0, |restart| restart.step);
        let watched = scratch.watch(self.launch, plan, Some(self.deadline), self.terminal);
        let mut watched = watched.map_err(|error| error.to_string())?;
        for told in watched.ranks.values_mut() {
            told.run.began_at = began_at;
        }
        if watched.status.is_some() { Ok(watched) } else { Err(NO_TIME.to_owned()) }
    }
}

impl Rerun for Rerunner<'_> {
    fn rerun(&mut self, interventions: &[Intervention], steps: u64) -> Vec<Result<Run, String>> {
        let this = &*self;
        std::thread::scope(|scope| {
            let running: Vec<_> = interventions
                .iter()
                .map(|intervention| {
                    let restart = this.restart.clone().filter(|_| may_begin_late(intervention.id()));
                    let plan = Plan { intervention: Some(intervention.clone()), restart, ..this.plan(steps) };
                    scope.spawn(move || this.rerun_one(plan).map(|watched| watched.of_rank(this.rank).run))
                })
                .collect();
            let joined = running.into_iter().map(|run| run.join());
            joined
                .map(|run| run.unwrap_or_else(|_| Err("denan itself failed in the re-run".to_owned())))
                .collect()
        })
    }

    fn jobs(&self) -> usize {
        self.jobs
    }

    fn begins_at(&self, intervention: &str) -> u64 {
        self.restart.as_ref().filter(|_| may_begin_late(intervention)).map_or(0, |restart| restart.step)
    }

    fn blamed(&self, run: &Run) -> Vec<BlamedSample> {
        blamed_samples(run, &Context { annotations: self.annotations, again: None })
    }

    fn progress(&mut self, what: &str) {
        self.terminal.say(&format!("trying: {what}"));
    }
}
