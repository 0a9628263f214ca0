//! What to try for a diagnosis, in which order, and how far to search.

use crate::verdict::{Judgement, judge, steps_to_outlive};
use denan_finding::number::float;
use denan_finding::{BlamedSample, Cure, Finding, Verdict};
use denan_record::model::{Phase, Run, Sample};
use denan_record::plan::{Intervention, exponent_limit};
use serde_json::{Map, Value, json};

/// Rates are tried down to this power of two of the user's.
const LOWEST_RATE_EXPONENT: u32 = 12;
/// Samples are dropped one discovery after another; data with more bad samples than this wants `denan scan`.
const MOST_DROPS: usize = 8;
/// Epsilons that are tried, smallest first.
const EPSILONS: [f64; 7] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2];
/// Clips that are tried, loosest first, as multiples of the median gradient norm before the break.
const CLIPS: [f64; 7] = [30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03];

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

/// Tries every intervention that the causes name (or only those in `only`), best first.
pub fn experiment(
    recorded: &Run,
    causes: &[Finding],
    blamed: &[BlamedSample],
    only: Option<&[String]>,
    rerun: &mut dyn Rerun,
) -> Vec<Experiment> {
    let mut found: Vec<Experiment> = Vec::new();
    for cause in causes {
        for id in &cause.interventions {
            let tried = found.iter().any(|experiment| experiment.cure.intervention == *id);
            let wanted = only.is_none_or(|only| only.contains(id));
            if !tried && wanted {
                found.push(one(recorded, &cause.rule, id, blamed, rerun));
            }
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
    let attempt = match id {
        "drop-samples" => drop_samples(recorded, blamed, rerun, &mut dropped),
        "safe-op" => safe_op(recorded, rerun),
        "lower-learning-rate" => lower_learning_rate(recorded, rerun),
        "clip-gradients" => clip_gradients(recorded, rerun),
        "raise-epsilon" => {
            search(recorded, rerun, EPSILONS.map(|epsilon| Intervention::RaiseEpsilon { epsilon }).to_vec())
        }
        other => Err(format!("denan has no intervention `{other}` yet")),
    };
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
        Ok((intervention, judgement)) => Experiment {
            cure: Cure {
                args: arguments(&intervention, recorded, &dropped),
                change: in_words(&intervention, recorded, &dropped),
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
            Experiment { intervention: None, dropped, cure: Cure { reason: Some(reason), ..unchanged } }
        }
    }
}

type Attempt = Result<(Intervention, Judgement), String>;

fn run_one(
    recorded: &Run,
    rerun: &mut dyn Rerun,
    intervention: Intervention,
) -> Result<(Intervention, Judgement, Run), String> {
    run_all(recorded, rerun, vec![intervention])
        .pop()
        .unwrap_or_else(|| Err("nothing came back from the re-run".to_owned()))
}

/// Runs several at once and judges each, in their order.
fn run_all(
    recorded: &Run,
    rerun: &mut dyn Rerun,
    interventions: Vec<Intervention>,
) -> Vec<Result<(Intervention, Judgement, Run), String>> {
    let break_step = recorded.first_break.as_ref().map_or(0, |first| first.step);
    let planned = steps_to_outlive(break_step);
    for intervention in &interventions {
        // Samples are announced by name where they are dropped.
        if !matches!(intervention, Intervention::DropSamples { .. }) {
            rerun.progress(&in_words(intervention, recorded, &[]));
        }
    }
    let runs = rerun.rerun(&interventions, planned);
    let judged = interventions.into_iter().zip(runs).map(|(intervention, again)| {
        let again = again?;
        let judgement = judge(recorded, &again, matters_from(&intervention, recorded, &again), planned);
        Ok((intervention, judgement, again))
    });
    judged.collect()
}

/// The first step whose loss an intervention may change: before it, the re-run has to repeat the record bit by bit.
fn matters_from(intervention: &Intervention, recorded: &Run, again: &Run) -> u64 {
    let break_step = recorded.first_break.as_ref().map_or(0, |first| first.step);
    match intervention {
        // The batches that are still on the record tell when a sample first came up. One that came up
        // before those was no harm then.
        Intervention::DropSamples { indices } => recorded
            .batches
            .iter()
            .filter(|batch| batch.samples.iter().any(|sample| indices.contains(&sample.index)))
            .map(|batch| batch.step)
            .min()
            .map_or(break_step, |first| first.min(break_step)),
        Intervention::SafeOp { .. } => again.intervened_at.unwrap_or(break_step),
        // These change updates, and an update changes the next step's loss.
        Intervention::LowerLearningRate { .. }
        | Intervention::ClipGradients { .. }
        | Intervention::RaiseEpsilon { .. } => again.intervened_at.map_or(break_step, |first| first + 1),
    }
}

/// Drops the blamed samples; when another one breaks the re-run in the same way, drops it as well.
fn drop_samples(
    recorded: &Run,
    blamed: &[BlamedSample],
    rerun: &mut dyn Rerun,
    dropped: &mut Vec<Sample>,
) -> Attempt {
    add_samples(dropped, blamed);
    if dropped.is_empty() {
        return Err("the samples of the batch are not known; wrap the data set with \
                    denan_burn::data::watched(dataset, name) and the batcher with WatchedBatcher::new(batcher)"
            .to_owned());
    }
    for _ in 0..MOST_DROPS {
        let indices = dropped.iter().map(|sample| sample.index).collect();
        let intervention = Intervention::DropSamples { indices };
        rerun.progress(&in_words(&intervention, recorded, dropped));
        let (intervention, judgement, again) = run_one(recorded, rerun, intervention)?;
        let found_more = add_samples(dropped, &rerun.blamed(&again));
        if judgement.verdict != Verdict::Broke || !found_more {
            return Ok((intervention, judgement));
        }
    }
    Err(format!("more than {MOST_DROPS} bad samples came up one after another; clean the data first"))
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

fn safe_op(recorded: &Run, rerun: &mut dyn Rerun) -> Attempt {
    let first = recorded.first_break.as_ref().ok_or("there is no break")?;
    let producer = &first.producer;
    let place = match first.phase {
        Phase::Backward => producer.forward_place.as_ref(),
        Phase::Forward | Phase::Loss => producer.place.as_ref(),
        _ => None,
    }
    .ok_or("the line of the call is not known")?;
    let dtype = dtype(recorded);
    let half = dtype == "float16";
    // The mildest first.
    let margins: &[f64] = match producer.op.as_str() {
        "exp" | "sinh" | "cosh" => &[exponent_limit(dtype), 20.0, 5.0],
        "sqrt" | "powf" if !half => &[1e-12, 1e-8, 1e-4],
        "log" | "log1p" | "div" | "recip" | "sqrt" | "powf" | "acos" | "asin" | "atanh" if half => {
            &[1e-3, 1e-2]
        }
        "log" | "log1p" | "div" | "recip" | "acos" | "asin" | "atanh" => &[1e-7, 1e-5, 1e-3],
        other => return Err(format!("there is no safer form of {other}")),
    };
    let margins = margins.iter().copied().filter(|&margin| margin <= exponent_limit(dtype));
    let candidates = margins
        .map(|margin| {
            let (op, file) = (producer.op.clone(), place.file.clone());
            Intervention::SafeOp { op, file, line: place.line, margin }
        })
        .collect();
    mildest(recorded, rerun, candidates)
}

/// Element type that the producer worked in.
fn dtype(recorded: &Run) -> &str {
    let first = recorded.first_break.as_ref().and_then(|first| first.producer.inputs.first());
    first.map_or("float32", |input| input.dtype.as_str())
}

/// The first of a list that survives, mildest first: tried in this order, since the mildest mostly does.
fn mildest(recorded: &Run, rerun: &mut dyn Rerun, candidates: Vec<Intervention>) -> Attempt {
    let mut first: Option<(Intervention, Judgement)> = None;
    for candidate in candidates {
        let (intervention, judgement) = match run_one(recorded, rerun, candidate) {
            Ok((intervention, judgement, _)) => (intervention, judgement),
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

fn lower_learning_rate(recorded: &Run, rerun: &mut dyn Rerun) -> Attempt {
    let rates = (1..=LOWEST_RATE_EXPONENT)
        .map(|exponent| Intervention::LowerLearningRate { factor: 0.5_f64.powi(exponent as i32) })
        .collect();
    search(recorded, rerun, rates)
}

fn clip_gradients(recorded: &Run, rerun: &mut dyn Rerun) -> Attempt {
    let break_step = recorded.first_break.as_ref().map_or(0, |first| first.step);
    let mut norms: Vec<f64> = recorded
        .steps
        .iter()
        .filter(|step| step.step < break_step.max(1))
        .flat_map(|step| &step.parameters)
        .filter_map(|parameter| parameter.gradient.as_ref())
        .map(|gradient| gradient.l2_norm())
        .filter(|norm| norm.is_finite() && *norm > 0.0)
        .collect();
    norms.sort_by(f64::total_cmp);
    let median = *norms.get(norms.len() / 2).ok_or("no finite gradient was seen before the break")?;
    let clips = CLIPS
        .iter()
        .map(|multiple| Intervention::ClipGradients { max_norm: two_digits(median * multiple) })
        .collect();
    search(recorded, rerun, clips)
}

/// A number with two significant digits, which is how people write such values.
fn two_digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

/// The first of a list, mildest first, that survives.
///
/// Narrowed down like a bisection, with as many probes at once as there are jobs: what is stronger
/// than a survivor survives too, what is milder than a break breaks too.
fn search(recorded: &Run, rerun: &mut dyn Rerun, candidates: Vec<Intervention>) -> Attempt {
    let mut best: Option<(Intervention, Judgement)> = None;
    let mut other: Option<(Intervention, Judgement)> = None;
    let (mut low, mut high) = (0, candidates.len());
    while low < high {
        let probes = probes(low, high, rerun.jobs());
        let tried = run_all(recorded, rerun, probes.iter().map(|&at| candidates[at].clone()).collect());
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
                Verdict::Unstable if judgement.stands_still => {
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

fn in_words(intervention: &Intervention, recorded: &Run, dropped: &[Sample]) -> String {
    match intervention {
        Intervention::DropSamples { .. } => format!("leave out {}", names(dropped).join(", ")),
        Intervention::SafeOp { op, margin, .. } => match op.as_str() {
            "exp" => {
                format!("keep the argument of exp between -{} and {margin}", exponent_limit(dtype(recorded)))
            }
            "sinh" | "cosh" => format!("keep the argument of {op} between -{margin} and {margin}"),
            "div" | "recip" => format!("keep the divisor at least {} away from 0", float(*margin)),
            "acos" | "asin" | "atanh" => {
                format!("keep the argument of {op} at least {} away from 1", float(*margin))
            }
            _ => format!("keep the argument of {op} at least {}", float(*margin)),
        },
        Intervention::LowerLearningRate { factor } => match learning_rate(recorded) {
            Some(rate) => format!("lower the learning rate: {} → {}", float(rate), float(rate * factor)),
            None => format!("multiply the learning rate by {}", float(*factor)),
        },
        Intervention::ClipGradients { max_norm } => {
            format!("clip each gradient to norm {}", float(*max_norm))
        }
        Intervention::RaiseEpsilon { epsilon } => {
            format!("raise the optimizer's epsilon to {}", float(*epsilon))
        }
    }
}

fn names(samples: &[Sample]) -> Vec<String> {
    let name = |sample: &Sample| sample.name.clone().unwrap_or_else(|| format!("sample {}", sample.index));
    samples.iter().map(name).collect()
}

/// The rate in force when the training broke.
pub fn learning_rate(recorded: &Run) -> Option<f64> {
    recorded.steps.iter().rev().find_map(|step| step.learning_rate)
}

/// The arguments of the contract's `cures[].args`.
fn arguments(intervention: &Intervention, recorded: &Run, dropped: &[Sample]) -> Map<String, Value> {
    let mut args = Map::new();
    match intervention {
        Intervention::DropSamples { indices } => {
            args.insert("indices".to_owned(), json!(indices));
            args.insert("names".to_owned(), json!(names(dropped)));
        }
        Intervention::SafeOp { op, file, line, margin } => {
            args.insert("op".to_owned(), json!(op));
            args.insert("file".to_owned(), json!(file));
            args.insert("line".to_owned(), json!(line));
            args.insert("margin".to_owned(), json!(margin));
        }
        Intervention::LowerLearningRate { factor } => {
            args.insert("factor".to_owned(), json!(factor));
            if let Some(rate) = learning_rate(recorded) {
                args.insert("learning_rate".to_owned(), json!(rate * factor));
            }
        }
        Intervention::ClipGradients { max_norm } => {
            args.insert("max_norm".to_owned(), json!(max_norm));
        }
        Intervention::RaiseEpsilon { epsilon } => {
            args.insert("epsilon".to_owned(), json!(epsilon));
        }
    }
    args
}
