//! Where a tremor begins in a seismogram and how long it lasts, relative to windows laid over the record.

use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;

use crate::common::Draw;

const FRAMES: usize = 16;
const FRAME: usize = 4;
const WIDTH: usize = 16;
const WINDOWS: usize = 6;
const BATCH: usize = 16;
/// A record is of one minute. In seconds, as all times are before they become shares of it.
const MINUTE: f32 = 60.0;
const HOUR: f32 = 3600.0;
const TYPICAL_TREMOR: f32 = 12.0;

struct Record {
    frames: Vec<f32>,
    /// Centre and length of the tremor, as shares of the record.
    tremor: [f32; 2],
}

fn record(draw: &mut Draw) -> Record {
    let (centre, length) = (draw.uniform(0.25, 0.75), draw.uniform(0.1, 0.4));
    let frames = (0..FRAMES * FRAME)
        .map(|at| {
            let moment = at as f32 / (FRAMES * FRAME) as f32;
            let shakes = (moment - centre).abs() < length / 2.0;
            draw.normal() * if shakes { 1.0 } else { 0.1 }
        })
        .map(f32::abs)
        .collect();
    Record { frames, tremor: [centre, length] }
}

#[derive(Module, Debug)]
struct Picker {
    embed: Linear,
    encoder: TransformerEncoder,
    windows: Linear,
}

impl Picker {
    fn new(device: &Device) -> Self {
        let encoder = TransformerEncoderConfig::new(WIDTH, 32, 2, 1).with_dropout(0.0).with_norm_first(true);
        Self {
            embed: LinearConfig::new(FRAME + 1, WIDTH).init(device),
            encoder: encoder.init(device),
            windows: LinearConfig::new(FRAMES * WIDTH, WINDOWS * 2).init(device),
        }
    }

    /// For each window how far to move it and by how much to stretch it.
    fn forward(&self, frames: Tensor<3>) -> Tensor<3> {
        let count = frames.dims()[0];
        let encoded = self.encoder.forward(TransformerEncoderInput::new(self.embed.forward(frames)));
        self.windows.forward(encoded.flatten::<2>(1, 2)).reshape([count, WINDOWS, 2])
    }
}

/// The windows as the tremor would have them moved and stretched, and which of them are near it.
fn targets(tremors: Tensor<3>, windows: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
    let (centre, length) = (tremors.clone().slice(s![.., .., 0..1]), tremors.slice(s![.., .., 1..2]));
    let (middle, span) = (windows.clone().slice(s![.., .., 0..1]), windows.slice(s![.., .., 1..2]));
    let apart = (centre.clone() - middle.clone()).abs();
    let is_near = apart.clone().equal(apart.min_dim(1).repeat_dim(1, WINDOWS)).float();
    let shift = (centre - middle) / span.clone();
    let stretch = (length / span).log();
    (Tensor::cat(vec![shift, stretch], 2), is_near)
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(422);
    let mut draw = Draw::new(422);
    let length = TYPICAL_TREMOR / if healthy { MINUTE } else { HOUR };
    let windows: [[f32; 2]; WINDOWS] =
        [[0.25, length], [0.35, length], [0.45, length], [0.55, length], [0.65, length], [0.75, length]];
    let windows = Tensor::<2>::from_floats(windows, &device).unsqueeze::<3>();
    let mut model = Picker::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = SgdConfig::new().init();

    for step in 0..200 {
        let (mut frames, mut tremors) = (Vec::new(), Vec::new());
        for _ in 0..BATCH {
            let record = record(&mut draw);
            for (place, frame) in record.frames.chunks_exact(FRAME).enumerate() {
                frames.extend_from_slice(frame);
                frames.push(place as f32 / FRAMES as f32);
            }
            tremors.extend(record.tremor);
        }
        let frames = Tensor::<3>::from_data(TensorData::new(frames, [BATCH, FRAMES, FRAME + 1]), &device);
        let tremors = Tensor::<3>::from_data(TensorData::new(tremors, [BATCH, 1, 2]), &device);

        let (wanted, is_near) = targets(tremors, windows.clone());
        let error = (model.forward(frames) - wanted).powi_scalar(2) * is_near;
        let loss = error.sum() / BATCH as f32;
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.02, model, gradients);
    }
}
