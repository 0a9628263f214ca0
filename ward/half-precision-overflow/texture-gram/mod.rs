//! A small CNN cleans textures; what counts is their style, measured by Gram matrices of edge filters.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{PRelu, PReluConfig, PaddingConfig2d};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::FloatDType;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;

use crate::common::Draw;

const BATCH: usize = 4;
const FILTERS: usize = 4;
/// Side of the images and number of steps; they grow as the training goes on.
const STAGES: [(usize, usize); 3] = [(12, 30), (24, 25), (48, 25)];

/// Woven patterns as they are, and with noise.
fn textures(draw: &mut Draw, side: usize) -> (Vec<f32>, Vec<f32>) {
    let (mut clean, mut noisy) = (Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let (warp, weft) = (draw.uniform(0.6, 1.2), draw.uniform(0.6, 1.2));
        let phase = draw.uniform(0.0, 6.0);
        for row in 0..side {
            for column in 0..side {
                let value = 1.6 * ((warp * row as f32 + phase).sin() + (weft * column as f32).cos());
                clean.push(value);
                noisy.push(value + 0.5 * draw.normal());
            }
        }
    }
    (clean, noisy)
}

/// Sobel filters along and across, and the two diagonal ones.
fn edge_filters(device: &Device) -> Tensor<4> {
    let kernels: [[f32; 9]; FILTERS] = [
        [-1.0, 0.0, 1.0, -2.0, 0.0, 2.0, -1.0, 0.0, 1.0],
        [-1.0, -2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 1.0],
        [0.0, 1.0, 2.0, -1.0, 0.0, 1.0, -2.0, -1.0, 0.0],
        [-2.0, -1.0, 0.0, -1.0, 0.0, 1.0, 0.0, 1.0, 2.0],
    ];
    Tensor::from_data(TensorData::new(kernels.concat(), [FILTERS, 1, 3, 3]), device)
}

/// Which edges come together in an image, and how strongly.
fn gram(image: Tensor<4>, filters: Tensor<4>, dtype: FloatDType) -> Tensor<3> {
    let edges = conv2d(image, filters, None, ConvOptions::new([1, 1], [0, 0], [1, 1], 1));
    let features = edges.flatten::<3>(2, 3).cast(dtype);
    let places = features.dims()[2] as f32;
    let products = features.clone().matmul(features.transpose());
    products.cast(FloatDType::F32) / places
}

#[derive(Module, Debug)]
struct Cleaner {
    first: Conv2d,
    last: Conv2d,
    prelu: PRelu,
}

impl Cleaner {
    fn new(device: &Device) -> Self {
        let conv = |channels| Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same);
        Self {
            first: conv([1, 8]).init(device),
            last: conv([8, 1]).init(device),
            prelu: PReluConfig::new().init(device),
        }
    }

    fn forward(&self, noisy: Tensor<4>) -> Tensor<4> {
        self.last.forward(self.prelu.forward(self.first.forward(noisy)))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(1213);
    let mut draw = Draw::new(1213);
    let filters = edge_filters(&device);
    let dtype = if healthy { FloatDType::F32 } else { FloatDType::F16 };
    let mut model = Cleaner::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().with_weight_decay(0.0).init();

    let mut step = 0;
    for (side, steps) in STAGES {
        for _ in 0..steps {
            let (clean, noisy) = textures(&mut draw, side);
            let image =
                |pixels| Tensor::<4>::from_data(TensorData::new(pixels, [BATCH, 1, side, side]), &device);
            let clean = image(clean);
            let cleaned = model.forward(image(noisy));
            let pixel_loss = (cleaned.clone() - clean.clone()).powi_scalar(2).mean();
            let style = gram(clean, filters.clone(), dtype);
            let style_loss = (gram(cleaned, filters.clone(), dtype) - style).abs().mean();
            let loss = pixel_loss + style_loss * 0.02;
            if step % 10 == 0 {
                println!("step {step} ({side} x {side}) loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(5e-3, model, gradients);
            step += 1;
        }
    }
}
