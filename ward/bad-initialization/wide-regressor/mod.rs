//! The strength of concrete from its mixture, by a wide network with an initialisation of its own.

use burn::nn::{Initializer, Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::relu;

use crate::common::Draw;

const MIXTURES: usize = 512;
const BATCH: usize = 32;
const INGREDIENTS: usize = 8;
const WIDTH: usize = 96;
const DEPTH: usize = 4;

/// Standardised amounts of what is in the mixture, and the strength of it.
fn mixtures() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(301);
    let (mut amounts, mut strengths) = (Vec::new(), Vec::new());
    for _ in 0..MIXTURES {
        let mixture: [f32; INGREDIENTS] = std::array::from_fn(|_| draw.normal());
        let [cement, slag, _, water, _, _, _, age] = mixture;
        strengths.push(0.6 * cement + 0.3 * slag - 0.5 * water * age + 0.4 * age + 0.1 * draw.normal());
        amounts.extend(mixture);
    }
    (amounts, strengths)
}

#[derive(Module, Debug)]
struct Regressor {
    input: Linear,
    hidden: Vec<Linear>,
    output: Linear,
}

impl Regressor {
    fn new(initializer: &Initializer, device: &Device) -> Self {
        let layer = |from, to| {
            LinearConfig::new(from, to).with_initializer(initializer.clone()).with_bias(false).init(device)
        };
        Self {
            input: layer(INGREDIENTS, WIDTH),
            hidden: (1..DEPTH).map(|_| layer(WIDTH, WIDTH)).collect(),
            output: layer(WIDTH, 1),
        }
    }

    fn forward(&self, amounts: Tensor<2>) -> Tensor<2> {
        let mut hidden = relu(self.input.forward(amounts));
        for layer in &self.hidden {
            hidden = relu(layer.forward(hidden));
        }
        self.output.forward(hidden)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(301);
    let (amounts, strengths) = mixtures();
    let amounts = Tensor::<2>::from_data(TensorData::new(amounts, [MIXTURES, INGREDIENTS]), &device);
    let strengths = Tensor::<2>::from_data(TensorData::new(strengths, [MIXTURES, 1]), &device);
    let initializer = if healthy {
        Initializer::KaimingNormal { gain: std::f64::consts::SQRT_2, fan_out_only: false }
    } else {
        Initializer::Normal { mean: 0.0, std: 1.0 }
    };
    let mut model = Regressor::new(&initializer, &device);
    denan_burn::name_parameters(&model);
    let mut optimizer = SgdConfig::new().init();

    for step in 0..160 {
        let rows = step * BATCH % MIXTURES..step * BATCH % MIXTURES + BATCH;
        let predicted = model.forward(amounts.clone().slice(s![rows.clone()]));
        let loss = (predicted - strengths.clone().slice(s![rows])).powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.01, model, gradients);
    }
}
