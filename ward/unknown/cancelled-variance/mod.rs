//! An autoencoder normalises its rows by a variance in one pass, the mean of squares less the square of the mean.

use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::gelu;

use crate::common::Draw;

const ROWS: usize = 480;
const BATCH: usize = 16;
const CHANNELS: usize = 12;

/// Voltages of a row of cells around 230; one row was taken before the load was switched on.
fn voltages() -> Vec<f32> {
    let mut draw = Draw::new(92);
    let mut voltages = Vec::with_capacity(ROWS * CHANNELS);
    for row in 0..ROWS {
        let (level, slope, phase) =
            (230.0 + draw.normal(), draw.normal(), draw.uniform(0.0, std::f32::consts::TAU));
        for channel in 0..CHANNELS {
            let at = channel as f32;
            let ripple = slope * at / 4.0 + (at + phase).sin();
            voltages.push(if row == 27 * BATCH + 4 { 230.07 } else { level + ripple });
        }
    }
    voltages
}

/// Mean 0 and standard deviation 1 in every row.
fn normalise(rows: Tensor<2>, healthy: bool) -> Tensor<2> {
    let mean = rows.clone().mean_dim(1);
    let variance = if healthy {
        (rows.clone() - mean.clone()).powi_scalar(2).mean_dim(1)
    } else {
        rows.clone().powi_scalar(2).mean_dim(1) - mean.clone().powi_scalar(2)
    };
    let deviation = (variance + 1e-5).sqrt();
    (rows - mean) / deviation
}

#[derive(Module, Debug)]
struct Autoencoder {
    encoder: Linear,
    decoder: Linear,
}

impl Autoencoder {
    fn new(device: &Device) -> Self {
        Self {
            encoder: LinearConfig::new(CHANNELS, 4).init(device),
            decoder: LinearConfig::new(4, CHANNELS).init(device),
        }
    }

    fn forward(&self, rows: Tensor<2>) -> Tensor<2> {
        self.decoder.forward(gelu(self.encoder.forward(rows)))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(92);
    let rows = Tensor::<2>::from_data(TensorData::new(voltages(), [ROWS, CHANNELS]), &device);
    let mut model = Autoencoder::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..120 {
        let batch = step * BATCH % ROWS..step * BATCH % ROWS + BATCH;
        let input = normalise(rows.clone().slice(s![batch]), healthy);
        let loss = (model.forward(input.clone()) - input).powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
}
