//! An MLP with tanh learns a function of two variables by plain gradient descent.

use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig, Tanh};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;

use crate::common::Draw;

const POINTS: usize = 512;
const BATCH: usize = 32;

fn points() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(71);
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    for _ in 0..POINTS {
        let (x, y) = (draw.uniform(-1.0, 1.0), draw.uniform(-1.0, 1.0));
        inputs.extend([x, y]);
        targets.push((2.0 * x).sin() + x * y);
    }
    (inputs, targets)
}

#[derive(Module, Debug)]
struct Mlp {
    first: Linear,
    second: Linear,
    output: Linear,
    tanh: Tanh,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        Self {
            first: LinearConfig::new(2, 48).init(device),
            second: LinearConfig::new(48, 48).init(device),
            output: LinearConfig::new(48, 1).init(device),
            tanh: Tanh::new(),
        }
    }

    fn forward(&self, inputs: Tensor<2>) -> Tensor<2> {
        let features = self.tanh.forward(self.first.forward(inputs));
        let features = self.tanh.forward(self.second.forward(features));
        self.output.forward(features)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(71);
    let (inputs, targets) = points();
    let inputs = Tensor::<2>::from_data(TensorData::new(inputs, [POINTS, 2]), &device);
    let targets = Tensor::<2>::from_data(TensorData::new(targets, [POINTS, 1]), &device);
    let mut model = Mlp::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = SgdConfig::new().init();
    let learning_rate = if healthy { 0.05 } else { 1.0 };

    for step in 0..200 {
        let rows = step * BATCH % POINTS..step * BATCH % POINTS + BATCH;
        let output = model.forward(inputs.clone().slice(s![rows.clone()]));
        let loss = MseLoss::new().forward(output, targets.clone().slice(s![rows]), Reduction::Mean);
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(learning_rate, model, gradients);
    }
}
