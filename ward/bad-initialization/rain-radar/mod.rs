//! Rain on a fine grid from a coarse one: transposed convolutions between two convolutions sharpen
//! pictures of a weather radar.

use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::{Initializer, PaddingConfig2d};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::leaky_relu;

use crate::common::Draw;

const PICTURES: usize = 96;
const BATCH: usize = 8;
const COARSE: usize = 4;
const FINE: usize = 4 * COARSE;
const CHANNELS: usize = 12;

/// Showers, as a radar would see them from near, and means over squares of 4 by 4.
fn pictures() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(3109);
    let (mut coarse, mut fine) = (Vec::new(), Vec::new());
    for _ in 0..PICTURES {
        let showers: [[f32; 3]; 3] = std::array::from_fn(|_| {
            [draw.uniform(0.0, 15.0), draw.uniform(0.0, 15.0), draw.uniform(0.3, 1.5)]
        });
        let rain = |row: usize, column: usize| -> f32 {
            let of = |[y, x, strong]: [f32; 3]| {
                let apart = (row as f32 - y).powi(2) + (column as f32 - x).powi(2);
                strong * (-apart / 12.0).exp()
            };
            showers.map(of).iter().sum()
        };
        for square in 0..COARSE * COARSE {
            let (top, left) = (square / COARSE * 4, square % COARSE * 4);
            let sum: f32 = (0..16).map(|at| rain(top + at / 4, left + at % 4)).sum();
            coarse.push(sum / 16.0);
        }
        fine.extend((0..FINE * FINE).map(|at| rain(at / FINE, at % FINE)));
    }
    (coarse, fine)
}

/// He et al. 2015: a deviation that keeps the strength of a signal from layer to layer.
fn he_normal(fan_in: usize, healthy: bool) -> Initializer {
    let fan_in = fan_in as f64;
    let variance = if healthy { 2.0 / fan_in } else { fan_in / 2.0 };
    Initializer::Normal { mean: 0.0, std: variance.sqrt() }
}

#[derive(Module, Debug)]
struct Sharpener {
    enter: Conv2d,
    double: ConvTranspose2d,
    double_again: ConvTranspose2d,
    leave: Conv2d,
}

impl Sharpener {
    fn new(device: &Device, healthy: bool) -> Self {
        let conv = |channels: [usize; 2]| {
            Conv2dConfig::new(channels, [3, 3])
                .with_padding(PaddingConfig2d::Same)
                .with_initializer(he_normal(9 * channels[0], healthy))
                .with_bias(false)
                .init(device)
        };
        let double = || {
            ConvTranspose2dConfig::new([CHANNELS, CHANNELS], [2, 2])
                .with_stride([2, 2])
                .with_initializer(he_normal(CHANNELS, healthy))
                .with_bias(false)
                .init(device)
        };
        Self {
            enter: conv([1, CHANNELS]),
            double: double(),
            double_again: double(),
            leave: conv([CHANNELS, 1]),
        }
    }

    fn forward(&self, coarse: Tensor<4>) -> Tensor<4> {
        let x = leaky_relu(self.enter.forward(coarse), 0.1);
        let x = leaky_relu(self.double.forward(x), 0.1);
        let x = leaky_relu(self.double_again.forward(x), 0.1);
        self.leave.forward(x)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(3109);
    let (coarse, fine) = pictures();
    let coarse = Tensor::<4>::from_data(TensorData::new(coarse, [PICTURES, 1, COARSE, COARSE]), &device);
    let fine = Tensor::<4>::from_data(TensorData::new(fine, [PICTURES, 1, FINE, FINE]), &device);
    let mut model = Sharpener::new(&device, healthy);
    denan_burn::name_parameters(&model);
    let mut sgd = SgdConfig::new().init();

    for step in 0..120 {
        let first = step * BATCH % PICTURES;
        let rows = s![first..first + BATCH];
        let sharp = model.forward(coarse.clone().slice(rows));
        let loss = (sharp - fine.clone().slice(rows)).powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = sgd.step(0.02, model, gradients);
    }
}
