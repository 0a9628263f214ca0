//! A long stack of residual convolutions removes the hum from a recording.

use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, PaddingConfig1d};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::relu;

use crate::common::Draw;

const CHANNELS: usize = 8;
const BLOCKS: usize = 20;
const LENGTH: usize = 24;
const BATCH: usize = 8;

/// Recordings with and without the hum.
struct Excerpts {
    noisy: Tensor<3>,
    clean: Tensor<3>,
}

impl Excerpts {
    fn draw(draw: &mut Draw, device: &Device) -> Self {
        let (mut noisy, mut clean) = (Vec::new(), Vec::new());
        for _ in 0..BATCH {
            let (pitch, start) = (draw.uniform(0.2, 0.5), draw.uniform(0.0, 6.0));
            let hum = draw.uniform(0.0, 6.0);
            for moment in 0..LENGTH {
                let sound = (start + pitch * moment as f32).sin();
                clean.push(sound);
                noisy.push(sound + 0.7 * (hum + 2.2 * moment as f32).sin() + 0.05 * draw.normal());
            }
        }
        let tensor = |values| Tensor::from_data(TensorData::new(values, [BATCH, 1, LENGTH]), device);
        Self { noisy: tensor(noisy), clean: tensor(clean) }
    }
}

#[derive(Module, Debug)]
struct Residual {
    first: Conv1d,
    second: Conv1d,
    norm: Option<BatchNorm>,
}

impl Residual {
    fn new(normalise: bool, device: &Device) -> Self {
        let gain = std::f64::consts::SQRT_2;
        let conv = || {
            Conv1dConfig::new(CHANNELS, CHANNELS, 3)
                .with_padding(PaddingConfig1d::Same)
                .with_initializer(Initializer::KaimingNormal { gain, fan_out_only: false })
                .init(device)
        };
        let norm = normalise.then(|| BatchNormConfig::new(CHANNELS).init(device));
        Self { first: conv(), second: conv(), norm }
    }

    fn forward(&self, sound: Tensor<3>) -> Tensor<3> {
        let mut change = self.second.forward(relu(self.first.forward(sound.clone())));
        if let Some(norm) = &self.norm {
            change = norm.forward(change);
        }
        sound + change
    }
}

#[derive(Module, Debug)]
struct Denoiser {
    lift: Conv1d,
    stack: Vec<Residual>,
    lower: Conv1d,
}

impl Denoiser {
    fn new(normalise: bool, device: &Device) -> Self {
        Self {
            lift: Conv1dConfig::new(1, CHANNELS, 3).with_padding(PaddingConfig1d::Same).init(device),
            stack: (0..BLOCKS).map(|_| Residual::new(normalise, device)).collect(),
            lower: Conv1dConfig::new(CHANNELS, 1, 1).init(device),
        }
    }

    fn forward(&self, noisy: Tensor<3>) -> Tensor<3> {
        let sound = self.stack.iter().fold(self.lift.forward(noisy), |sound, block| block.forward(sound));
        self.lower.forward(sound)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(312);
    let mut draw = Draw::new(312);
    let mut model = Denoiser::new(healthy, &device);
    denan_burn::name_parameters(&model);
    let mut optimizer = SgdConfig::new().with_momentum(Some(MomentumConfig::new().with_momentum(0.9))).init();

    for step in 0..80 {
        let excerpts = Excerpts::draw(&mut draw, &device);
        let difference = model.forward(excerpts.noisy) - excerpts.clean;
        let loss = difference.abs().mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-3, model, gradients);
    }
}
