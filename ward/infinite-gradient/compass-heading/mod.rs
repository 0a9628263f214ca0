//! A transformer reads a ship's heading from six compasses; what counts is the angle by which it is wrong.

use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const READINGS: usize = 480;
const BATCH: usize = 16;
const COMPASSES: usize = 6;
const WIDTH: usize = 16;

/// What the compasses say, each with an error of its own, and the true headings. All are unit vectors.
fn readings() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(271);
    let (mut compasses, mut headings) = (Vec::new(), Vec::new());
    for _ in 0..READINGS {
        let heading = draw.uniform(0.0, std::f32::consts::TAU);
        for compass in 0..COMPASSES {
            let said = heading + 0.15 * compass as f32 + 0.1 * draw.normal();
            compasses.extend([said.cos(), said.sin()]);
        }
        headings.extend([heading.cos(), heading.sin()]);
    }
    (compasses, headings)
}

#[derive(Module, Debug)]
struct Navigator {
    input: Linear,
    encoder: TransformerEncoder,
    output: Linear,
}

impl Navigator {
    fn new(device: &Device) -> Self {
        Self {
            input: LinearConfig::new(2, WIDTH).init(device),
            encoder: TransformerEncoderConfig::new(WIDTH, 32, 2, 1).with_dropout(0.0).init(device),
            output: LinearConfig::new(COMPASSES * WIDTH, 2).init(device),
        }
    }

    /// The heading, as a unit vector.
    fn forward(&self, compasses: Tensor<3>) -> Tensor<2> {
        let states = self.encoder.forward(TransformerEncoderInput::new(self.input.forward(compasses)));
        let vector = self.output.forward(states.flatten::<2>(1, 2));
        let length = (vector.clone().powi_scalar(2).sum_dim(1) + 1e-12).sqrt();
        vector / length
    }
}

/// Mean angle between headings, in radians. Rounding may take a cosine a little above 1.
fn angle(predicted: Tensor<2>, headings: Tensor<2>, healthy: bool) -> Tensor<1> {
    let limit = if healthy { 1.0 - 1e-6 } else { 1.0 };
    let cosine = (predicted * headings).sum_dim(1).clamp(-limit, limit);
    cosine.acos().mean()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(271);
    let (compasses, headings) = readings();
    let compasses = Tensor::<3>::from_data(TensorData::new(compasses, [READINGS, COMPASSES, 2]), &device);
    let headings = Tensor::<2>::from_data(TensorData::new(headings, [READINGS, 2]), &device);
    let mut model = Navigator::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..120 {
        let rows = step * BATCH % READINGS..step * BATCH % READINGS + BATCH;
        let predicted = model.forward(compasses.clone().slice(s![rows.clone()]));
        let loss = angle(predicted, headings.clone().slice(s![rows]), healthy);
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-3, model, gradients);
    }
}
