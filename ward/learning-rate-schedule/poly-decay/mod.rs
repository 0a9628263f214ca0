//! A small U-shaped network finds vessels in slices of a scan; its rate decays by a power of what is left.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{relu, sigmoid};

use crate::common::Draw;

const SLICES: usize = 64;
const BATCH: usize = 8;
const SIDE: usize = 12;
const EPOCHS: usize = 16;

/// One vessel or two in each slice, from top to bottom.
fn slices() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(371);
    let (mut scans, mut vessels) = (Vec::new(), Vec::new());
    for _ in 0..SLICES {
        let mut vessel = [[0.0f32; SIDE]; SIDE];
        for _ in 0..1 + draw.below(2) {
            let mut column = 2 + draw.below(SIDE - 4);
            for row in &mut vessel {
                row[column] = 1.0;
                row[column + 1] = 1.0;
                column = (column + draw.below(3)).clamp(2, SIDE - 2) - 1;
            }
        }
        for value in vessel.concat() {
            vessels.push(value);
            scans.push(0.8 * value + 0.3 * draw.normal());
        }
    }
    (scans, vessels)
}

#[derive(Module, Debug)]
struct UNet {
    entry: Conv2d,
    pool: MaxPool2d,
    bottom: Conv2d,
    up: ConvTranspose2d,
    exit: Conv2d,
}

impl UNet {
    fn new(device: &Device) -> Self {
        let conv =
            |channels| Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same).init(device);
        Self {
            entry: conv([1, 8]),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            bottom: conv([8, 16]),
            up: ConvTranspose2dConfig::new([16, 8], [2, 2]).with_stride([2, 2]).init(device),
            exit: conv([16, 1]),
        }
    }

    fn forward(&self, scans: Tensor<4>) -> Tensor<4> {
        let fine = relu(self.entry.forward(scans));
        let coarse = relu(self.bottom.forward(self.pool.forward(fine.clone())));
        let merged = Tensor::cat(vec![fine, relu(self.up.forward(coarse))], 1);
        sigmoid(self.exit.forward(merged))
    }
}

/// One minus the overlap by Dice.
fn dice_loss(found: Tensor<4>, vessels: Tensor<4>) -> Tensor<1> {
    let common = (found.clone() * vessels.clone()).sum();
    (common * -2.0 - 1.0) / (found.sum() + vessels.sum() + 1.0) + 1.0
}

/// `(1 - step / steps)^0.9`
struct PolynomialDecay {
    base: f64,
    steps: usize,
}

impl PolynomialDecay {
    fn rate(&self, step: usize) -> f64 {
        self.base * (1.0 - step as f64 / self.steps as f64).powf(0.9)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(371);
    let (scans, vessels) = slices();
    let shape = [SLICES, 1, SIDE, SIDE];
    let scans = Tensor::<4>::from_data(TensorData::new(scans, shape), &device);
    let vessels = Tensor::<4>::from_data(TensorData::new(vessels, shape), &device);
    let mut model = UNet::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let steps = if healthy { EPOCHS * SLICES / BATCH } else { 100 };
    let decay = PolynomialDecay { base: 0.01, steps };

    let mut step = 0;
    for _epoch in 0..EPOCHS {
        for start in (0..SLICES).step_by(BATCH) {
            let rows = start..start + BATCH;
            let found = model.forward(scans.clone().slice(s![rows.clone()]));
            let loss = dice_loss(found, vessels.clone().slice(s![rows]));
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(decay.rate(step), model, gradients);
            step += 1;
        }
    }
}
