//! How deep an anaesthesia is, from the electroencephalogram. Only some of the windows were rated by a physician;
//! after a while the network rates the others itself, and learns from those ratings as well.

use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig1d};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::leaky_relu;

use crate::common::Draw;

const SAMPLES: usize = 32;
const CHANNELS: usize = 8;
const RATED: usize = 160;
const UNRATED: usize = 320;
const BATCH: usize = 16;
/// The network rates windows itself from this step on, and again every few steps.
const SELF_TRAINING: usize = 50;
const RATE_EVERY: usize = 10;

/// Microvolts, and the depth: the deeper it is, the slower the waves are, and the larger.
fn windows(count: usize, draw: &mut Draw, device: &Device) -> (Tensor<3>, Tensor<2>) {
    let (mut volts, mut depths) = (Vec::new(), Vec::new());
    for _ in 0..count {
        let depth = draw.normal().clamp(-2.0, 2.0);
        let (slow, fast) = (draw.uniform(0.0, 6.0), draw.uniform(0.0, 6.0));
        for sample in 0..SAMPLES {
            let sample = sample as f32;
            let waves = (30.0 + 10.0 * depth) * (slow + 0.4 * sample).sin()
                + (30.0 - 10.0 * depth) * (fast + 1.7 * sample).sin();
            volts.push(waves + 5.0 * draw.normal());
        }
        depths.push(depth);
    }
    (
        Tensor::from_data(TensorData::new(volts, [count, 1, SAMPLES]), device),
        Tensor::from_data(TensorData::new(depths, [count, 1]), device),
    )
}

#[derive(Module, Debug)]
struct DepthNet {
    conv1: Conv1d,
    norm: BatchNorm,
    conv2: Conv1d,
    depth: Linear,
}

impl DepthNet {
    fn new(momentum: f64, device: &Device) -> Self {
        let conv = |channels| {
            Conv1dConfig::new(channels, CHANNELS, 5).with_padding(PaddingConfig1d::Same).init(device)
        };
        Self {
            conv1: conv(1),
            norm: BatchNormConfig::new(CHANNELS).with_momentum(momentum).init(device),
            conv2: conv(CHANNELS),
            depth: LinearConfig::new(CHANNELS, 1).init(device),
        }
    }

    fn forward(&self, volts: Tensor<3>) -> Tensor<2> {
        let x = leaky_relu(self.norm.forward(self.conv1.forward(volts)), 0.1);
        let x = leaky_relu(self.conv2.forward(x), 0.1);
        self.depth.forward(x.mean_dim(2).squeeze_dim::<2>(2))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(2301);
    let mut draw = Draw::new(2301);
    let (volts, depths) = windows(RATED, &mut draw, &device);
    let (others, _) = windows(UNRATED, &mut draw, &device);
    let momentum = if healthy { 0.1 } else { 0.001 };
    let mut model = DepthNet::new(momentum, &device);
    denan_burn::name_parameters(&model);
    let mut optimizer = SgdConfig::new().init();
    let mut own_ratings: Option<Tensor<2>> = None;

    for step in 0..200 {
        if step >= SELF_TRAINING && step % RATE_EVERY == 0 {
            let ratings = model.valid().forward(others.clone().inner());
            own_ratings = Some(Tensor::from_inner(ratings));
        }
        let rows = step * BATCH % RATED..step * BATCH % RATED + BATCH;
        let (mut batch, mut wanted) = (volts.clone().slice(s![rows.clone()]), depths.clone().slice(s![rows]));
        if let Some(ratings) = &own_ratings {
            let rows = step * BATCH % UNRATED..step * BATCH % UNRATED + BATCH;
            batch = Tensor::cat(vec![batch, others.clone().slice(s![rows.clone()])], 0);
            wanted = Tensor::cat(vec![wanted, ratings.clone().slice(s![rows])], 0);
        }
        let loss = (model.forward(batch) - wanted).powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.05, model, gradients);
    }
}
