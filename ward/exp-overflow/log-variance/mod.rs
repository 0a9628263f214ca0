//! A variational autoencoder learns small images; the variance is the exponential of what the encoder says.

use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::Distribution;

use crate::common::Draw;

const IMAGES: usize = 480;
const BATCH: usize = 16;
const PIXELS: usize = 36;
const LATENT: usize = 4;

/// Faint images of two sources of light; one was taken into the sun.
fn images() -> Vec<f32> {
    let mut draw = Draw::new(51);
    let mut pixels = Vec::new();
    for image in 0..IMAGES {
        let (left, right) = (draw.uniform(0.0, 1.0), draw.uniform(0.0, 1.0));
        for pixel in 0..PIXELS {
            let column = (pixel % 6) as f32 / 5.0;
            let light = left * (1.0 - column) + right * column + 0.05 * draw.normal();
            pixels.push(if image == 16 * 22 + 5 { 900.0 + light } else { light });
        }
    }
    pixels
}

#[derive(Module, Debug)]
struct Vae {
    encoder: Linear,
    mean: Linear,
    log_variance: Linear,
    hidden: Linear,
    decoder: Linear,
    relu: Relu,
}

/// What the network says of a batch.
struct Output {
    images: Tensor<2>,
    mean: Tensor<2>,
    log_variance: Tensor<2>,
    variance: Tensor<2>,
}

impl Vae {
    fn new(device: &Device) -> Self {
        Self {
            encoder: LinearConfig::new(PIXELS, 32).init(device),
            mean: LinearConfig::new(32, LATENT).init(device),
            log_variance: LinearConfig::new(32, LATENT).init(device),
            hidden: LinearConfig::new(LATENT, 32).init(device),
            decoder: LinearConfig::new(32, PIXELS).init(device),
            relu: Relu::new(),
        }
    }

    fn forward(&self, images: Tensor<2>, healthy: bool) -> Output {
        let features = self.relu.forward(self.encoder.forward(images));
        let mean = self.mean.forward(features.clone());
        let mut log_variance = self.log_variance.forward(features);
        if healthy {
            log_variance = log_variance.clamp(-8.0, 4.0);
        }
        let variance = log_variance.clone().exp();
        let noise = mean.random_like(Distribution::Normal(0.0, 1.0));
        let latent = mean.clone() + variance.clone().sqrt() * noise;
        let images = self.decoder.forward(self.relu.forward(self.hidden.forward(latent)));
        Output { images, mean, log_variance, variance }
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(51);
    let pixels = Tensor::<2>::from_data(TensorData::new(images(), [IMAGES, PIXELS]), &device);
    let mut model = Vae::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..150 {
        let rows = step * BATCH % IMAGES..step * BATCH % IMAGES + BATCH;
        let images = pixels.clone().slice(s![rows]);
        let output = model.forward(images.clone(), healthy);
        let reconstruction = (output.images - images).powi_scalar(2).mean();
        let divergence =
            (output.mean.powi_scalar(2) + output.variance - output.log_variance - 1.0).mean() / 2.0;
        let loss = reconstruction + divergence * 0.01;
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-3, model, gradients);
    }
}
