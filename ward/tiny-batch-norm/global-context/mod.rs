//! Depth from single frames of a film. Every stage of the network knows the mean of all places as well, as
//! the context of the scene.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::{leaky_relu, relu};

use crate::common::Draw;

const SIDE: usize = 8;
const CHANNELS: usize = 12;
const STAGES: usize = 3;

/// Two frames of a clip, one after the other, and how far away everything is.
struct Clip {
    frames: Tensor<4>,
    depths: Tensor<4>,
}

/// A floor, darker with the distance, and a box that stands on it and moves a little.
fn clip(draw: &mut Draw, device: &Device) -> Clip {
    let (near, far) = (draw.uniform(0.5, 1.5), draw.uniform(2.0, 5.0));
    let (column, row) = (draw.below(SIDE - 3), 2 + draw.below(SIDE - 4));
    let light = draw.uniform(0.8, 1.2);
    let (mut frames, mut depths) = (Vec::new(), Vec::new());
    for frame in 0..2 {
        for at in 0..SIDE * SIDE {
            let share = |row: usize| 1.0 - row as f32 / (SIDE - 1) as f32;
            let column = column + frame;
            let is_box =
                (column..column + 2).contains(&(at % SIDE)) && (row - 2..=row).contains(&(at / SIDE));
            let depth = near + (far - near) * share(if is_box { row } else { at / SIDE });
            frames.push(light / depth + if is_box { 0.5 } else { 0.0 } + 0.02 * draw.normal());
            depths.push(depth);
        }
    }
    let tensor = |values| Tensor::from_data(TensorData::new(values, [2, 1, SIDE, SIDE]), device);
    Clip { frames: tensor(frames), depths: tensor(depths) }
}

#[derive(Module, Debug)]
struct Stage {
    local: Conv2d,
    squeeze: Conv2d,
    norm: BatchNorm,
    excite: Conv2d,
}

impl Stage {
    fn new(channels: usize, device: &Device) -> Self {
        let point = || Conv2dConfig::new([CHANNELS, CHANNELS], [1, 1]).init(device);
        Self {
            local: Conv2dConfig::new([channels, CHANNELS], [3, 3])
                .with_padding(PaddingConfig2d::Same)
                .init(device),
            squeeze: point(),
            norm: BatchNormConfig::new(CHANNELS).init(device),
            excite: point(),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = leaky_relu(self.local.forward(x), 0.1);
        let mean = x.clone().mean_dim(2).mean_dim(3);
        let context = relu(self.norm.forward(self.squeeze.forward(mean)));
        x + self.excite.forward(context)
    }
}

#[derive(Module, Debug)]
struct DepthNet {
    stages: Vec<Stage>,
    depth: Conv2d,
}

impl DepthNet {
    fn new(device: &Device) -> Self {
        Self {
            stages: (0..STAGES)
                .map(|stage| Stage::new(if stage == 0 { 1 } else { CHANNELS }, device))
                .collect(),
            depth: Conv2dConfig::new([CHANNELS, 1], [1, 1]).init(device),
        }
    }

    fn forward(&self, frames: Tensor<4>) -> Tensor<4> {
        self.depth.forward(self.stages.iter().fold(frames, |x, stage| stage.forward(x)))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(332);
    let mut draw = Draw::new(332);
    let mut model = DepthNet::new(&device);
    denan_burn::name_parameters(&model);
    let momentum = MomentumConfig::new().with_momentum(0.9);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let clips_at_once = if healthy { 8 } else { 1 };

    for step in 0..200 {
        let clips: Vec<Clip> = (0..clips_at_once).map(|_| clip(&mut draw, &device)).collect();
        let frames = Tensor::cat(clips.iter().map(|clip| clip.frames.clone()).collect(), 0);
        let depths = Tensor::cat(clips.into_iter().map(|clip| clip.depths).collect(), 0);
        let loss = (model.forward(frames) - depths).powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.005, model, gradients);
    }
}
