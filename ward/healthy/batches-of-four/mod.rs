//! Leaves are sorted by their veins, four at a time, by convolutions with batch normalisations.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::relu;

use crate::common::Draw;

const SIDE: usize = 12;
const BATCH: usize = 4;
const SPECIES: usize = 3;

/// Veins that run along, across or aslant.
fn leaves(draw: &mut Draw, device: &Device) -> (Tensor<4>, Tensor<1, Int>) {
    let (mut pixels, mut species) = (Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let kind = draw.below(SPECIES);
        let (start, width) = (draw.uniform(0.0, 6.0), draw.uniform(1.0, 1.6));
        for at in 0..SIDE * SIDE {
            let (row, column) = ((at / SIDE) as f32, (at % SIDE) as f32);
            let along = [row, column, 0.7 * (row + column)][kind];
            pixels.push(0.4 + 0.2 * (start + width * along).sin() + 0.05 * draw.normal());
        }
        species.push(kind as i64);
    }
    let pixels = Tensor::from_data(TensorData::new(pixels, [BATCH, 1, SIDE, SIDE]), device);
    (pixels, Tensor::from_data(species.as_slice(), device))
}

#[derive(Module, Debug)]
struct Stage {
    conv: Conv2d,
    norm: BatchNorm,
}

impl Stage {
    fn new(channels: [usize; 2], device: &Device) -> Self {
        Self {
            conv: Conv2dConfig::new(channels, [3, 3]).with_bias(false).init(device),
            norm: BatchNormConfig::new(channels[1]).init(device),
        }
    }
}

#[derive(Module, Debug)]
struct LeafNet {
    stages: Vec<Stage>,
    pool: AdaptiveAvgPool2d,
    hidden: Linear,
    norm: BatchNorm,
    species: Linear,
}

impl LeafNet {
    fn new(device: &Device) -> Self {
        Self {
            stages: vec![
                Stage::new([1, 8], device),
                Stage::new([8, 12], device),
                Stage::new([12, 12], device),
            ],
            pool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            hidden: LinearConfig::new(12, 16).init(device),
            norm: BatchNormConfig::new(16).init(device),
            species: LinearConfig::new(16, SPECIES).init(device),
        }
    }

    fn forward(&self, leaves: Tensor<4>) -> Tensor<2> {
        let mut x = leaves;
        for stage in &self.stages {
            x = relu(stage.norm.forward(stage.conv.forward(x)));
        }
        let x = self.hidden.forward(self.pool.forward(x).flatten::<2>(1, 3));
        self.species.forward(relu(self.norm.forward(x)))
    }
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(433);
    let mut draw = Draw::new(433);
    let mut net = LeafNet::new(&device);
    denan_burn::name_parameters(&net);
    let mut adam = AdamConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);

    let mut smooth = 1.1;
    for step in 0..260 {
        let (leaves, species) = leaves(&mut draw, &device);
        let loss = cross_entropy.forward(net.forward(leaves), species);
        smooth = 0.95 * smooth + 0.05 * loss.clone().into_scalar::<f32>();
        if step % 10 == 0 {
            println!("step {step} loss {smooth:.4}");
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &net);
        net = adam.step(2e-3, net, gradients);
    }
}
