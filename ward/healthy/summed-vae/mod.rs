//! A variational autoencoder of strokes; its loss is summed over everything and its rate chosen for that.

use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn::tensor::activation::softplus;

use crate::common::Draw;

const STROKES: usize = 512;
const BATCH: usize = 64;
const POINTS: usize = 24;
const LATENT: usize = 2;

/// Heights along a stroke.
fn strokes() -> Vec<f32> {
    let mut draw = Draw::new(1543);
    (0..STROKES)
        .flat_map(|_| {
            let (swing, lean) = (draw.normal(), draw.normal());
            let noise: [f32; POINTS] = std::array::from_fn(|_| 0.1 * draw.normal());
            (0..POINTS).map(move |point| {
                let along = point as f32 / (POINTS - 1) as f32;
                swing * (std::f32::consts::PI * along).sin() + lean * (along - 0.5) + noise[point]
            })
        })
        .collect()
}

#[derive(Module, Debug)]
struct Vae {
    encoder: Linear,
    mean: Linear,
    deviation: Linear,
    decoder: Linear,
    output: Linear,
}

impl Vae {
    fn new(device: &Device) -> Self {
        Self {
            encoder: LinearConfig::new(POINTS, 20).init(device),
            mean: LinearConfig::new(20, LATENT).init(device),
            deviation: LinearConfig::new(20, LATENT).init(device),
            decoder: LinearConfig::new(LATENT, 20).init(device),
            output: LinearConfig::new(20, POINTS).init(device),
        }
    }

    /// Negative evidence lower bound of a batch, without its constants.
    fn loss(&self, strokes: Tensor<2>) -> Tensor<1> {
        let features = self.encoder.forward(strokes.clone()).tanh();
        let mean = self.mean.forward(features.clone());
        let deviation = softplus(self.deviation.forward(features), 1.0) + 1e-3;
        let noise = mean.random_like(Distribution::Normal(0.0, 1.0));
        let latent = mean.clone() + deviation.clone() * noise;
        let drawn = self.output.forward(self.decoder.forward(latent).tanh());
        let misfit = (drawn - strokes).powi_scalar(2).sum() * 2.0;
        let surplus = mean.powi_scalar(2) + deviation.clone().powi_scalar(2) - 1.0;
        misfit + (surplus / 2.0 - deviation.log()).sum()
    }
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(1543);
    let strokes = Tensor::<2>::from_data(TensorData::new(strokes(), [STROKES, POINTS]), &device);
    let mut vae = Vae::new(&device);
    denan_burn::name_parameters(&vae);
    let mut sgd = SgdConfig::new().init();

    for step in 0..200 {
        let start = step * BATCH % STROKES;
        let loss = vae.loss(strokes.clone().slice(s![start..start + BATCH]));
        if step % 10 == 0 {
            println!("step {step} loss {:.1}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &vae);
        vae = sgd.step(2e-4, vae, gradients);
    }
}
