//! An LSTM reads the levels of a river at three gauges and forecasts the lowest one for half a day.

use burn::nn::{Linear, LinearConfig, Lstm, LstmConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;

use crate::common::Draw;

const HOURS: usize = 400;
const PAST: usize = 10;
const AHEAD: usize = 12;
const GAUGES: usize = 3;
const BATCH: usize = 24;

/// A flood wave runs down the river, a few hours from gauge to gauge.
fn levels() -> Vec<[f32; GAUGES]> {
    let mut draw = Draw::new(1409);
    let mut rain = vec![0.0; HOURS];
    for hour in 1..HOURS {
        rain[hour] = 0.9 * rain[hour - 1] + 0.3 * draw.normal();
    }
    (0..HOURS)
        .map(|hour| {
            let season = (hour as f32 / 30.0).sin();
            std::array::from_fn(|gauge| {
                season + rain[hour.saturating_sub(4 * gauge)] * 0.4 + 0.02 * draw.normal()
            })
        })
        .collect()
}

#[derive(Module, Debug)]
struct River {
    lstm: Lstm,
    forecast: Linear,
}

impl River {
    fn forward(&self, past: Tensor<3>) -> Tensor<2> {
        let (_states, last) = self.lstm.forward(past, None);
        self.forecast.forward(last.hidden)
    }
}

fn squared_error(forecast: Tensor<2>, observed: Tensor<2>, healthy: bool) -> Tensor<1> {
    let squared = (forecast - observed).square();
    if healthy { squared.mean() } else { squared.sum() }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(1409);
    let levels = levels();
    let mut river = River {
        lstm: LstmConfig::new(GAUGES, 16, true).init(&device),
        forecast: LinearConfig::new(16, AHEAD).init(&device),
    };
    denan_burn::name_parameters(&river);
    let mut sgd = SgdConfig::new().init();
    let mut draw = Draw::new(1410);

    for step in 0..150 {
        let (mut past, mut ahead) = (Vec::<f32>::new(), Vec::<f32>::new());
        for _ in 0..BATCH {
            let start = draw.below(HOURS - PAST - AHEAD);
            let now = start + PAST;
            past.extend(levels[start..now].as_flattened());
            ahead.extend(levels[now..now + AHEAD].iter().map(|gauges| gauges[GAUGES - 1]));
        }
        let past = Tensor::<3>::from_data(TensorData::new(past, [BATCH, PAST, GAUGES]), &device);
        let ahead = Tensor::<2>::from_data(TensorData::new(ahead, [BATCH, AHEAD]), &device);

        let loss = squared_error(river.forward(past), ahead, healthy);
        if step % 10 == 0 {
            println!("step {step:3} loss {:.5}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &river);
        river = sgd.step(0.3, river, gradients);
    }
}
