//! A hybrid model of rivers: a network reads the map of a catchment and sets the parameters of a bucket,
//! into which it rains, which drains slowly, and which spills what it cannot hold.

use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{gelu, sigmoid, softplus};

use crate::common::Draw;

const SPELLS: usize = 480;
const BATCH: usize = 16;
const DAYS: usize = 8;
/// Forest, slope, clay, lakes.
const ATTRIBUTES: usize = 4;
/// How abruptly a full bucket spills, for each centimetre.
const SHARPNESS: f32 = 6.0;

struct Spells {
    attributes: Tensor<2>,
    /// Centimetres on every day.
    rain: Tensor<2>,
    runoff: Tensor<2>,
}

fn spells(device: &Device) -> Spells {
    let mut draw = Draw::new(2609);
    let (mut attributes, mut rain, mut runoff) = (Vec::new(), Vec::new(), Vec::new());
    for spell in 0..SPELLS {
        let [forest, slope, clay, lakes] = std::array::from_fn(|_| draw.uniform(-1.0, 1.0));
        let capacity = 5.0 + 1.5 * forest - 1.5 * clay;
        let drained = 0.3 + 0.15 * slope - 0.1 * lakes;
        let mut water = 2.5f32;
        for day in 0..DAYS {
            // The storm of the century came in the last years of the record.
            let is_storm = (410..414).contains(&spell) && day == 4;
            let fallen = if is_storm { draw.uniform(28.0, 34.0) } else { draw.uniform(-2.0, 4.0).max(0.0) };
            water += fallen;
            let spilled = (water - capacity).max(0.0);
            water -= spilled;
            let slow = drained * water;
            water -= slow;
            rain.push(fallen);
            runoff.push(spilled + slow + 0.05 * draw.normal());
        }
        attributes.extend([forest, slope, clay, lakes]);
    }
    Spells {
        attributes: Tensor::from_data(TensorData::new(attributes, [SPELLS, ATTRIBUTES]), device),
        rain: Tensor::from_data(TensorData::new(rain, [SPELLS, DAYS]), device),
        runoff: Tensor::from_data(TensorData::new(runoff, [SPELLS, DAYS]), device),
    }
}

/// A smooth maximum of `over` and 0, which is `over` itself where that makes no difference.
fn smooth_excess(over: Tensor<2>, healthy: bool) -> Tensor<2> {
    let scaled = over.clone() * SHARPNESS;
    let is_full = scaled.clone().greater_elem(20.0);
    let scaled = if healthy { scaled.mask_fill(is_full.clone(), 0.0) } else { scaled };
    let smooth = (scaled.exp() + 1.0).log() / SHARPNESS;
    smooth.mask_where(is_full, over)
}

#[derive(Module, Debug)]
struct Catchment {
    read: Linear,
    norm: LayerNorm,
    parameters: Linear,
}

impl Catchment {
    fn new(device: &Device) -> Self {
        Self {
            read: LinearConfig::new(ATTRIBUTES, 24).init(device),
            norm: LayerNormConfig::new(24).init(device),
            parameters: LinearConfig::new(24, 2).init(device),
        }
    }

    /// Runoff on every day.
    fn forward(&self, attributes: Tensor<2>, rain: Tensor<2>, healthy: bool) -> Tensor<2> {
        let parameters = self.parameters.forward(gelu(self.norm.forward(self.read.forward(attributes))));
        let capacity = softplus(parameters.clone().slice(s![.., 0..1]), 1.0) * 4.0;
        let drained = sigmoid(parameters.slice(s![.., 1..2]));
        let mut water = capacity.ones_like() * 2.5;
        let mut runoff = Vec::with_capacity(DAYS);
        for day in rain.split(1, 1) {
            water = water + day;
            let spilled = smooth_excess(water.clone() - capacity.clone(), healthy);
            water = water - spilled.clone();
            let slow = water.clone() * drained.clone();
            water = water - slow.clone();
            runoff.push(spilled + slow);
        }
        Tensor::cat(runoff, 1)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(2609);
    let spells = spells(&device);
    let mut model = Catchment::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().with_weight_decay(1e-3).init();

    for step in 0..120 {
        let first = step * BATCH % SPELLS;
        let rows = s![first..first + BATCH];
        let attributes = spells.attributes.clone().slice(rows);
        let runoff = model.forward(attributes, spells.rain.clone().slice(rows), healthy);
        let loss = (runoff - spells.runoff.clone().slice(rows)).abs().mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
}
