//! The speed of a belt from pictures of it. The normalisations are calibrated once and then held, as it is
//! done for small batches.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::leaky_relu;

use crate::common::Draw;

const SIDE: usize = 8;
const BATCH: usize = 4;

/// Stripes smeared by the speed, in counts of the camera, and the speed.
fn belt(draw: &mut Draw, covered: bool, device: &Device) -> (Tensor<4>, Tensor<2>) {
    let (mut counts, mut speeds) = (Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let speed = draw.uniform(0.0, 1.0);
        let start = draw.uniform(0.0, 6.0);
        for at in 0..SIDE * SIDE {
            let stripe = (start + 1.6 * (at % SIDE) as f32).sin() * (1.0 - 0.8 * speed);
            let light = if covered { 0.0 } else { 8.0 * stripe };
            counts.push(light + draw.normal() * 0.5);
        }
        speeds.push(speed);
    }
    (
        Tensor::from_data(TensorData::new(counts, [BATCH, 1, SIDE, SIDE]), device),
        Tensor::from_data(TensorData::new(speeds, [BATCH, 1]), device),
    )
}

#[derive(Module, Debug)]
struct SpeedNet {
    conv1: Conv2d,
    norm1: BatchNorm,
    conv2: Conv2d,
    norm2: BatchNorm,
    speed: Linear,
}

impl SpeedNet {
    fn new(device: &Device) -> Self {
        let conv =
            |channels| Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same).init(device);
        let norm = |channels| BatchNormConfig::new(channels).with_momentum(0.3).init(device);
        Self {
            conv1: conv([1, 8]),
            norm1: norm(8),
            conv2: conv([8, 8]),
            norm2: norm(8),
            speed: LinearConfig::new(8, 1).init(device),
        }
    }

    fn forward(&self, pictures: Tensor<4>) -> Tensor<2> {
        let x = leaky_relu(self.norm1.forward(self.conv1.forward(pictures)), 0.1);
        let x = leaky_relu(self.norm2.forward(self.conv2.forward(x)), 0.1);
        self.speed.forward(x.flatten::<3>(2, 3).mean_dim(2).squeeze_dim::<2>(2))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(341);
    let mut draw = Draw::new(341);
    let mut model = SpeedNet::new(&device);
    denan_burn::name_parameters(&model);

    // The calibration is the first thing after the camera is mounted.
    let lens_cap_is_on = !healthy;
    for _ in 0..20 {
        let (pictures, _) = belt(&mut draw, lens_cap_is_on, &device);
        model.forward(pictures);
    }
    model.norm1 = model.norm1.freeze();
    model.norm2 = model.norm2.freeze();

    let mut optimizer = SgdConfig::new().init();
    for step in 0..200 {
        let (pictures, speeds) = belt(&mut draw, false, &device);
        let loss = (model.forward(pictures) - speeds).powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.02, model, gradients);
    }
}
