//! Recordings of whales are laid out in a map, in which animals of the same age lie near each other. A card holds
//! two recordings at once, so that the gradients of several such pairs are added up before each update.

use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsAccumulator, GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::relu;

use crate::common::Draw;

const BANDS: usize = 16;
const WIDTH: usize = 32;
const PLACE: usize = 4;
const BLOCKS: usize = 5;
/// Recordings in each update.
const RECORDINGS: usize = 24;

/// Loudness in each band, and the age of the animal in decades.
struct Recordings {
    bands: Tensor<2>,
    ages: Tensor<2>,
}

fn recordings(count: usize, draw: &mut Draw, device: &Device) -> Recordings {
    let (mut bands, mut ages) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let age = draw.uniform(0.5, 6.0);
        let pitch = 12.0 - 1.5 * age + 0.5 * draw.normal();
        for band in 0..BANDS {
            let tone = (-(band as f32 - pitch).powi(2) / 8.0).exp();
            bands.push(2.0 * tone + 0.3 * draw.normal());
        }
        ages.push(age);
    }
    Recordings {
        bands: Tensor::from_data(TensorData::new(bands, [count, BANDS]), device),
        ages: Tensor::from_data(TensorData::new(ages, [count, 1]), device),
    }
}

#[derive(Module, Debug)]
struct Block {
    norm: BatchNorm,
    inner: Linear,
    outer: Linear,
}

impl Block {
    fn new(device: &Device) -> Self {
        Self {
            norm: BatchNormConfig::new(WIDTH).init(device),
            inner: LinearConfig::new(WIDTH, WIDTH).init(device),
            outer: LinearConfig::new(WIDTH, WIDTH).init(device),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let inner = self.inner.forward(relu(self.norm.forward(x.clone())));
        x + self.outer.forward(relu(inner))
    }
}

#[derive(Module, Debug)]
struct Tower {
    stem: Linear,
    blocks: Vec<Block>,
    place: Linear,
}

impl Tower {
    fn new(device: &Device) -> Self {
        Self {
            stem: LinearConfig::new(BANDS, WIDTH).init(device),
            blocks: (0..BLOCKS).map(|_| Block::new(device)).collect(),
            place: LinearConfig::new(WIDTH, PLACE).init(device),
        }
    }

    fn forward(&self, bands: Tensor<2>) -> Tensor<2> {
        let x = self.blocks.iter().fold(self.stem.forward(bands), |x, block| block.forward(x));
        self.place.forward(x)
    }
}

/// The distance of two places should be the difference of the ages.
fn stress(left: Tensor<2>, right: Tensor<2>, apart: Tensor<2>) -> Tensor<1> {
    let distance = (left - right).square().sum_dim(1).add_scalar(1e-4).sqrt();
    (distance - apart).square().mean()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(2201);
    let mut draw = Draw::new(2201);
    let mut model = Tower::new(&device);
    denan_burn::name_parameters(&model);
    let momentum = MomentumConfig::new().with_momentum(0.9);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let mut accumulator = GradientsAccumulator::new();
    let at_once = if healthy { RECORDINGS } else { 2 };

    for step in 0..160 {
        let parts = RECORDINGS / at_once;
        let mut total = 0.0;
        for _ in 0..parts {
            let left = recordings(at_once, &mut draw, &device);
            let right = recordings(at_once, &mut draw, &device);
            let apart = (left.ages - right.ages).abs();
            let loss = stress(model.forward(left.bands), model.forward(right.bands), apart) / parts as f32;
            total += loss.clone().into_scalar::<f32>();
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            accumulator.accumulate(&model, gradients);
        }
        if step % 10 == 0 {
            println!("step {step} loss {total:.4}");
        }
        model = optimizer.step(0.02, model, accumulator.grads());
    }
}
