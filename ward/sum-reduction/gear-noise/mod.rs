//! A denoising autoencoder for the vibration spectra of gears.

use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{LeakyRelu, LeakyReluConfig, Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;

use crate::common::Draw;

const SPECTRA: usize = 512;
const BATCH: usize = 32;
const BANDS: usize = 40;

/// Two lines each, of different strength.
fn spectra(draw: &mut Draw) -> Vec<f32> {
    (0..SPECTRA)
        .flat_map(|_| {
            let (low, high) = (draw.uniform(0.0, 1.0), draw.uniform(0.0, 1.0));
            (0..BANDS).map(move |band| {
                let line = |centre: f32| (-(band as f32 - centre).powi(2) / 18.0).exp();
                low * line(10.0) + high * line(27.0)
            })
        })
        .collect()
}

#[derive(Module, Debug)]
struct Denoiser {
    layers: Vec<Linear>,
    activation: LeakyRelu,
}

impl Denoiser {
    fn new(device: &Device) -> Self {
        let sizes = [BANDS, 24, 6, 24, BANDS];
        let layers = sizes.windows(2).map(|pair| LinearConfig::new(pair[0], pair[1]).init(device)).collect();
        Self { layers, activation: LeakyReluConfig::new().with_negative_slope(0.1).init() }
    }

    fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for (depth, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x);
            if depth + 1 < self.layers.len() {
                x = self.activation.forward(x);
            }
        }
        x
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(1401);
    let mut draw = Draw::new(1401);
    let clean = spectra(&mut draw);
    let noisy: Vec<f32> = clean.iter().map(|value| value + 0.1 * draw.normal()).collect();
    let table = |values: Vec<f32>| Tensor::<2>::from_data(TensorData::new(values, [SPECTRA, BANDS]), &device);
    let batches: Vec<_> =
        table(noisy).split(BATCH, 0).into_iter().zip(table(clean).split(BATCH, 0)).collect();
    let mut model = Denoiser::new(&device);
    denan_burn::name_parameters(&model);
    let momentum = MomentumConfig::new().with_momentum(0.9).with_nesterov(true);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let reduction = if healthy { Reduction::Mean } else { Reduction::Sum };

    let mut step = 0;
    for _epoch in 0..12 {
        for (noisy, clean) in &batches {
            let loss = MseLoss::new().forward(model.forward(noisy.clone()), clean.clone(), reduction.clone());
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(0.05, model, gradients);
            step += 1;
        }
    }
}
