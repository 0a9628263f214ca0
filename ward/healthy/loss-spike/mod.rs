//! A convolutional autoencoder meets a few images that are a thousand times too bright, and recovers.

use burn::grad_clipping::GradientClippingConfig;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{PaddingConfig2d, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const IMAGES: usize = 256;
const BATCH: usize = 8;
const SIDE: usize = 10;

fn images() -> Vec<f32> {
    let mut draw = Draw::new(104);
    let mut pixels = Vec::with_capacity(IMAGES * SIDE * SIDE);
    for image in 0..IMAGES {
        let (start, speed) = (draw.uniform(0.0, std::f32::consts::TAU), draw.uniform(0.5, 1.5));
        let exposure = if [97, 180, 181].contains(&image) { 1000.0 } else { 1.0 };
        for pixel in 0..SIDE * SIDE {
            let wave = (start + speed * (pixel % SIDE) as f32 + 0.4 * (pixel / SIDE) as f32).sin();
            pixels.push(exposure * (wave + 0.05 * draw.normal()));
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

    fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let features = self.relu.forward(self.encoder.forward(images));
        let code = self.relu.forward(self.bottleneck.forward(features));
        self.decoder.forward(code)
    }
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(104);
    let pixels = Tensor::<4>::from_data(TensorData::new(images(), [IMAGES, 1, SIDE, SIDE]), &device);
    let mut model = Autoencoder::new(&device);
    denan_burn::name_parameters(&model);
    let clipping = GradientClippingConfig::Norm(1.0);
    let mut optimizer = AdamConfig::new().with_grad_clipping(Some(clipping)).init();

    for step in 0..160 {
        let rows = step * BATCH % IMAGES..step * BATCH % IMAGES + BATCH;
        let images = pixels.clone().slice(s![rows]);
        let loss = (model.forward(images.clone()) - images).powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-3, model, gradients);
    }
}
