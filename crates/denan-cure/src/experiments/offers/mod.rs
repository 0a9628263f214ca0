//! What there is to try for each intervention: which values, and in which order.

mod inputs;
mod layers;
mod safe_op;

pub(super) use safe_op::{MEANS, WITH_EPSILON, dtype};

use super::number::two_digits;
use denan_diagnose::facts;
use denan_record::model::{Phase, Run};
use denan_record::plan::{CallAt, Chosen, ClipBy, Intervention, OtherOptimizer};

/// Rates are tried down to this power of two of the user's.
const LOWEST_RATE_EXPONENT: i32 = 12;
/// Epsilons that are tried, smallest first.
const EPSILONS: [f64; 7] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2];
/// Clips that are tried, loosest first, as multiples of the median gradient norm before the break.
const CLIPS: [f64; 7] = [30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03];
/// And where gradients are so large that none of these is small: what people clip to.
const USUAL_CLIPS: [f64; 2] = [1.0, 0.1];
/// Factors of a scaled loss, mildest first: the first lifts gradients by three orders of magnitude, the second is
/// with which loss scalers begin.
const SCALES: [f64; 3] = [1024.0, 65_536.0, 16_777_216.0];
/// Weight decays that are tried, mildest first.
const PENALTIES: [f64; 8] = [1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0];
/// Lengths of a warm-up that are tried, shortest first.
const WARM_UPS: [u64; 3] = [10, 50, 200];
/// Rates that are tried when the schedule never gave a sane one, highest first.
const RATES: [f64; 3] = [1e-2, 1e-3, 1e-4];
/// Learning rate of Adam where nothing else is known: its authors' (Kingma and Ba 2015).
const ADAM_RATE: f64 = 1e-3;

/// The candidates of an intervention: groups that are tried in turn until one of them holds a survivor. In a
/// group what is stronger than a survivor survives too, so that it can be searched by halves.
pub(super) type Offer = Vec<Vec<Intervention>>;

/// What to try; `Err` says why there is nothing.
pub(super) fn offer(recorded: &Run, rule: &str, id: &str) -> Result<Offer, String> {
    Ok(match id {
        "safe-op" => in_turn(safe_op::safe_ops(recorded)?),
        "lower-learning-rate" => ordered(
            (1..=LOWEST_RATE_EXPONENT)
                .map(|exponent| Intervention::LowerLearningRate { factor: 0.5_f64.powi(exponent) })
                .collect(),
        ),
        "clip-gradients" => clips(recorded)?,
        "raise-epsilon" => ordered(EPSILONS.map(|epsilon| Intervention::RaiseEpsilon { epsilon }).to_vec()),
        "clamp-inputs" => in_turn(inputs::clamps(recorded)?),
        "normalize-inputs" => in_turn(vec![inputs::normalisation(recorded)?]),
        "replace-anchors" => in_turn(vec![inputs::anchors(recorded)?]),
        "float32" => in_turn(in_float32(recorded)),
        "scale-loss" => in_turn(SCALES.map(|factor| Intervention::ScaleLoss { factor }).to_vec()),
        "mean-loss" => {
            let (elements, _) = facts::summed_loss(recorded).ok_or("the loss is no sum of many elements")?;
            in_turn(vec![Intervention::MeanLoss { elements }])
        }
        "smaller-batch" => ordered(smaller_batches(recorded)?),
        "reinitialize" => in_turn(layers::initialisers(recorded, rule)?),
        "insert-norm" => in_turn(layers::norms(recorded)?),
        "freeze-batch-norm" => in_turn(layers::batch_norms(recorded, rule)),
        "constant-learning-rate" => in_turn(constant_rates(recorded)),
        "warm-up" => ordered(WARM_UPS.map(|steps| Intervention::WarmUp { steps }).to_vec()),
        "change-optimizer" => in_turn(other_optimizers(recorded)),
        "zero-grad" => in_turn(vec![Intervention::ZeroGrad]),
        "weight-decay" => ordered(PENALTIES.map(|penalty| Intervention::WeightDecay { penalty }).to_vec()),
        "freeze-released" => in_turn(vec![Intervention::FreezeReleased { parameters: released(recorded)? }]),
        "lower-released-rate" => {
            let parameters = released(recorded)?;
            let at = |exponent: i32| Intervention::LowerReleasedRate {
                parameters: parameters.clone(),
                factor: 0.5_f64.powi(exponent),
            };
            ordered((1..=LOWEST_RATE_EXPONENT).map(at).collect())
        }
        other => return Err(format!("denan has no intervention `{other}` yet")),
    })
}

/// One group, mildest first.
fn ordered(candidates: Vec<Intervention>) -> Offer {
    vec![candidates]
}

/// Each by itself.
fn in_turn(candidates: Vec<Intervention>) -> Offer {
    candidates.into_iter().map(|candidate| vec![candidate]).collect()
}

/// The call that broke alone, where an engine can do that, and all that is cast.
fn in_float32(recorded: &Run) -> Vec<Intervention> {
    let first = recorded
        .first_break
        .as_ref()
        .filter(|first| recorded.is_of_torch() && matches!(first.phase, Phase::Forward | Phase::Loss));
    let call = first.and_then(|first| {
        let place = first.producer.place.as_ref()?;
        let (op, file, line) = (first.producer.op.clone(), place.file.clone(), place.line);
        Some(CallAt { op, file, line, module: first.producer.module.clone() })
    });
    let only = call.map(|call| Intervention::Float32 { only: Some(call) });
    only.into_iter().chain([Intervention::Float32 { only: None }]).collect()
}

/// By norm, which burn has itself (and PyTorch not); then over all gradients together; then by value.
fn clips(recorded: &Run) -> Result<Offer, String> {
    let break_step = super::break_step(recorded);
    let before = || recorded.steps.iter().filter(|step| step.step < break_step.max(1));
    let gradients = || before().flat_map(|step| &step.parameters).filter_map(|seen| seen.gradient.as_ref());
    let median = |mut norms: Vec<f64>| {
        norms.retain(|norm| norm.is_finite() && *norm > 0.0);
        norms.sort_by(f64::total_cmp);
        norms.get(norms.len() / 2).copied()
    };
    let mut all = Vec::new();
    for (by, typical) in [
        (ClipBy::Norm, median(gradients().map(|gradient| gradient.l2_norm()).collect())),
        (ClipBy::GlobalNorm, median(before().filter_map(|step| step.gradient_norm).collect())),
        (ClipBy::Value, median(gradients().map(|gradient| gradient.abs_max()).collect())),
    ] {
        let Some(typical) = typical.filter(|_| by != ClipBy::Norm || !recorded.is_of_torch()) else {
            continue;
        };
        let of_typical = CLIPS.map(|multiple| two_digits(typical * multiple));
        let usual = USUAL_CLIPS.into_iter().filter(|limit| *limit < of_typical[CLIPS.len() - 1]);
        let limits = of_typical.into_iter().chain(usual);
        all.push(limits.map(|limit| Intervention::ClipGradients { by, limit }).collect());
    }
    if all.is_empty() { Err("no finite gradient was seen before the break".to_owned()) } else { Ok(all) }
}

fn smaller_batches(recorded: &Run) -> Result<Vec<Intervention>, String> {
    let size = recorded.batches.iter().map(|batch| batch.samples.len() as u64).max().unwrap_or(0);
    let sizes = std::iter::successors(Some(size / 2), |size| Some(size / 2)).take_while(|size| *size >= 1);
    let all: Vec<Intervention> = sizes.map(|size| Intervention::SmallerBatch { size }).collect();
    if all.is_empty() {
        return Err(format!("the batches are not known; {}", super::batches_from(recorded)));
    }
    Ok(all)
}

fn constant_rates(recorded: &Run) -> Vec<Intervention> {
    let sane = recorded.steps.iter().filter_map(|step| step.learning_rate);
    let largest = sane.filter(|rate| rate.is_finite() && *rate > 0.0).reduce(f64::max);
    // A rate that was computed in float32 is meant as the number that it stands for.
    let largest = largest.map(|rate| format!("{rate:.5e}").parse().unwrap_or(rate));
    let rates = match largest {
        Some(rate) => vec![rate, rate / 10.0, rate / 100.0],
        None => RATES.to_vec(),
    };
    rates.into_iter().map(|rate| Intervention::ConstantLearningRate { rate }).collect()
}

/// Each with its usual rate, or the user's where it is that already.
fn other_optimizers(recorded: &Run) -> Vec<Intervention> {
    let name =
        recorded.optimizer.as_ref().and_then(|optimizer| optimizer.name.as_deref()).unwrap_or_default();
    let rate = super::learning_rate(recorded).filter(|rate| rate.is_finite() && *rate > 0.0);
    if name.eq_ignore_ascii_case("sgd") {
        let rate = rate.map_or(ADAM_RATE, |rate| rate.min(ADAM_RATE));
        let usual = if recorded.is_of_torch() { OtherOptimizer::AdamW } else { OtherOptimizer::Adam };
        [usual, OtherOptimizer::AmsGrad].map(|to| Intervention::ChangeOptimizer { to, rate }).to_vec()
    } else {
        let rate = rate.unwrap_or(ADAM_RATE);
        vec![
            Intervention::ChangeOptimizer { to: OtherOptimizer::AmsGrad, rate },
            Intervention::ChangeOptimizer { to: OtherOptimizer::Sgd, rate: rate * 10.0 },
        ]
    }
}

fn released(recorded: &Run) -> Result<Vec<Chosen>, String> {
    let parameters = chosen(recorded, &facts::released(recorded));
    if parameters.is_empty() { Err("no parameters were released".to_owned()) } else { Ok(parameters) }
}

fn chosen(recorded: &Run, slots: &[u32]) -> Vec<Chosen> {
    let own = recorded.parameters.iter().filter(|parameter| slots.contains(&parameter.slot));
    own.map(Chosen::from).collect()
}
