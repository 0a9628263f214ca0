//! An LSTM forecasts the load of a transformer station; hours that were not measured do not count.

use burn::nn::{Linear, LinearConfig, Lstm, LstmConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const PAST: usize = 12;
const AHEAD: usize = 4;
const BATCH: usize = 8;
const BATCHES: usize = 40;
/// From one window to the next.
const STRIDE: usize = 2;
const HOURS: usize = BATCHES * BATCH * STRIDE + PAST + AHEAD;

struct Series {
    load: Vec<f32>,
    measured: Vec<bool>,
}

fn series() -> Series {
    let mut draw = Draw::new(613);
    let mut series = Series { load: vec![], measured: vec![] };
    let outage = 27 * BATCH * STRIDE + PAST - 2..28 * BATCH * STRIDE + PAST + AHEAD + 2;
    for hour in 0..HOURS {
        let day = (hour as f32 / 24.0 * std::f32::consts::TAU).sin();
        let measured = !outage.contains(&hour) && !draw.happens(0.05);
        series.measured.push(measured);
        series.load.push(if measured { 0.8 * day + 0.1 * draw.normal() } else { 0.0 });
    }
    series
}

struct Batch {
    past: Tensor<3>,
    future: Tensor<2>,
    measured: Tensor<2>,
}

fn batches(series: &Series, device: &Device) -> Vec<Batch> {
    let mut batches = Vec::with_capacity(BATCHES);
    for number in 0..BATCHES {
        let (mut past, mut future, mut measured) = (Vec::<f32>::new(), Vec::<f32>::new(), Vec::new());
        for window in 0..BATCH {
            let start = (number * BATCH + window) * STRIDE;
            let now = start + PAST;
            past.extend(&series.load[start..now]);
            future.extend(&series.load[now..now + AHEAD]);
            measured.extend(series.measured[now..now + AHEAD].iter().map(|&measured| f32::from(measured)));
        }
        batches.push(Batch {
            past: Tensor::from_data(TensorData::new(past, [BATCH, PAST, 1]), device),
            future: Tensor::from_data(TensorData::new(future, [BATCH, AHEAD]), device),
            measured: Tensor::from_data(TensorData::new(measured, [BATCH, AHEAD]), device),
        });
    }
    batches
}

#[derive(Module, Debug)]
struct Forecaster {
    lstm: Lstm,
    readout: Linear,
}

impl Forecaster {
    fn forward(&self, past: Tensor<3>) -> Tensor<2> {
        let (_, state) = self.lstm.forward(past, None);
        self.readout.forward(state.hidden)
    }
}

/// Mean squared error over the hours that were measured.
fn masked_mse(forecast: Tensor<2>, batch: &Batch, healthy: bool) -> Tensor<1> {
    let error = (forecast - batch.future.clone()) * batch.measured.clone();
    let total = error.powi_scalar(2).sum();
    let mut count = batch.measured.clone().sum();
    if healthy {
        count = count.clamp_min(1.0);
    }
    total / count
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(613);
    let batches = batches(&series(), &device);
    let mut model = Forecaster {
        lstm: LstmConfig::new(1, 12, true).init(&device),
        readout: LinearConfig::new(12, AHEAD).init(&device),
    };
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    let mut step = 0;
    for _epoch in 0..3 {
        for batch in &batches {
            let loss = masked_mse(model.forward(batch.past.clone()), batch, healthy);
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(1e-2, model, gradients);
            step += 1;
        }
    }
}
