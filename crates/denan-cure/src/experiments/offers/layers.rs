//! `reinitialize`, `insert-norm`, `freeze-batch-norm`: which layers, and with what.

use super::chosen;
use denan_diagnose::facts;
use denan_record::model::{Parameter, Phase, Run};
use denan_record::plan::{BatchNormFreeze, CallAt, Chosen, Initializer, Intervention, NewValues};

/// All ways to fill the weights in question, the ones that fit the network's activations first.
pub(super) fn initialisers(recorded: &Run, rule: &str) -> Result<Vec<Intervention>, String> {
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
            let is_shift = name.ends_with("beta") || name.ends_with("bias");
            let initializer = match facts::fans(recorded, parameter) {
                Some((fan_in, _)) => Initializer::kaiming_normal(fan_in as f64),
                None if is_scale || norms.contains(&parameter.slot) && !is_shift => {
                    Initializer::Constant { value: 1.0 }
                }
                None => Initializer::Constant { value: 0.0 },
            };
            let shape = parameter.shape.clone();
            NewValues { parameter: Chosen::from(parameter), shape, initializer, only_non_finite: true }
        })
        .chain(buffer(recorded))
        .collect();
    if parameters.is_empty() {
        return Err("what is not finite is no parameter whose making is on the record".to_owned());
    }
    Ok(vec![Intervention::Reinitialize { parameters }])
}

/// A buffer that is not finite, which no optimizer updates.
fn buffer(recorded: &Run) -> Option<NewValues> {
    let found = &recorded.first_break.as_ref()?.producer;
    let name = found.parameter.clone().filter(|_| found.phase == Phase::Parameter)?;
    if recorded.parameters.iter().any(|parameter| parameter.name.as_ref() == Some(&name)) {
        return None;
    }
    let value = if name.ends_with("running_var") { 1.0 } else { 0.0 };
    Some(NewValues {
        parameter: Chosen { slot: u32::MAX, name: Some(name), birth: None },
        shape: found.output.shape.clone(),
        initializer: Initializer::Constant { value },
        only_non_finite: true,
    })
}

/// Behind layers, and in PyTorch behind the sums of residual branches as well.
pub(super) fn norms(recorded: &Run) -> Result<Vec<Intervention>, String> {
    let behind_layers = norm(recorded);
    let of_sums = if recorded.is_of_torch() { facts::residual_sums(recorded) } else { Vec::new() };
    let calls = of_sums.into_iter();
    let after: Vec<CallAt> = calls
        .map(|place| CallAt { op: "add".to_owned(), file: place.file, line: place.line, module: None })
        .collect();
    let behind_sums = (!after.is_empty()).then_some(Intervention::InsertNorm { after });
    match (behind_layers, behind_sums) {
        (Err(reason), None) => Err(reason),
        (behind_layers, behind_sums) => Ok(behind_layers.into_iter().chain(behind_sums).collect()),
    }
}

/// A layer behind every layer with weights but the last, whose output is the network's answer.
fn norm(recorded: &Run) -> Result<Intervention, String> {
    let layers = facts::layers(recorded);
    let call = |layer: &facts::LayerCall| {
        let place = layer.place.as_ref()?;
        let module = layer.slot.and_then(|slot| module_of(recorded, slot)).filter(|_| recorded.is_of_torch());
        Some(CallAt { op: layer.op.clone(), file: place.file.clone(), line: place.line, module })
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

/// Path of the layer that a parameter belongs to: `net.2` of `net.2.weight`.
fn module_of(recorded: &Run, slot: u32) -> Option<String> {
    let parameter = recorded.parameters.iter().find(|parameter| parameter.slot == slot)?;
    Some(parameter.name.as_ref()?.rsplit_once('.')?.0.to_owned())
}

pub(super) fn batch_norms(recorded: &Run, rule: &str) -> Vec<Intervention> {
    let parameters = chosen(recorded, &facts::batch_norm_parameters(recorded));
    let mut ways = if rule == "batch-norm-shift" {
        vec![BatchNormFreeze::Recompute, BatchNormFreeze::Affine]
    } else {
        vec![BatchNormFreeze::Statistics, BatchNormFreeze::Affine]
    };
    if recorded.is_of_torch() {
        ways.push(BatchNormFreeze::Group);
    }
    let freeze = |how| {
        // With its own statistics it trains its weight and bias as before.
        let trains = matches!(how, BatchNormFreeze::Recompute | BatchNormFreeze::Group);
        let parameters = if trains { Vec::new() } else { parameters.clone() };
        Intervention::FreezeBatchNorm { how, parameters }
    };
    ways.into_iter().map(freeze).collect()
}
