//! A generator learns to draw spectra against a critic, which soon tells all of them from the measured ones.

use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig1d};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn::tensor::activation::{leaky_relu, log_sigmoid, sigmoid};

use crate::common::Draw;

const SPECTRA: usize = 320;
const BATCH: usize = 16;
const BANDS: usize = 24;
const NOISE: usize = 6;
/// Photons that a detector counts in the brightest band.
const PHOTONS: f32 = 300.0;

/// One line on a flat background, in photons.
fn spectra() -> Vec<f32> {
    let mut draw = Draw::new(231);
    let mut photons = Vec::with_capacity(SPECTRA * BANDS);
    for _ in 0..SPECTRA {
        let (middle, width) = (draw.uniform(6.0, 18.0), draw.uniform(1.5, 3.0));
        photons.extend((0..BANDS).map(|band| {
            let distance = (band as f32 - middle) / width;
            PHOTONS * (0.3 + 0.7 * (-distance * distance).exp()) + draw.normal()
        }));
    }
    photons
}

#[derive(Module, Debug)]
struct Generator {
    hidden: Linear,
    output: Linear,
}

impl Generator {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(NOISE, 32).init(device),
            output: LinearConfig::new(32, BANDS).init(device),
        }
    }

    fn draw(&self, device: &Device) -> Tensor<3> {
        let noise = Tensor::<2>::random([BATCH, NOISE], Distribution::Normal(0.0, 1.0), device);
        let shape = sigmoid(self.output.forward(self.hidden.forward(noise).tanh()));
        (shape * PHOTONS).unsqueeze_dim(1)
    }
}

#[derive(Module, Debug)]
struct Critic {
    conv: Conv1d,
    head: Linear,
}

impl Critic {
    fn new(device: &Device) -> Self {
        Self {
            conv: Conv1dConfig::new(1, 8, 5).with_padding(PaddingConfig1d::Same).init(device),
            head: LinearConfig::new(8 * BANDS, 1).init(device),
        }
    }

    /// How much each spectrum looks measured, as log-odds.
    fn forward(&self, spectra: Tensor<3>) -> Tensor<2> {
        let features = leaky_relu(self.conv.forward(spectra), 0.2);
        self.head.forward(features.flatten::<2>(1, 2))
    }
}

/// Binary cross-entropy; `target` is 1 for measured spectra and 0 for drawn ones.
fn surprise(odds: Tensor<2>, target: f32, healthy: bool) -> Tensor<1> {
    let (log_yes, log_no) = if healthy {
        (log_sigmoid(odds.clone()), log_sigmoid(odds.neg()))
    } else {
        let yes = sigmoid(odds);
        (yes.clone().log(), (yes.neg() + 1.0).log())
    };
    (log_yes * target + log_no * (1.0 - target)).neg().mean()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(231);
    let spectra = Tensor::<3>::from_data(TensorData::new(spectra(), [SPECTRA, 1, BANDS]), &device);
    let mut generator = Generator::new(&device);
    let mut critic = Critic::new(&device);
    let mut of_generator = AdamConfig::new().with_beta_1(0.5).init();
    let mut of_critic = AdamConfig::new().with_beta_1(0.5).init();

    for step in 0..120 {
        let rows = step * BATCH % SPECTRA..step * BATCH % SPECTRA + BATCH;
        let measured = critic.forward(spectra.clone().slice(s![rows]));
        let drawn = critic.forward(generator.draw(&device).detach());
        let critic_loss = surprise(measured, 1.0, healthy) + surprise(drawn, 0.0, healthy);
        if step % 10 == 0 {
            println!("step {step} critic {:.4}", critic_loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(critic_loss.backward(), &critic);
        critic = of_critic.step(1e-3, critic, gradients);

        let generator_loss = surprise(critic.forward(generator.draw(&device)), 1.0, healthy);
        if step % 10 == 0 {
            println!("step {step} generator {:.4}", generator_loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(generator_loss.backward(), &generator);
        generator = of_generator.step(2e-4, generator, gradients);
    }
}
