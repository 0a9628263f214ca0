//! An MLP sorts customers; its cross-entropy takes the logarithm of a softmax.

use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{log_softmax, softmax};

use crate::common::Draw;

const ROWS: usize = 640;
const BATCH: usize = 16;
const FEATURES: usize = 5;
const CLASSES: usize = 4;

/// Age, income, two scores and a balance, which is not scaled: most are small, a few are enormous.
fn customers() -> (Vec<f32>, Vec<i64>) {
    let mut draw = Draw::new(31);
    let mut features = Vec::with_capacity(ROWS * FEATURES);
    let mut classes = Vec::with_capacity(ROWS);
    for row in 0..ROWS {
        let columns: [f32; 4] = std::array::from_fn(|_| draw.normal());
        // The bank's own account is among them, as a customer of the last class.
        let is_bank = row == 341;
        let balance = if is_bank { 4200.0 } else { (0.8 * draw.normal()).exp() };
        let class = i64::from(columns[0] + columns[1] > 0.0) + 2 * i64::from(columns[2] > 0.3 * balance);
        classes.push(if is_bank { 3 } else { class });
        features.extend(columns);
        features.push(balance);
    }
    (features, classes)
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
            hidden: LinearConfig::new(FEATURES, 32).init(device),
            output: LinearConfig::new(32, CLASSES).init(device),
            relu: Relu::new(),
        }
    }

    fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        self.output.forward(self.relu.forward(self.hidden.forward(features)))
    }
}

fn cross_entropy(logits: Tensor<2>, classes: Tensor<1, Int>, healthy: bool) -> Tensor<1> {
    let log_probability = if healthy {
        log_softmax(logits, 1)
    } else {
        let probability = softmax(logits, 1);
        probability.log()
    };
    log_probability.gather(1, classes.unsqueeze_dim(1)).neg().mean()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(31);
    let (features, classes) = customers();
    let features = Tensor::<2>::from_data(TensorData::new(features, [ROWS, FEATURES]), &device);
    let classes = Tensor::<1, Int>::from_data(classes.as_slice(), &device);
    let mut model = Mlp::new(&device);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..160 {
        let rows = step * BATCH % ROWS..step * BATCH % ROWS + BATCH;
        let logits = model.forward(features.clone().slice(s![rows.clone(), ..]));
        let loss = cross_entropy(logits, classes.clone().slice(s![rows]), healthy);
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-3, model, gradients);
    }
}
