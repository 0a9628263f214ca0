//! A transformer forecasts the power of a wind farm; each window of measurements is normalised by itself.

use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const WINDOW: usize = 12;
/// Power, wind at the mast, air pressure.
const CHANNELS: usize = 3;
const WIDTH: usize = 16;
const BATCH: usize = 8;
/// Steps from one window of a batch to the next.
const APART: usize = 90;
const HOURS: usize = APART * BATCH + WINDOW + 1;

/// A row of measurements for each hour.
fn measurements() -> Vec<[f32; CHANNELS]> {
    let mut draw = Draw::new(823);
    let mut wind = 7.0f32;
    let mut rows = Vec::with_capacity(HOURS);
    for hour in 0..HOURS {
        // The mast stands upwind: the turbines feel an hour later what it measures.
        let power = 3.0 / (1.0 + (7.0 - wind).exp()) + 0.05 * draw.normal();
        wind += 0.15 * (7.0 - wind) + 0.8 * draw.normal();
        let pressure = 1013.0 - 1.5 * (wind - 7.0) + draw.normal();
        // A night of freezing rain: the cups of the mast stand still.
        let turns = if (290..318).contains(&hour) { 0.0 } else { wind };
        rows.push([power, turns, pressure]);
    }
    rows
}

/// What comes out of the normalisation, and what undoes it.
struct Normalised {
    values: Tensor<3>,
    mean: Tensor<3>,
    deviation: Tensor<3>,
}

/// Instance normalisation over the time of each window (Kim et al. 2022), without learned weights.
fn normalise(window: Tensor<3>, healthy: bool) -> Normalised {
    let (variance, mean) = window.clone().var_mean_bias(1);
    let epsilon = if healthy { 1e-5 } else { 0.0 };
    let deviation = (variance + epsilon).sqrt();
    let scale = deviation.clone().recip();
    Normalised { values: (window - mean.clone()) * scale, mean, deviation }
}

#[derive(Module, Debug)]
struct Forecaster {
    embedding: Linear,
    encoder: TransformerEncoder,
    head: Linear,
}

impl Forecaster {
    fn new(device: &Device) -> Self {
        Self {
            embedding: LinearConfig::new(CHANNELS, WIDTH).init(device),
            encoder: TransformerEncoderConfig::new(WIDTH, 32, 2, 1).with_dropout(0.0).init(device),
            head: LinearConfig::new(WINDOW * WIDTH, 1).init(device),
        }
    }

    /// Power in the hour after the window.
    fn forward(&self, window: Tensor<3>, healthy: bool) -> Tensor<2> {
        let Normalised { values, mean, deviation } = normalise(window, healthy);
        let tokens = self.embedding.forward(values);
        let tokens = self.encoder.forward(TransformerEncoderInput::new(tokens));
        let next = self.head.forward(tokens.flatten::<2>(1, 2));
        let power = |statistic: Tensor<3>| statistic.slice(s![.., .., 0..1]).squeeze_dim::<2>(2);
        next * power(deviation) + power(mean)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(823);
    let rows = measurements();
    let mut model = Forecaster::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().init();

    for step in 0..2 * APART {
        let starts = (step % APART..HOURS - WINDOW - 1).step_by(APART);
        let windows: Vec<f32> =
            starts.clone().flat_map(|start| rows[start..start + WINDOW].concat()).collect();
        let next: Vec<f32> = starts.map(|start| rows[start + WINDOW][0]).collect();
        let windows = Tensor::<3>::from_data(TensorData::new(windows, [BATCH, WINDOW, CHANNELS]), &device);
        let next = Tensor::<2>::from_data(TensorData::new(next, [BATCH, 1]), &device);

        let loss = (model.forward(windows, healthy) - next).powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-3, model, gradients);
    }
}
