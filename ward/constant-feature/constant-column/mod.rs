//! An MLP predicts prices; every batch is standardised by its own mean and standard deviation.

use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const HOUSES: usize = 480;
const BATCH: usize = 12;
const FEATURES: usize = 5;

/// Area, rooms, age, distance to the centre, and whether there is a lift, which is rare.
fn houses() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(41);
    let (mut features, mut prices) = (Vec::new(), Vec::new());
    for house in 0..HOUSES {
        let (area, rooms) = (draw.uniform(30.0, 200.0), draw.uniform(1.0, 8.0).floor());
        let (age, distance) = (draw.uniform(0.0, 90.0), draw.uniform(0.5, 30.0));
        let is_remote_district = (17 * BATCH..18 * BATCH).contains(&house);
        let has_lift = f32::from(!is_remote_district && (house % BATCH == 3 || draw.happens(0.2)));
        features.extend([area, rooms, age, distance, has_lift]);
        prices.push(0.02 * area - 0.01 * age - 0.03 * distance + 0.3 * has_lift + 0.1 * draw.normal());
    }
    (features, prices)
}

/// Mean 0 and standard deviation 1 in every column.
fn standardise(batch: Tensor<2>, healthy: bool) -> Tensor<2> {
    let centred = batch.clone() - batch.mean_dim(0);
    let deviation = centred.clone().powi_scalar(2).mean_dim(0).sqrt();
    if healthy {
        return centred / (deviation + 1e-5);
    }
    centred / deviation
}

#[derive(Module, Debug)]
struct Mlp {
    hidden: Linear,
    output: Linear,
    relu: Relu,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(FEATURES, 24).init(device),
            output: LinearConfig::new(24, 1).init(device),
            relu: Relu::new(),
        }
    }

    fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        self.output.forward(self.relu.forward(self.hidden.forward(features)))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(41);
    let (features, prices) = houses();
    let features = Tensor::<2>::from_data(TensorData::new(features, [HOUSES, FEATURES]), &device);
    let prices = Tensor::<2>::from_data(TensorData::new(prices, [HOUSES, 1]), &device);
    let mut model = Mlp::new(&device);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..160 {
        let rows = step * BATCH % HOUSES..step * BATCH % HOUSES + BATCH;
        let batch = standardise(features.clone().slice(s![rows.clone()]), healthy);
        let price = prices.clone().slice(s![rows]);
        let loss = MseLoss::new().forward(model.forward(batch), price, Reduction::Mean);
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
}
