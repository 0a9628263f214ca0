//! A network predicts the correlation of two stocks; the error is measured on Fisher's z scale.

use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const PAIRS: usize = 400;
const BATCH: usize = 16;
const FEATURES: usize = 4;

/// What is known of each pair of stocks, and their correlation.
fn pairs() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(91);
    let (mut features, mut correlations) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        let columns: [f32; FEATURES] = std::array::from_fn(|_| draw.normal());
        let z = 0.6 * columns[0] - 0.4 * columns[1] + 0.1 * draw.normal();
        // Two listings of the same company agree in everything.
        let scale = if pair == 331 { 40.0 } else { 1.0 };
        features.extend(columns.map(|column| scale * column));
        correlations.push(z.tanh());
    }
    (features, correlations)
}

#[derive(Module, Debug)]
struct Mlp {
    hidden: Linear,
    output: Linear,
    relu: Relu,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(FEATURES, 24).init(device),
            output: LinearConfig::new(24, 1).init(device),
            relu: Relu::new(),
        }
    }

    fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        self.output.forward(self.relu.forward(self.hidden.forward(features)))
    }
}

fn z_error(output: Tensor<2>, correlation: Tensor<2>, healthy: bool) -> Tensor<2> {
    // The network's output is on the z scale already: going there and back loses what is near 1.
    let z = if healthy {
        output
    } else {
        let predicted = output.tanh();
        predicted.atanh()
    };
    z - correlation.atanh()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(91);
    let (features, correlations) = pairs();
    let features = Tensor::<2>::from_data(TensorData::new(features, [PAIRS, FEATURES]), &device);
    let correlations = Tensor::<2>::from_data(TensorData::new(correlations, [PAIRS, 1]), &device);
    let mut model = Mlp::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..125 {
        let rows = step * BATCH % PAIRS..step * BATCH % PAIRS + BATCH;
        let output = model.forward(features.clone().slice(s![rows.clone()]));
        let error = z_error(output, correlations.clone().slice(s![rows]), healthy);
        let loss = error.abs().mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(5e-3, model, gradients);
    }
}
