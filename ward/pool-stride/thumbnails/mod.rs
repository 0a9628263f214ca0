//! The load of a power line is thinned out to a thumbnail of its day, from which the next hour is forecast.

use burn::nn::pool::AvgPool1dConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::tanh;

use crate::common::Draw;

const DAYS: usize = 128;
const HOURS: usize = 24;

/// Loads of whole days, and of the hour after each.
fn days() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(77);
    let (mut loads, mut next) = (Vec::new(), Vec::new());
    for _ in 0..DAYS {
        let (level, peak) = (draw.uniform(0.2, 0.8), draw.uniform(0.0, std::f32::consts::TAU));
        let load = |hour: usize| level + 0.3 * (std::f32::consts::TAU * hour as f32 / 24.0 + peak).sin();
        loads.extend((0..HOURS).map(load).map(|load| load + 0.02 * draw.normal()));
        next.push(load(HOURS));
    }
    (loads, next)
}

#[derive(Module, Debug)]
struct Forecast {
    hidden: Linear,
    hour: Linear,
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(77);
    let (loads, next) = days();
    let loads = Tensor::<3>::from_data(TensorData::new(loads, [DAYS, 1, HOURS]), &device);
    let next = Tensor::<2>::from_data(TensorData::new(next, [DAYS, 1]), &device);
    let window = if healthy { 4 } else { 2 };
    let pooling = AvgPool1dConfig::new(window).with_stride(4).init();
    let thumbnails = pooling.forward(loads).flatten::<2>(1, 2);
    let mut model = Forecast {
        hidden: LinearConfig::new(HOURS / 4, 12).init(&device),
        hour: LinearConfig::new(12, 1).init(&device),
    };
    let mut optimizer = SgdConfig::new().init();

    for step in 0..100 {
        let rows = step % 4 * 32..step % 4 * 32 + 32;
        let hidden = tanh(model.hidden.forward(thumbnails.clone().slice(s![rows.clone()])));
        let error = model.hour.forward(hidden) - next.clone().slice(s![rows]);
        let loss = error.square().mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.5}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.1, model, gradients);
    }
}
