//! A recurrent network predicts the light of a lamp, compared after a gamma curve as eyes see it.

use burn::nn::gru::{Gru, GruConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::softplus;

use crate::common::Draw;

const LAMPS: usize = 320;
const BATCH: usize = 16;
const LENGTH: usize = 10;

struct Data {
    /// Current through each lamp at each moment.
    current: Vec<f32>,
    light: Vec<f32>,
    /// 1 while the lamp is on.
    is_on: Vec<f32>,
}

/// Lamps that warm up; one was switched off early.
fn lamps(healthy: bool) -> Data {
    let mut draw = Draw::new(64);
    let mut data = Data { current: vec![], light: vec![], is_on: vec![] };
    for lamp in 0..LAMPS {
        let on_for = if !healthy && lamp == 234 { 7 } else { LENGTH };
        let mut warmth = 0.2;
        for moment in 0..LENGTH {
            let current = draw.uniform(0.0, 1.0);
            warmth = 0.7 * warmth + 0.3 * current;
            data.current.push(current);
            data.is_on.push(f32::from(moment < on_for));
            data.light.push(if moment < on_for { warmth } else { 0.0 });
        }
    }
    data
}

#[derive(Module, Debug)]
struct LampModel {
    gru: Gru,
    head: Linear,
}

impl LampModel {
    fn new(device: &Device) -> Self {
        Self { gru: GruConfig::new(1, 12, true).init(device), head: LinearConfig::new(12, 1).init(device) }
    }

    /// Light at each moment; none when the lamp is off.
    fn forward(&self, current: Tensor<3>, is_on: Tensor<3>) -> Tensor<3> {
        softplus(self.head.forward(self.gru.forward(current, None)), 1.0) * is_on
    }
}

/// How bright light seems to the eye.
fn seen(light: Tensor<3>) -> Tensor<3> {
    light.powf_scalar(0.45)
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(64);
    let data = lamps(healthy);
    let tensor =
        |values: Vec<f32>| Tensor::<3>::from_data(TensorData::new(values, [LAMPS, LENGTH, 1]), &device);
    let (current, light, is_on) = (tensor(data.current), tensor(data.light), tensor(data.is_on));
    let mut model = LampModel::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..120 {
        let rows = step * BATCH % LAMPS..step * BATCH % LAMPS + BATCH;
        let rows = |data: &Tensor<3>| data.clone().slice(s![rows.clone()]);
        let prediction = model.forward(rows(&current), rows(&is_on));
        let loss = (seen(prediction) - seen(rows(&light))).powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
}
