//! An LSTM forecasts how often a page is visited; a softplus keeps the forecast above 0.

use burn::nn::{Linear, LinearConfig, Lstm, LstmConfig};
use burn::optim::{AdaGradConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::relu;

use crate::common::Draw;

const PAGES: usize = 240;
const BATCH: usize = 12;
const DAYS: usize = 8;

/// Visits of each page on a number of days, and on the day after.
fn visits() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(261);
    let (mut past, mut next) = (Vec::new(), Vec::new());
    for _ in 0..PAGES {
        let (level, phase) = (draw.uniform(100.0, 180.0), draw.uniform(0.0, std::f32::consts::TAU));
        let mut on =
            |day: usize| (level * (1.0 + 0.2 * (phase + day as f32).sin()) + 5.0 * draw.normal()).round();
        past.extend((0..DAYS).map(&mut on));
        next.push(on(DAYS));
    }
    (past, next)
}

#[derive(Module, Debug)]
struct Forecaster {
    lstm: Lstm,
    head: Linear,
}

impl Forecaster {
    fn new(device: &Device) -> Self {
        Self { lstm: LstmConfig::new(1, 16, true).init(device), head: LinearConfig::new(16, 1).init(device) }
    }

    fn forward(&self, past: Tensor<3>, healthy: bool) -> Tensor<2> {
        let (_, state) = self.lstm.forward((past - 140.0) / 40.0, None);
        softplus(self.head.forward(state.hidden), healthy)
    }
}

fn softplus(raw: Tensor<2>, healthy: bool) -> Tensor<2> {
    if healthy {
        return relu(raw.clone()) + (raw.abs().neg().exp() + 1.0).log();
    }
    (raw.exp() + 1.0).log()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(261);
    let (past, next) = visits();
    let past = Tensor::<3>::from_data(TensorData::new(past, [PAGES, DAYS, 1]), &device);
    let next = Tensor::<2>::from_data(TensorData::new(next, [PAGES, 1]), &device);
    let mut model = Forecaster::new(&device);
    let mut optimizer = AdaGradConfig::new().init();

    for step in 0..150 {
        let rows = step * BATCH % PAGES..step * BATCH % PAGES + BATCH;
        let forecast = model.forward(past.clone().slice(s![rows.clone()]), healthy);
        let loss = (forecast - next.clone().slice(s![rows])).abs().mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1.0, model, gradients);
    }
}
