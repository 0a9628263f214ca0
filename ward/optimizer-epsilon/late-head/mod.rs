//! A recurrent network forecasts a tide; a second head joins after a while, trained by RMSprop without an epsilon.

use burn::nn::gru::{Gru, GruConfig};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{GradientsParams, RmsPropConfig};
use burn::prelude::*;

use crate::common::Draw;

const SERIES: usize = 320;
const BATCH: usize = 16;
const LENGTH: usize = 10;
/// The gauges beside the tide: wind, pressure, and one that has not been installed yet.
const GAUGES: usize = 3;
/// From this step on the surge is learnt as well.
const SURGE_FROM: usize = 15;

struct Data {
    tide: Vec<f32>,
    gauges: Vec<f32>,
    next: Vec<f32>,
    surge: Vec<f32>,
}

fn series() -> Data {
    let mut draw = Draw::new(83);
    let mut data = Data { tide: vec![], gauges: vec![], next: vec![], surge: vec![] };
    for _ in 0..SERIES {
        let start = draw.uniform(0.0, std::f32::consts::TAU);
        let at = |hour: usize| (start + 0.5 * hour as f32).sin();
        let (wind, pressure) = (draw.normal(), draw.normal());
        data.tide.extend((0..LENGTH).map(at));
        data.gauges.extend([wind, pressure, 0.0]);
        data.next.push(at(LENGTH));
        data.surge.push(0.6 * wind - 0.3 * pressure);
    }
    data
}

#[derive(Module, Debug)]
struct Forecaster {
    gru: Gru,
    tide: Linear,
    gauges: Linear,
    surge: Linear,
    relu: Relu,
}

impl Forecaster {
    fn new(device: &Device) -> Self {
        Self {
            gru: GruConfig::new(1, 12, true).init(device),
            tide: LinearConfig::new(12, 1).init(device),
            gauges: LinearConfig::new(GAUGES, 8).init(device),
            surge: LinearConfig::new(8, 1).init(device),
            relu: Relu::new(),
        }
    }

    fn tide(&self, tide: Tensor<3>) -> Tensor<2> {
        let last: Tensor<2> = self.gru.forward(tide, None).slice(s![.., -1..]).squeeze_dim(1);
        self.tide.forward(last)
    }

    fn surge(&self, gauges: Tensor<2>) -> Tensor<2> {
        self.surge.forward(self.relu.forward(self.gauges.forward(gauges)))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(83);
    let data = series();
    let tide = Tensor::<3>::from_data(TensorData::new(data.tide, [SERIES, LENGTH, 1]), &device);
    let gauges = Tensor::<2>::from_data(TensorData::new(data.gauges, [SERIES, GAUGES]), &device);
    let next = Tensor::<2>::from_data(TensorData::new(data.next, [SERIES, 1]), &device);
    let surge = Tensor::<2>::from_data(TensorData::new(data.surge, [SERIES, 1]), &device);
    let mut model = Forecaster::new(&device);
    denan_burn::name_parameters(&model);
    let epsilon = if healthy { 1e-6 } else { 0.0 };
    let mut optimizer = RmsPropConfig::new().with_momentum(0.0).with_epsilon(epsilon).init();

    for step in 0..120 {
        let rows = step * BATCH % SERIES..step * BATCH % SERIES + BATCH;
        let output = model.tide(tide.clone().slice(s![rows.clone()]));
        let mut loss = (output - next.clone().slice(s![rows.clone()])).powi_scalar(2).mean();
        if step >= SURGE_FROM {
            let output = model.surge(gauges.clone().slice(s![rows.clone()]));
            loss = loss + (output - surge.clone().slice(s![rows])).powi_scalar(2).mean();
        }
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(2e-3, model, gradients);
    }
}
