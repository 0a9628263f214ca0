//! Counts of a 16-bit detector go through float16, whose range they fill nearly to its end.

use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::FloatDType;
use burn::tensor::activation::relu;

use crate::common::Draw;

const SCANS: usize = 384;
const BATCH: usize = 16;
const PIXELS: usize = 24;
const BINS: usize = 8;
/// Where the detector saturates.
const FULL: f32 = 64_000.0;

/// A line of light on the detector, and where its middle is.
fn scans() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(1501);
    let (mut counts, mut places) = (Vec::new(), Vec::new());
    for _ in 0..SCANS {
        let place = draw.uniform(4.0, 20.0);
        let peak = draw.uniform(30_000.0, 120_000.0);
        for pixel in 0..PIXELS {
            let light = peak * (-(pixel as f32 - place).powi(2) / 8.0).exp();
            counts.push((light + 200.0 * draw.uniform(0.0, 1.0)).floor().min(FULL));
        }
        places.push((place - 12.0) / 8.0);
    }
    (counts, places)
}

/// Weights of the means over three pixels each.
fn binning() -> Vec<f32> {
    let mut weights = vec![0.0; PIXELS * BINS];
    for pixel in 0..PIXELS {
        weights[pixel * BINS + pixel / 3] = 1.0 / 3.0;
    }
    weights
}

#[derive(Module, Debug)]
struct Locator {
    hidden: Linear,
    output: Linear,
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(1501);
    let (counts, places) = scans();
    let counts = Tensor::<2>::from_data(TensorData::new(counts, [SCANS, PIXELS]), &device);
    let places = Tensor::<2>::from_data(TensorData::new(places, [SCANS, 1]), &device);
    let binning = Tensor::<2>::from_data(TensorData::new(binning(), [PIXELS, BINS]), &device);
    let binning = binning.cast(FloatDType::F16);
    let mut model = Locator {
        hidden: LinearConfig::new(BINS, 24).init(&device),
        output: LinearConfig::new(24, 1).init(&device),
    };
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..150 {
        let start = step * BATCH % SCANS;
        let rows = s![start..start + BATCH];
        let binned = counts.clone().slice(rows).cast(FloatDType::F16).matmul(binning.clone());
        let light = (binned / FULL).cast(FloatDType::F32) * 4.0;
        let found = model.output.forward(relu(model.hidden.forward(light)));
        let loss = (found - places.clone().slice(rows)).powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(5e-3, model, gradients);
    }
}
