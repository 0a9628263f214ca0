//! A small CNN counts the blobs of an image, trained by gradient descent with momentum.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::leaky_relu;

use crate::common::Draw;

const IMAGES: usize = 256;
const BATCH: usize = 16;
const SIDE: usize = 10;

fn images() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(72);
    let (mut pixels, mut counts) = (Vec::new(), Vec::new());
    for _ in 0..IMAGES {
        let count = draw.below(5);
        let mut image: Vec<f32> = (0..SIDE * SIDE).map(|_| 0.1 * draw.normal()).collect();
        for _ in 0..count {
            let at = draw.below(SIDE - 1) * SIDE + draw.below(SIDE - 1);
            for offset in [0, 1, SIDE, SIDE + 1] {
                image[at + offset] += 1.0;
            }
        }
        pixels.extend(image);
        counts.push(count as f32);
    }
    (pixels, counts)
}

#[derive(Module, Debug)]
struct Counter {
    first: Conv2d,
    second: Conv2d,
    output: Linear,
}

impl Counter {
    fn new(device: &Device) -> Self {
        Self {
            first: Conv2dConfig::new([1, 8], [3, 3]).init(device),
            second: Conv2dConfig::new([8, 8], [3, 3]).init(device),
            output: LinearConfig::new(8 * 6 * 6, 1).init(device),
        }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let features = leaky_relu(self.first.forward(images), 0.1);
        let features = leaky_relu(self.second.forward(features), 0.1);
        self.output.forward(features.flatten(1, 3))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(72);
    let (pixels, counts) = images();
    let pixels = Tensor::<4>::from_data(TensorData::new(pixels, [IMAGES, 1, SIDE, SIDE]), &device);
    let counts = Tensor::<2>::from_data(TensorData::new(counts, [IMAGES, 1]), &device);
    let mut model = Counter::new(&device);
    denan_burn::name_parameters(&model);
    let momentum = MomentumConfig::new().with_momentum(0.9);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let learning_rate = if healthy { 0.002 } else { 0.06 };

    for step in 0..150 {
        let rows = step * BATCH % IMAGES..step * BATCH % IMAGES + BATCH;
        let output = model.forward(pixels.clone().slice(s![rows.clone()]));
        let error = output - counts.clone().slice(s![rows]);
        let loss = error.powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(learning_rate, model, gradients);
    }
}
