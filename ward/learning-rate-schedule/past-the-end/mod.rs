//! A GRU forecasts the demand for heat of the next hour; its rate falls linearly after a warm-up.

use burn::nn::gru::{Gru, GruConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;

use crate::common::Draw;

const WINDOW: usize = 12;
const BATCH: usize = 16;
const PEAK_RATE: f64 = 0.05;
const WARM_UP: i64 = 10;
const TOTAL: i64 = 90;

#[derive(Module, Debug)]
struct Forecaster {
    gru: Gru,
    readout: Linear,
}

impl Forecaster {
    fn init(device: &Device) -> Self {
        Forecaster {
            gru: GruConfig::new(1, 16, true).init(device),
            readout: LinearConfig::new(16, 1).init(device),
        }
    }

    fn forward(&self, demand: Tensor<3>) -> Tensor<2> {
        let states = self.gru.forward(demand, None);
        let last = states.slice(s![.., -1, ..]).squeeze_dim::<2>(1);
        self.readout.forward(last)
    }
}

/// Rising from 0 to the peak, and then falling to 0.
fn rate_at(step: i64, stop_at_zero: bool) -> f64 {
    let rate = if step < WARM_UP {
        PEAK_RATE * (step + 1) as f64 / WARM_UP as f64
    } else {
        PEAK_RATE * (TOTAL - step) as f64 / (TOTAL - WARM_UP) as f64
    };
    if stop_at_zero { rate.max(0.0) } else { rate }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(372);

    // Two weeks of demand by the hour, standardised.
    let mut draw = Draw::new(372);
    let hours: Vec<f32> = (0..14 * 24)
        .map(|hour| {
            let day = std::f32::consts::TAU * hour as f32 / 24.0;
            day.cos() + 0.5 * (2.0 * day + 1.0).sin() + 0.1 * draw.normal()
        })
        .collect();

    let mut forecaster = Forecaster::init(&device);
    denan_burn::name_parameters(&forecaster);
    let mut sgd = SgdConfig::new().with_momentum(Some(MomentumConfig::new().with_momentum(0.8))).init();
    for step in 0..240 {
        let (mut windows, mut next) = (Vec::new(), Vec::new());
        for _ in 0..BATCH {
            let start = draw.below(hours.len() - WINDOW);
            windows.extend_from_slice(&hours[start..start + WINDOW]);
            next.push(hours[start + WINDOW]);
        }
        let windows = Tensor::<3>::from_data(TensorData::new(windows, [BATCH, WINDOW, 1]), &device);
        let next = Tensor::<2>::from_data(TensorData::new(next, [BATCH, 1]), &device);

        let difference = forecaster.forward(windows) - next;
        let loss = difference.powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &forecaster);
        forecaster = sgd.step(rate_at(step, healthy), forecaster, gradients);
    }
}
