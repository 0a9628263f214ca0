//! A small CNN marks the bright pixels of an image; its cross-entropy is written out with logarithms.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::BinaryCrossEntropyLossConfig;
use burn::nn::{PaddingConfig2d, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::sigmoid;

use crate::common::Draw;

const IMAGES: usize = 128;
const BATCH: usize = 8;
const SIDE: usize = 12;

/// Noise with a bright square in it, and which pixels are of the square.
fn images() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(32);
    let (mut pixels, mut masks) = (Vec::new(), Vec::new());
    for _ in 0..IMAGES {
        let (size, left, top) = (4 + draw.below(3), draw.below(6), draw.below(6));
        for row in 0..SIDE {
            for column in 0..SIDE {
                let is_inside = (left..left + size).contains(&column) && (top..top + size).contains(&row);
                let light = if is_inside { 3.0 } else { -1.0 };
                pixels.push(light + 0.3 * draw.normal());
                masks.push(f32::from(is_inside));
            }
        }
    }
    (pixels, masks)
}

#[derive(Module, Debug)]
struct Segmenter {
    first: Conv2d,
    second: Conv2d,
    output: Conv2d,
    relu: Relu,
}

impl Segmenter {
    fn new(device: &Device) -> Self {
        let conv =
            |channels| Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same).init(device);
        Self {
            first: conv([1, 12]),
            second: conv([12, 12]),
            output: Conv2dConfig::new([12, 1], [1, 1]).init(device),
            relu: Relu::new(),
        }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let features = self.relu.forward(self.first.forward(images));
        let features = self.relu.forward(self.second.forward(features));
        self.output.forward(features)
    }
}

fn pixel_loss(logits: Tensor<4>, masks: Tensor<4>, healthy: bool) -> Tensor<1> {
    if healthy {
        let device = logits.device();
        let loss = BinaryCrossEntropyLossConfig::new().with_logits(true).init(&device);
        return loss.forward(logits, masks.int());
    }
    let inside = sigmoid(logits);
    let outside = inside.clone().neg() + 1.0;
    let log_inside = inside.log();
    let log_outside = outside.log();
    let outside_mask = masks.clone().neg() + 1.0;
    (masks * log_inside + outside_mask * log_outside).neg().mean()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(32);
    let (pixels, masks) = images();
    let shape = [IMAGES, 1, SIDE, SIDE];
    let pixels = Tensor::<4>::from_data(TensorData::new(pixels, shape), &device);
    let masks = Tensor::<4>::from_data(TensorData::new(masks, shape), &device);
    let mut model = Segmenter::new(&device);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..120 {
        let rows = step * BATCH % IMAGES..step * BATCH % IMAGES + BATCH;
        let logits = model.forward(pixels.clone().slice(s![rows.clone()]));
        let loss = pixel_loss(logits, masks.clone().slice(s![rows]), healthy);
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
}
