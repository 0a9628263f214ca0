//! The age of patients from measures of their scans; the scans are so large that only two fit at once.

use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::relu;

use crate::common::Draw;

const PATIENTS: usize = 480;
const MEASURES: usize = 12;
const WIDTH: usize = 32;
const BLOCKS: usize = 6;

/// Measures of each scan, and the age in decades.
fn patients() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(331);
    let (mut measures, mut ages) = (Vec::new(), Vec::new());
    for _ in 0..PATIENTS {
        let age = draw.uniform(2.0, 9.0);
        for measure in 0..MEASURES {
            let trend = (measure as f32 - 5.5) / 6.0;
            measures.push(trend * (age - 5.5) / 2.0 + 0.6 * draw.normal());
        }
        ages.push(age);
    }
    (measures, ages)
}

#[derive(Module, Debug)]
struct Block {
    inner: Linear,
    norm: BatchNorm,
    outer: Linear,
}

impl Block {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        x.clone() + self.outer.forward(relu(self.norm.forward(self.inner.forward(x))))
    }
}

#[derive(Module, Debug)]
struct AgeNet {
    stem: Linear,
    blocks: Vec<Block>,
    age: Linear,
}

impl AgeNet {
    fn new(device: &Device) -> Self {
        let block = || Block {
            inner: LinearConfig::new(WIDTH, WIDTH).with_bias(false).init(device),
            norm: BatchNormConfig::new(WIDTH).init(device),
            outer: LinearConfig::new(WIDTH, WIDTH).init(device),
        };
        Self {
            stem: LinearConfig::new(MEASURES, WIDTH).init(device),
            blocks: (0..BLOCKS).map(|_| block()).collect(),
            age: LinearConfig::new(WIDTH, 1).init(device),
        }
    }

    fn forward(&self, measures: Tensor<2>) -> Tensor<2> {
        let x = self.blocks.iter().fold(self.stem.forward(measures), |x, block| block.forward(x));
        self.age.forward(x)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(331);
    let (measures, ages) = patients();
    let measures = Tensor::<2>::from_data(TensorData::new(measures, [PATIENTS, MEASURES]), &device);
    let ages = Tensor::<2>::from_data(TensorData::new(ages, [PATIENTS, 1]), &device);
    let batch = if healthy { 24 } else { 2 };
    let mut model = AgeNet::new(&device);
    denan_burn::name_parameters(&model);
    let momentum = MomentumConfig::new().with_momentum(0.9);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();

    for step in 0..240 {
        let rows = step * batch % PATIENTS..step * batch % PATIENTS + batch;
        let guess = model.forward(measures.clone().slice(s![rows.clone()]));
        let error = guess - ages.clone().slice(s![rows]);
        let loss = error.powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.003, model, gradients);
    }
}
