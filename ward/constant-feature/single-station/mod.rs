//! Tomorrow's temperature: trained on all weather stations, then fine-tuned on the one that matters.

use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::silu;

use crate::common::Draw;

const BATCH: usize = 16;
/// Temperature, humidity, wind, height of the station above the sea.
const COLUMNS: usize = 4;

struct Table {
    rows: usize,
    weather: Tensor<2>,
    tomorrow: Tensor<2>,
}

/// What was measured at stations of these heights, `days` at each.
fn observations(draw: &mut Draw, heights: &[f32], days: usize, device: &Device) -> Table {
    let mut weather = Vec::new();
    let mut tomorrow = Vec::new();
    for _ in 0..days {
        for &height in heights {
            let temperature = 18.0 - 0.0065 * height + 5.0 * draw.normal();
            let humidity = draw.uniform(0.3, 1.0);
            let wind = draw.uniform(0.0, 14.0);
            weather.extend([temperature, humidity, wind, height]);
            let change = 4.0 * (0.6 - humidity) - 0.2 * (wind - 7.0);
            tomorrow.push((temperature + change + 0.3 * draw.normal() - 12.0) / 5.0);
        }
    }
    let rows = tomorrow.len();
    Table {
        rows,
        weather: Tensor::from_data(TensorData::new(weather, [rows, COLUMNS]), device),
        tomorrow: Tensor::from_data(TensorData::new(tomorrow, [rows, 1]), device),
    }
}

/// Every column with mean 0 and standard deviation 1.
fn standardise(table: Tensor<2>, healthy: bool) -> Tensor<2> {
    let (variance, mean) = table.clone().var_mean(0);
    let mut deviation = variance.sqrt();
    if healthy {
        deviation = deviation.clamp_min(1e-6);
    }
    (table - mean) / deviation
}

#[derive(Module, Debug)]
struct Regressor {
    input: Linear,
    hidden: Linear,
    output: Linear,
}

impl Regressor {
    fn new(device: &Device) -> Self {
        Self {
            input: LinearConfig::new(COLUMNS, 20).init(device),
            hidden: LinearConfig::new(20, 20).init(device),
            output: LinearConfig::new(20, 1).init(device),
        }
    }

    fn forward(&self, weather: Tensor<2>) -> Tensor<2> {
        let hidden = silu(self.input.forward(weather));
        self.output.forward(silu(self.hidden.forward(hidden)))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(811);
    let mut draw = Draw::new(811);
    let everywhere = observations(&mut draw, &[12.0, 95.0, 240.0, 512.0, 780.0, 1630.0, 2105.0], 40, &device);
    let here = observations(&mut draw, &[512.0], 128, &device);
    let mut model = Regressor::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    let mut step = 0;
    for (table, rate, steps) in [(everywhere, 1e-2, 60), (here, 2e-3, 60)] {
        let weather = standardise(table.weather, healthy);
        for number in 0..steps {
            let first = number * BATCH % (table.rows - BATCH + 1);
            let rows = s![first..first + BATCH];
            let error = model.forward(weather.clone().slice(rows)) - table.tomorrow.clone().slice(rows);
            let loss = error.square().mean();
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(rate, model, gradients);
            step += 1;
        }
    }
}
