//! What to try for a diagnosis, in which order, and how far to search.

mod number;
mod offers;
mod words;

use crate::verdict::{self, Judgement, judge};
use denan_diagnose::facts;
use denan_finding::{BlamedSample, Cure, Finding, Verdict};
use denan_record::model::{Run, Sample};
use denan_record::plan::{BatchNormFreeze, Intervention};
use serde_json::Map;

/// Samples are dropped one discovery after another; data with more bad samples than this wants `denan scan`.
const MOST_DROPS: usize = 8;
/// Causes that work slowly: a re-run that is only past the break may have put it off.
const DRIFTS: [&str; 1] = ["weight-growth"];

/// Runs the training again.
pub trait Rerun {
    /// Runs it once for each of the interventions, all at the same time, each until it breaks or has made
    /// `steps` steps.
    ///
    /// # Errors
    /// It could not be run, or there is no time left; the text fits after "not run: ".
    fn rerun(&mut self, interventions: &[Intervention], steps: u64) -> Vec<Result<Run, String>>;

    /// How many re-runs may go on at the same time.
    fn jobs(&self) -> usize;

    /// The step that a re-run with an intervention of this name begins with: another than 0 where a state was kept.
    fn begins_at(&self, intervention: &str) -> u64;

    /// Who is to blame for a re-run's break, when it is followed back to samples.
    fn blamed(&self, run: &Run) -> Vec<BlamedSample>;

    /// Says what is being tried.
    fn progress(&mut self, what: &str);
}

/// An experiment with the intervention that it ended with.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// What was changed; `None` if nothing could be tried.
    pub intervention: Option<Intervention>,
    /// The samples that were left out, with the names they were found to have.
    pub dropped: Vec<Sample>,
    /// What came out, without a patch.
    pub cure: Cure,
}

/// Puts the causes into the order that the experiments prove: when everything the first cause names was tried and
/// nothing survived, and something that another one names did, that one comes first, and both say why.
pub fn follow(causes: &mut Vec<Finding>, experiments: &[Experiment]) {
    let of = |cause: &Finding, verdict: fn(Verdict) -> bool| {
        experiments.iter().find(|experiment| {
            cause.interventions.contains(&experiment.cure.intervention) && verdict(experiment.cure.verdict)
        })
    };
    let survives = |verdict| verdict == Verdict::Survived;
    let fails = |verdict| matches!(verdict, Verdict::Broke | Verdict::Unstable);
    let Some(first) = causes.first() else { return };
    let (None, Some(failed)) = (of(first, survives), of(first, fails)) else { return };
    let Some((at, cure)) = causes
        .iter()
        .enumerate()
        .skip(1)
        .find_map(|(at, cause)| Some((at, of(cause, survives)?.cure.change.clone())))
    else {
        return;
    };
    let failure = failed.cure.change.clone();
    let (sure, unsure) = (causes[0].confidence, causes[at].confidence);
    causes[0]
        .evidence
        .push(format!("an experiment speaks against it: with \"{failure}\" alone it still goes wrong"));
    causes[0].confidence = unsure.min(sure);
    let mut proven = causes.remove(at);
    proven.confidence = sure.max(unsure);
    proven.evidence.push(format!("an experiment speaks for it: it survives with \"{cure}\" alone"));
    causes.insert(0, proven);
}

/// Tries every intervention that the causes name (or only those in `only`), best first.
pub fn experiment(
    recorded: &Run,
    causes: &[Finding],
    blamed: &[BlamedSample],
    only: Option<&[String]>,
    rerun: &mut dyn Rerun,
) -> Vec<Experiment> {
    let mut found: Vec<Experiment> = Vec::new();
    // What the user asks for is tried even if no cause names it.
    let asked = only.into_iter().flatten().map(|id| (causes.first(), id));
    let named = causes.iter().flat_map(|cause| cause.interventions.iter().map(move |id| (Some(cause), id)));
    for (cause, id) in named.chain(asked) {
        let tried = found.iter().any(|experiment| experiment.cure.intervention == *id);
        let wanted = only.is_none_or(|only| only.contains(id));
        if let Some(cause) = cause.filter(|_| !tried && wanted) {
            found.push(one(recorded, &cause.rule, id, blamed, rerun));
        }
    }
    found.sort_by_key(|experiment| rank(experiment.cure.verdict));
    found
}

/// Survivors first; among equals the order of the causes stays.
fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Survived => 0,
        Verdict::Unstable => 1,
        Verdict::Broke => 2,
        Verdict::NotReproduced => 3,
        Verdict::NotRun => 4,
    }
}

fn one(recorded: &Run, rule: &str, id: &str, blamed: &[BlamedSample], rerun: &mut dyn Rerun) -> Experiment {
    let mut dropped = Vec::new();
    let planned = steps_to_outlive(recorded, rule, rerun.begins_at(id));
    let attempt = match id {
        "drop-samples" => drop_samples(recorded, blamed, rerun, planned, &mut dropped),
        id => offers::offer(recorded, rule, id).and_then(|offer| try_all(recorded, rerun, planned, offer)),
    };
    Experiment::of(recorded, rule, id, attempt, dropped)
}

/// The mildest that survives of what is stronger than a change that survived its experiment and was found too weak in a
/// longer run.
pub fn stronger(recorded: &Run, too_weak: &Experiment, rerun: &mut dyn Rerun) -> Option<Experiment> {
    let Cure { rule, intervention: id, .. } = &too_weak.cure;
    let weak = too_weak.intervention.as_ref()?;
    let mut offer = offers::offer(recorded, rule, id).ok()?;
    let at = offer.iter().position(|group| group.contains(weak))?;
    offer.drain(..at);
    let within = offer[0].iter().position(|candidate| candidate == weak)?;
    offer[0].drain(..=within);
    offer.retain(|group| !group.is_empty());
    let planned = steps_to_outlive(recorded, rule, rerun.begins_at(id));
    let attempt = try_all(recorded, rerun, planned, offer);
    let found = Experiment::of(recorded, rule, id, attempt, Vec::new());
    (found.cure.verdict == Verdict::Survived).then_some(found)
}

impl Experiment {
    fn of(recorded: &Run, rule: &str, id: &str, attempt: Attempt, dropped: Vec<Sample>) -> Self {
        let unchanged = Cure {
            rule: rule.to_owned(),
            intervention: id.to_owned(),
            args: Map::new(),
            change: id.replace('-', " "),
            verdict: Verdict::NotRun,
            reason: None,
            steps: 0,
            loss_start: None,
            loss_end: None,
            patch: None,
        };
        match attempt {
            Ok((intervention, judgement)) => Self {
                cure: Cure {
                    args: words::arguments(&intervention, recorded, &dropped),
                    change: words::in_words(&intervention, recorded, &dropped),
                    verdict: judgement.verdict,
                    reason: judgement.reason,
                    steps: judgement.steps,
                    loss_start: judgement.loss_start,
                    loss_end: judgement.loss_end,
                    ..unchanged
                },
                intervention: Some(intervention),
                dropped,
            },
            Err(reason) => {
                Self { intervention: None, dropped, cure: Cure { reason: Some(reason), ..unchanged } }
            }
        }
    }
}

type Attempt = Result<(Intervention, Judgement), String>;

fn run_one(
    recorded: &Run,
    rerun: &mut dyn Rerun,
    planned: u64,
    intervention: Intervention,
) -> Result<(Intervention, Judgement, Run), String> {
    run_all(recorded, rerun, planned, vec![intervention])
        .pop()
        .unwrap_or_else(|| Err("nothing came back from the re-run".to_owned()))
}

/// Runs several at once and judges each, in their order.
fn run_all(
    recorded: &Run,
    rerun: &mut dyn Rerun,
    planned: u64,
    interventions: Vec<Intervention>,
) -> Vec<Result<(Intervention, Judgement, Run), String>> {
    for intervention in &interventions {
        // Samples are announced by name where they are dropped.
        if !matches!(intervention, Intervention::DropSamples { .. }) {
            rerun.progress(&words::in_words(intervention, recorded, &[]));
        }
    }
    let runs = rerun.rerun(&interventions, planned);
    let judged = interventions.into_iter().zip(runs).map(|(intervention, again)| {
        let again = again?;
        if let Some(reason) = is_no_experiment(recorded, &again) {
            return Err(reason);
        }
        let judgement = judge(recorded, &again, matters_from(&intervention, recorded, &again), planned);
        Ok((intervention, judgement, again))
    });
    judged.collect()
}

/// Why a re-run has proven nothing: what was to be different in it was not.
fn is_no_experiment(recorded: &Run, again: &Run) -> Option<String> {
    const FAILED: &str = "the change failed: ";
    let failed = again.notes.iter().find_map(|note| note.strip_prefix(FAILED));
    match failed {
        Some(reason) => Some(format!("denan's own change failed: {reason}")),
        None if recorded.is_of_torch() && again.intervened_at.is_none() => {
            Some("nothing was found in the re-run that it could change".to_owned())
        }
        None => None,
    }
}

/// The first step whose loss an intervention may change: before it, the re-run has to repeat the record bit by bit.
fn matters_from(intervention: &Intervention, recorded: &Run, again: &Run) -> u64 {
    let break_step = break_step(recorded);
    match intervention {
        // The batches that are still on the record tell when a sample first came up. One that came up
        // before those was no harm then.
        Intervention::DropSamples { rows: Some(_), .. } => again.intervened_at.unwrap_or(break_step),
        Intervention::DropSamples { indices, .. } => recorded
            .batches
            .iter()
            .filter(|batch| batch.samples.iter().any(|sample| indices.contains(&sample.index)))
            .map(|batch| batch.step)
            .min()
            .map_or(break_step, |first| first.min(break_step)),
        Intervention::SafeOp { .. } => again.intervened_at.unwrap_or(break_step),
        // They change what the forward pass of that step reads or makes.
        Intervention::ClampInputs { .. }
        | Intervention::NormalizeInputs { .. }
        | Intervention::ReplaceAnchors { .. }
        | Intervention::Float32 { .. }
        | Intervention::Reinitialize { .. }
        | Intervention::InsertNorm { .. }
        | Intervention::SmallerBatch { .. } => again.intervened_at.unwrap_or(0),
        // With other statistics the forward pass changes, with held weights only the next one.
        Intervention::FreezeBatchNorm { how, .. } => {
            let later = u64::from(*how == BatchNormFreeze::Affine);
            again.intervened_at.map_or(break_step, |first| first + later)
        }
        // These change updates, and an update changes the next step's loss.
        Intervention::LowerLearningRate { .. }
        | Intervention::ClipGradients { .. }
        | Intervention::RaiseEpsilon { .. }
        | Intervention::ScaleLoss { .. }
        | Intervention::MeanLoss { .. }
        | Intervention::ZeroGrad
        | Intervention::ConstantLearningRate { .. }
        | Intervention::WarmUp { .. }
        | Intervention::ChangeOptimizer { .. }
        | Intervention::WeightDecay { .. }
        | Intervention::FreezeReleased { .. }
        | Intervention::LowerReleasedRate { .. } => again.intervened_at.map_or(break_step, |first| first + 1),
    }
}

/// Drops the blamed samples; when another one breaks the re-run in the same way, drops it as well.
fn drop_samples(
    recorded: &Run,
    blamed: &[BlamedSample],
    rerun: &mut dyn Rerun,
    planned: u64,
    dropped: &mut Vec<Sample>,
) -> Attempt {
    add_samples(dropped, blamed);
    if dropped.is_empty() {
        return Err(format!("the samples of the batch are not known; {}", batches_from(recorded)));
    }
    for _ in 0..MOST_DROPS {
        let indices = dropped.iter().map(|sample| sample.index).collect();
        // A loader is asked for others; without one the program takes rows of its own.
        let rows = if recorded.batches.is_empty() { facts::rows_in_memory(recorded) } else { None };
        let intervention = Intervention::DropSamples { indices, rows };
        rerun.progress(&words::in_words(&intervention, recorded, dropped));
        let (intervention, judgement, again) = run_one(recorded, rerun, planned, intervention)?;
        let found_more = add_samples(dropped, &rerun.blamed(&again));
        if judgement.verdict != Verdict::Broke || !found_more {
            return Ok((intervention, judgement));
        }
    }
    Err(format!("more than {MOST_DROPS} bad samples came up one after another; clean the data first"))
}

/// What makes an engine tell of its batches.
fn batches_from(recorded: &Run) -> &'static str {
    if recorded.is_of_torch() {
        "take the batches from a torch.utils.data.DataLoader"
    } else {
        "wrap the data set with denan_burn::data::watched(dataset, name) and the batcher with \
         WatchedBatcher::new(batcher)"
    }
}

/// Adds the samples that are not among them yet; tells whether there were any.
fn add_samples(samples: &mut Vec<Sample>, blamed: &[BlamedSample]) -> bool {
    let before = samples.len();
    for sample in blamed.iter().filter_map(|blamed| blamed.sample.as_ref()) {
        if samples.iter().all(|known| known.index != sample.index) {
            samples.push(sample.clone());
        }
    }
    samples.len() > before
}

/// The groups in turn, until one holds a survivor; the first verdict of all if none does.
fn try_all(recorded: &Run, rerun: &mut dyn Rerun, planned: u64, groups: Vec<Vec<Intervention>>) -> Attempt {
    let mut first: Option<(Intervention, Judgement)> = None;
    for group in groups {
        let (intervention, judgement) = match search(recorded, rerun, planned, group) {
            Ok(found) => found,
            // Out of time: what has been found so far counts.
            Err(reason) => return first.ok_or(reason),
        };
        match judgement.verdict {
            Verdict::Survived | Verdict::NotReproduced | Verdict::NotRun => {
                return Ok((intervention, judgement));
            }
            Verdict::Unstable | Verdict::Broke => first = first.or(Some((intervention, judgement))),
        }
    }
    first.ok_or_else(|| "nothing to try".to_owned())
}

/// The first of a list, mildest first, that survives.
///
/// Narrowed down like a bisection, with as many probes at once as there are jobs: what is stronger
/// than a survivor survives too, what is milder than a break breaks too.
fn search(recorded: &Run, rerun: &mut dyn Rerun, planned: u64, candidates: Vec<Intervention>) -> Attempt {
    let mut best: Option<(Intervention, Judgement)> = None;
    let mut other: Option<(Intervention, Judgement)> = None;
    let (mut low, mut high) = (0, candidates.len());
    while low < high {
        let probes = probes(low, high, rerun.jobs());
        let tried =
            run_all(recorded, rerun, planned, probes.iter().map(|&at| candidates[at].clone()).collect());
        for (at, tried) in probes.into_iter().zip(tried) {
            if !(low..high).contains(&at) {
                continue;
            }
            let (intervention, judgement) = match tried {
                Ok((intervention, judgement, _)) => (intervention, judgement),
                // Out of time: what has been found so far counts.
                Err(reason) => return best.or(other).ok_or(reason),
            };
            match judgement.verdict {
                Verdict::Survived => {
                    best = Some((intervention, judgement));
                    high = at;
                }
                Verdict::NotReproduced | Verdict::NotRun => return Ok((intervention, judgement)),
                Verdict::Unstable if judgement.stands_still() => {
                    other = Some((intervention, judgement));
                    high = at;
                }
                Verdict::Unstable | Verdict::Broke => {
                    other = other.or(Some((intervention, judgement)));
                    low = at + 1;
                }
            }
        }
    }
    best.or(other).ok_or_else(|| "nothing to try".to_owned())
}

/// Where to probe a range: at its middle, or at several places that part it evenly.
fn probes(low: usize, high: usize, jobs: usize) -> Vec<usize> {
    let count = jobs.clamp(1, high - low);
    let mut probes: Vec<usize> =
        (1..=count).map(|part| low + (high - low) * part / (count + 1)).map(|at| at.min(high - 1)).collect();
    probes.dedup();
    probes
}

/// The step up to which a re-run goes that begins with step `began_at`, to be past the break that a cause has led to.
pub fn steps_to_outlive(recorded: &Run, rule: &str, began_at: u64) -> u64 {
    let way = break_step(recorded).saturating_sub(began_at);
    began_at + verdict::steps_to_outlive(way, DRIFTS.contains(&rule))
}

/// Whether an intervention of this name is the same thing when the training has gone on without it for a while. What makes
/// another network of it, other batches, another optimizer or another schedule is not.
pub fn may_begin_late(id: &str) -> bool {
    const LATE: [&str; 9] = [
        "drop-samples",
        "clamp-inputs",
        "safe-op",
        "float32",
        "scale-loss",
        "lower-learning-rate",
        "clip-gradients",
        "raise-epsilon",
        "weight-decay",
    ];
    LATE.contains(&id)
}

/// The step that broke; 0 where none did.
fn break_step(recorded: &Run) -> u64 {
    recorded.first_break.as_ref().map_or(0, |first| first.step)
}

/// The rate in force when the training broke.
pub fn learning_rate(recorded: &Run) -> Option<f64> {
    recorded.steps.iter().rev().find_map(|step| step.learning_rate)
}
