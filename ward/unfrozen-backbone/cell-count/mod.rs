//! Cells in a microscope's images are counted: at first only a head is trained, upon frozen
//! convolutions, and later all of it.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AvgPool2d, AvgPool2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::leaky_relu;

use crate::common::Draw;

const IMAGES: usize = 256;
const BATCH: usize = 16;
const SIDE: usize = 12;
/// From this step on the convolutions are trained as well.
const RELEASE: usize = 60;

fn images() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(391);
    let (mut pixels, mut counts) = (Vec::new(), Vec::new());
    for _ in 0..IMAGES {
        let mut image: Vec<f32> = (0..SIDE * SIDE).map(|_| 0.1 * draw.normal()).collect();
        let count = 1 + draw.below(7);
        for _ in 0..count {
            let (row, column) = (draw.below(SIDE - 2), draw.below(SIDE - 2));
            let is_large = draw.happens(0.5);
            for at in 0..if is_large { 9 } else { 4 } {
                let side = if is_large { 3 } else { 2 };
                image[(row + at / side) * SIDE + column + at % side] += if is_large { 0.6 } else { 1.2 };
            }
        }
        pixels.extend(image);
        counts.push(count as f32);
    }
    (pixels, counts)
}

#[derive(Module, Debug)]
struct Backbone {
    stages: Vec<Conv2d>,
    pool: AvgPool2d,
}

impl Backbone {
    fn new(device: &Device) -> Self {
        let stage =
            |channels| Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same).init(device);
        Self {
            stages: vec![stage([1, 12]), stage([12, 12]), stage([12, 16])],
            pool: AvgPool2dConfig::new([4, 4]).with_strides([4, 4]).init(),
        }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let mut features = images;
        for stage in &self.stages {
            features = leaky_relu(stage.forward(features), 0.1);
        }
        self.pool.forward(features).flatten(1, 3)
    }
}

#[derive(Module, Debug)]
struct Counter {
    backbone: Backbone,
    head: Linear,
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(391);
    let (pixels, counts) = images();
    let pixels = Tensor::<4>::from_data(TensorData::new(pixels, [IMAGES, 1, SIDE, SIDE]), &device);
    let counts = Tensor::<2>::from_data(TensorData::new(counts, [IMAGES, 1]), &device);
    let mut model =
        Counter { backbone: Backbone::new(&device), head: LinearConfig::new(16 * 3 * 3, 1).init(&device) };
    denan_burn::name_parameters(&model);
    model.backbone = model.backbone.freeze();
    let momentum = MomentumConfig::new().with_momentum(0.9);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let mut rate = 0.03;

    for step in 0..160 {
        if step == RELEASE {
            model.backbone = model.backbone.unfreeze();
            if healthy {
                rate /= 50.0;
            }
        }
        let rows = step * BATCH % IMAGES..step * BATCH % IMAGES + BATCH;
        let features = model.backbone.forward(pixels.clone().slice(s![rows.clone()]));
        let difference = model.head.forward(features) - counts.clone().slice(s![rows]);
        let loss = difference.powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(rate, model, gradients);
    }
}
