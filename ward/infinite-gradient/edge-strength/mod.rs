//! A convolutional autoencoder also compares the edges of images, each the length of a slope.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{PaddingConfig2d, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const IMAGES: usize = 256;
const BATCH: usize = 8;
const SIDE: usize = 12;

/// A bright disc in front of noise; one was taken with the lid on.
fn images() -> Vec<f32> {
    let mut draw = Draw::new(62);
    let mut pixels = Vec::with_capacity(IMAGES * SIDE * SIDE);
    for image in 0..IMAGES {
        let has_lid = image == 140;
        let (x, y, radius) = (draw.uniform(3.0, 9.0), draw.uniform(3.0, 9.0), draw.uniform(2.0, 4.0));
        for pixel in 0..SIDE * SIDE {
            let (dx, dy) = ((pixel % SIDE) as f32 - x, (pixel / SIDE) as f32 - y);
            let light = (radius - dx.hypot(dy)).clamp(0.0, 1.0) + draw.uniform(0.0, 0.1);
            pixels.push(if has_lid { 0.0 } else { light });
        }
    }
    pixels
}

#[derive(Module, Debug)]
struct Autoencoder {
    encoder: Conv2d,
    bottleneck: Conv2d,
    decoder: Conv2d,
    relu: Relu,
}

impl Autoencoder {
    fn new(device: &Device) -> Self {
        let conv =
            |channels| Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same).init(device);
        Self { encoder: conv([1, 8]), bottleneck: conv([8, 4]), decoder: conv([4, 1]), relu: Relu::new() }
    }

    /// The image again.
    fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let features = self.relu.forward(self.encoder.forward(images));
        let code = self.relu.forward(self.bottleneck.forward(features));
        self.decoder.forward(code)
    }
}

/// Length of the slope at each pixel but those of the last row and column.
fn edges(images: Tensor<4>, healthy: bool) -> Tensor<4> {
    let inner = images.clone().slice(s![.., .., ..-1, ..-1]);
    let across = images.clone().slice(s![.., .., ..-1, 1..]) - inner.clone();
    let down = images.slice(s![.., .., 1.., ..-1]) - inner;
    let mut squared = across.powi_scalar(2) + down.powi_scalar(2);
    if healthy {
        squared = squared + 1e-6;
    }
    squared.sqrt()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(62);
    let pixels = Tensor::<4>::from_data(TensorData::new(images(), [IMAGES, 1, SIDE, SIDE]), &device);
    let mut model = Autoencoder::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..120 {
        let rows = step * BATCH % IMAGES..step * BATCH % IMAGES + BATCH;
        let images = pixels.clone().slice(s![rows]);
        let output = model.forward(images.clone());
        let pixel_loss = (output.clone() - images.clone()).powi_scalar(2).mean();
        let edge_loss = (edges(output, healthy) - edges(images, healthy)).abs().mean();
        let loss = pixel_loss + edge_loss * 0.1;
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(5e-3, model, gradients);
    }
}
