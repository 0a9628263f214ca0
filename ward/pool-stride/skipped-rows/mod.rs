//! A small CNN tells bars from crosses; its pooling moves further than it reaches.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const IMAGES: usize = 240;
const SIDE: usize = 12;
const BATCH: usize = 24;

/// Upright bars and crosses with noise, and which of them each is.
fn images() -> (Vec<f32>, Vec<i64>) {
    let mut draw = Draw::new(911);
    let (mut pixels, mut classes) = (Vec::new(), Vec::new());
    for image in 0..IMAGES {
        let is_cross = image % 2 == 1;
        let (row, column) = (2 + draw.below(8), 2 + draw.below(8));
        for y in 0..SIDE {
            for x in 0..SIDE {
                let ink = x == column || is_cross && y == row;
                pixels.push(f32::from(u8::from(ink)) + 0.1 * draw.normal());
            }
        }
        classes.push(i64::from(is_cross));
    }
    (pixels, classes)
}

#[derive(Module, Debug)]
struct Reader {
    conv: Conv2d,
    pool: MaxPool2d,
    head: Linear,
    relu: Relu,
}

impl Reader {
    fn new(device: &Device, healthy: bool) -> Self {
        let stride = if healthy { 2 } else { 3 };
        // Ten rows are left by the convolution.
        let side = if healthy { 5 } else { 3 };
        Self {
            conv: Conv2dConfig::new([1, 6], [3, 3]).init(device),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([stride, stride]).init(),
            head: LinearConfig::new(6 * side * side, 2).init(device),
            relu: Relu::new(),
        }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let seen = self.relu.forward(self.conv.forward(images));
        let pooled = self.pool.forward(seen);
        self.head.forward(pooled.flatten::<2>(1, 3))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(911);
    let (pixels, classes) = images();
    let images = Tensor::<4>::from_data(TensorData::new(pixels, [IMAGES, 1, SIDE, SIDE]), &device);
    let classes = Tensor::<1, Int>::from_data(classes.as_slice(), &device);
    let mut model = Reader::new(&device, healthy);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);

    for step in 0..80 {
        let rows = step * BATCH % IMAGES..step * BATCH % IMAGES + BATCH;
        let scores = model.forward(images.clone().slice(s![rows.clone()]));
        let loss = cross_entropy.forward(scores, classes.clone().slice(s![rows]));
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
}
