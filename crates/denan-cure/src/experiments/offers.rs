//! What there is to try for each intervention: which values, and in which order.

use super::number::two_digits;
use denan_anchors::kmeans;
use denan_diagnose::facts;
use denan_record::model::{DataSeen, Node, Parameter, Phase, Run};
use denan_record::plan::{
    BatchNormFreeze, CallAt, Chosen, ClipBy, Entrance, Initializer, Intervention, NewValues, OtherOptimizer,
    exponent_limit,
};

/// Argument above which burn's `softplus` is the identity (`DEFAULT_SOFTPLUS_THRESHOLD` of burn-tensor 0.22.1).
const SOFTPLUS_THRESHOLD: f64 = 20.0;
/// Rates are tried down to this power of two of the user's.
const LOWEST_RATE_EXPONENT: i32 = 12;
/// Epsilons that are tried, smallest first.
const EPSILONS: [f64; 7] = [1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2];
/// Clips that are tried, loosest first, as multiples of the median gradient norm before the break.
const CLIPS: [f64; 7] = [30.0, 10.0, 3.0, 1.0, 0.3, 0.1, 0.03];
/// Bounds of clamped data that are tried, loosest first, as multiples of the typical magnitude.
const CLAMPS: [f64; 3] = [100.0, 30.0, 10.0];
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
/// Seed of the clustering of anchors.
const SEED: u64 = 42;

/// The candidates of an intervention: groups that are tried in turn until one of them holds a survivor. In a
/// group what is stronger than a survivor survives too, so that it can be searched by halves.
pub(super) type Offer = Vec<Vec<Intervention>>;

/// What to try; `Err` says why there is nothing.
pub(super) fn offer(recorded: &Run, rule: &str, id: &str) -> Result<Offer, String> {
    Ok(match id {
        "safe-op" => in_turn(safe_ops(recorded)?),
        "lower-learning-rate" => ordered(
            (1..=LOWEST_RATE_EXPONENT)
                .map(|exponent| Intervention::LowerLearningRate { factor: 0.5_f64.powi(exponent) })
                .collect(),
        ),
        "clip-gradients" => clips(recorded)?,
        "raise-epsilon" => ordered(EPSILONS.map(|epsilon| Intervention::RaiseEpsilon { epsilon }).to_vec()),
        "clamp-inputs" => in_turn(clamps(recorded)?),
        "normalize-inputs" => in_turn(vec![normalisation(recorded)?]),
        "replace-anchors" => in_turn(vec![anchors(recorded)?]),
        "float32" => in_turn(vec![Intervention::Float32 { only: None }]),
        "scale-loss" => in_turn(SCALES.map(|factor| Intervention::ScaleLoss { factor }).to_vec()),
        "mean-loss" => {
            let (elements, _) = facts::summed_loss(recorded).ok_or("the loss is no sum of many elements")?;
            in_turn(vec![Intervention::MeanLoss { elements }])
        }
        "smaller-batch" => ordered(smaller_batches(recorded)?),
        "reinitialize" => in_turn(initialisers(recorded, rule)?),
        "insert-norm" => in_turn(vec![norm(recorded)?]),
        "freeze-batch-norm" => in_turn(batch_norms(recorded, rule)),
        "constant-learning-rate" => in_turn(constant_rates(recorded)),
        "warm-up" => ordered(WARM_UPS.map(|steps| Intervention::WarmUp { steps }).to_vec()),
        "change-optimizer" => in_turn(other_optimizers(recorded)),
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

fn safe_ops(recorded: &Run) -> Result<Vec<Intervention>, String> {
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
        // 1 over a count is at most 1.
        "mul" if producer.scalar.is_some_and(f64::is_infinite) => &[1.0],
        "softmax" | "log_softmax" if half => &[1e4],
        "softmax" | "log_softmax" => &[1e9],
        other => return Err(format!("there is no safer form of {other}")),
    };
    let is_exponential = matches!(producer.op.as_str(), "exp" | "sinh" | "cosh");
    let margins =
        margins.iter().copied().filter(|&margin| !is_exponential || margin <= exponent_limit(dtype));
    let safe = |op: &str, margin| Intervention::SafeOp {
        op: op.to_owned(),
        file: place.file.clone(),
        line: place.line,
        margin,
    };
    // Where there is a function that means the same and is finite everywhere, no clamp is as mild.
    let softplus = is_softplus(recorded).then(|| safe("softplus", SOFTPLUS_THRESHOLD));
    Ok(softplus.into_iter().chain(margins.map(|margin| safe(&producer.op, margin))).collect())
}

/// Whether the exponential that overflowed is the one of `log(exp(x) + 1)`.
fn is_softplus(recorded: &Run) -> bool {
    let breaking = recorded.graphs.iter().find(|graph| graph.producer.is_some());
    let Some((graph, exp)) = breaking.and_then(|graph| Some((graph, graph.producer?))) else { return false };
    let is_exp = graph.nodes.get(exp as usize).is_some_and(|node| node.op == "exp");
    let reads = |node: &Node, op: &str, input: u32| node.op == op && node.inputs == [input];
    let numbered = || (0u32..).zip(&graph.nodes);
    is_exp
        && numbered().any(|(sum, node)| {
            reads(node, "log1p", exp)
                || reads(node, "add", exp)
                    && node.scalar == Some(1.0)
                    && numbered().any(|(_, node)| reads(node, "log", sum))
        })
}

/// Element type that the producer worked in.
pub(super) fn dtype(recorded: &Run) -> &str {
    let first = recorded.first_break.as_ref().and_then(|first| first.producer.inputs.first());
    first.map_or("float32", |input| input.dtype.as_str())
}

/// By norm, which burn has itself; then over all gradients together; then by value.
fn clips(recorded: &Run) -> Result<Offer, String> {
    let break_step = recorded.first_break.as_ref().map_or(0, |first| first.step);
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
        let Some(typical) = typical else { continue };
        let clip = |multiple| Intervention::ClipGradients { by, limit: two_digits(typical * multiple) };
        all.push(CLIPS.map(clip).to_vec());
    }
    if all.is_empty() { Err("no finite gradient was seen before the break".to_owned()) } else { Ok(all) }
}

fn entrance(data: &DataSeen) -> Option<Entrance> {
    let place = data.place.as_ref()?;
    Some(Entrance { file: place.file.clone(), line: place.line, column: place.column })
}

/// The data with the value furthest from what is typical, kept within some multiple of that.
fn clamps(recorded: &Run) -> Result<Vec<Intervention>, String> {
    let far = |data: &&DataSeen| {
        let extreme = data.extreme.as_ref()?;
        let typical = data.typical.get(extreme.column as usize).copied().filter(|typical| *typical > 0.0)?;
        Some((extreme.value.abs() / typical, typical))
    };
    let data = recorded
        .data
        .iter()
        .filter(|data| data.dtype.contains("float") && far(data).is_some())
        .max_by(|a, b| {
            far(a).map(|far| far.0).partial_cmp(&far(b).map(|far| far.0)).unwrap_or(std::cmp::Ordering::Equal)
        })
        .ok_or("no data with an extreme value are on the record")?;
    let at = entrance(data).ok_or("the line at which the data enter is not known")?;
    // One bound for all columns: that of the one with the largest typical values.
    let typical = data.typical.iter().copied().fold(0.0, f64::max);
    let is_signed = data.columns.iter().any(|column| column.min < 0.0);
    let bound = |multiple: f64| {
        let high = two_digits(typical * multiple);
        let low = if is_signed { -high } else { 0.0 };
        Intervention::ClampInputs { at: at.clone(), low, high }
    };
    Ok(CLAMPS.map(bound).to_vec())
}

/// The data whose columns differ most in scale, normalised by the figures of all that entered.
fn normalisation(recorded: &Run) -> Result<Intervention, String> {
    let spread = |data: &DataSeen| {
        let stds = data.columns.iter().map(denan_numerics::Summary::std).filter(|std| *std > 0.0);
        let (small, large) =
            stds.fold((f64::INFINITY, 0.0_f64), |(small, large), std| (small.min(std), large.max(std)));
        large / small
    };
    let data = recorded
        .data
        .iter()
        .filter(|data| data.dtype.contains("float") && data.columns.len() > 1)
        .max_by(|a, b| spread(a).total_cmp(&spread(b)))
        .ok_or("no data with columns are on the record")?;
    Ok(Intervention::NormalizeInputs {
        at: entrance(data).ok_or("the line at which the data enter is not known")?,
        axis: data.axis,
        means: data.columns.iter().map(|column| column.mean).collect(),
        stds: data.columns.iter().map(denan_numerics::Summary::std).collect(),
    })
}

/// As many anchors as there are, out of the targets of the batch, by k-means on IoU.
fn anchors(recorded: &Run) -> Result<Intervention, String> {
    let table = facts::anchors(recorded).ok_or("no table of anchors is on the record")?;
    let count = table.values.len() / table.width.max(1);
    if table.targets.len() < count || count == 0 {
        return Err(format!("{} boxes on the record are too few for {count} anchors", table.targets.len()));
    }
    let sizes = kmeans(&table.targets, count, SEED);
    let values = match table.width {
        2 => sizes.into_iter().flatten().collect(),
        // Boxes keep their centre.
        _ => table
            .values
            .chunks_exact(4)
            .zip(sizes)
            .flat_map(|(old, [width, height])| {
                let are_corners = table.values.chunks_exact(4).all(|old| old[2] > old[0] && old[3] > old[1]);
                if are_corners {
                    let (x, y) = ((old[0] + old[2]) / 2.0, (old[1] + old[3]) / 2.0);
                    [x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0]
                } else {
                    [old[0], old[1], width, height]
                }
            })
            .collect(),
    };
    let at = Entrance { file: table.place.file, line: table.place.line, column: table.place.column };
    Ok(Intervention::ReplaceAnchors { at, values })
}

fn smaller_batches(recorded: &Run) -> Result<Vec<Intervention>, String> {
    let size = recorded.batches.iter().map(|batch| batch.samples.len() as u64).max().unwrap_or(0);
    let sizes = std::iter::successors(Some(size / 2), |size| Some(size / 2)).take_while(|size| *size >= 1);
    let all: Vec<Intervention> = sizes.map(|size| Intervention::SmallerBatch { size }).collect();
    if all.is_empty() {
        return Err(
            "the batches are not known; wrap the data set with denan_burn::data::watched(dataset, name) \
                    and the batcher with WatchedBatcher::new(batcher)"
                .to_owned(),
        );
    }
    Ok(all)
}

/// All ways to fill the weights in question, the ones that fit the network's activations first.
fn initialisers(recorded: &Run, rule: &str) -> Result<Vec<Intervention>, String> {
    if rule == "non-finite-parameter" {
        return non_finite(recorded);
    }
    let layers = facts::layers(recorded);
    let mut slots = facts::misfits(recorded);
    if slots.is_empty() {
        slots = layers.iter().filter_map(|layer| layer.slot).collect();
    }
    let weights: Vec<&Parameter> =
        recorded.parameters.iter().filter(|parameter| slots.contains(&parameter.slot)).collect();
    type Fill = fn(&Parameter, f64, f64) -> Initializer;
    let kaiming: [Fill; 2] = [
        |_, fan_in, _| Initializer::kaiming_normal(fan_in),
        |_, fan_in, _| Initializer::kaiming_uniform(fan_in),
    ];
    let xavier: [Fill; 2] = [
        |_, fan_in, fan_out| Initializer::xavier_normal(fan_in, fan_out),
        |_, fan_in, fan_out| Initializer::xavier_uniform(fan_in, fan_out),
    ];
    let convolution: Fill = |parameter, fan_in, _| match parameter.shape[..] {
        [out, _, ref kernel @ ..] if !kernel.is_empty() => {
            Initializer::convolution(kernel.iter().product::<u64>() as f64, out as f64)
        }
        _ => Initializer::kaiming_normal(fan_in),
    };
    let is_rectified = layers.iter().any(|layer| layer.is_rectified);
    let mut fills: Vec<Fill> = if is_rectified { [kaiming, xavier] } else { [xavier, kaiming] }.concat();
    if weights.iter().any(|parameter| parameter.shape.len() > 2) {
        fills.push(convolution);
    }
    let all: Vec<Intervention> = fills
        .into_iter()
        .map(|fill| {
            let new = weights.iter().filter_map(|parameter| {
                let (fan_in, fan_out) = facts::fans(recorded, parameter)?;
                Some(NewValues {
                    parameter: Chosen::from(*parameter),
                    shape: parameter.shape.clone(),
                    initializer: fill(parameter, fan_in as f64, fan_out as f64),
                    only_non_finite: false,
                })
            });
            Intervention::Reinitialize { parameters: new.collect() }
        })
        .collect();
    let is_empty = |all: &Intervention| matches!(all, Intervention::Reinitialize { parameters } if parameters.is_empty());
    if all.iter().all(is_empty) {
        Err("the weights of no layer are on the record".to_owned())
    } else {
        Ok(all)
    }
}

/// Values that are not finite, filled as their parameter should have been.
fn non_finite(recorded: &Run) -> Result<Vec<Intervention>, String> {
    let bad = recorded
        .parameters
        .iter()
        .filter(|parameter| parameter.initial.is_some_and(|initial| !initial.is_finite()));
    let norms = facts::batch_norm_parameters(recorded);
    let parameters: Vec<NewValues> = bad
        .map(|parameter| {
            let name = parameter.name.as_deref().unwrap_or_default();
            // Weight 1 and bias 0 of a normalisation layer; biases 0.
            let is_scale = name.ends_with("gamma") || name.ends_with("running_var");
            let initializer = match facts::fans(recorded, parameter) {
                Some((fan_in, _)) => Initializer::kaiming_normal(fan_in as f64),
                None if is_scale || norms.contains(&parameter.slot) && !name.ends_with("beta") => {
                    Initializer::Constant { value: 1.0 }
                }
                None => Initializer::Constant { value: 0.0 },
            };
            let shape = parameter.shape.clone();
            NewValues { parameter: Chosen::from(parameter), shape, initializer, only_non_finite: true }
        })
        .collect();
    if parameters.is_empty() {
        return Err("what is not finite is no parameter whose making is on the record".to_owned());
    }
    Ok(vec![Intervention::Reinitialize { parameters }])
}

/// A layer behind every layer with weights but the last, whose output is the network's answer.
fn norm(recorded: &Run) -> Result<Intervention, String> {
    let layers = facts::layers(recorded);
    let call = |layer: &facts::LayerCall| {
        let place = layer.place.as_ref()?;
        Some(CallAt { op: layer.op.clone(), file: place.file.clone(), line: place.line, module: None })
    };
    let last = layers.last().and_then(call);
    let mut after: Vec<CallAt> = Vec::new();
    for call in layers.iter().filter_map(call) {
        if !after.contains(&call) && Some(&call) != last.as_ref() {
            after.push(call);
        }
    }
    if after.is_empty() {
        // One line for all layers: a loop.
        after.extend(last.filter(|_| layers.len() > 1));
    }
    if after.is_empty() {
        Err("no layers are on the record".to_owned())
    } else {
        Ok(Intervention::InsertNorm { after })
    }
}

fn batch_norms(recorded: &Run, rule: &str) -> Vec<Intervention> {
    let parameters = chosen(recorded, &facts::batch_norm_parameters(recorded));
    let ways = if rule == "batch-norm-shift" {
        [BatchNormFreeze::Recompute, BatchNormFreeze::Affine]
    } else {
        [BatchNormFreeze::Statistics, BatchNormFreeze::Affine]
    };
    let freeze = |how| {
        // With its own statistics it trains its weight and bias as before.
        let parameters = if how == BatchNormFreeze::Recompute { Vec::new() } else { parameters.clone() };
        Intervention::FreezeBatchNorm { how, parameters }
    };
    ways.map(freeze).to_vec()
}

fn constant_rates(recorded: &Run) -> Vec<Intervention> {
    let sane = recorded.steps.iter().filter_map(|step| step.learning_rate);
    let largest = sane.filter(|rate| rate.is_finite() && *rate > 0.0).reduce(f64::max);
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
    if name.contains("Sgd") {
        let rate = rate.map_or(ADAM_RATE, |rate| rate.min(ADAM_RATE));
        [OtherOptimizer::Adam, OtherOptimizer::AmsGrad]
            .map(|to| Intervention::ChangeOptimizer { to, rate })
            .to_vec()
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
