//! The strength of concrete is predicted from its recipe, in the units of the laboratory.

use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::leaky_relu;

use crate::common::Draw;

const RECIPES: usize = 400;
const BATCH_SIZE: usize = 20;
const COLUMNS: usize = 4;

/// Share of cement, plasticiser as a fraction of the mass, days of curing, water to cement.
fn recipes() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(701);
    let mut x = Vec::with_capacity(RECIPES * COLUMNS);
    let mut y = Vec::with_capacity(RECIPES);
    for _ in 0..RECIPES {
        let cement = draw.uniform(0.1, 0.2);
        let plasticiser = draw.uniform(0.0002, 0.0012);
        let days = draw.uniform(3.0, 56.0);
        let ratio = draw.uniform(0.3, 0.6);
        x.extend([cement, plasticiser, days, ratio]);
        let strength = 6.0 * cement + 500.0 * plasticiser + 0.02 * days - 2.0 * ratio;
        y.push(strength + 0.05 * draw.normal());
    }
    (x, y)
}

#[derive(Module, Debug)]
struct Net {
    fc1: Linear,
    fc2: Linear,
    fc3: Linear,
}

impl Net {
    fn init(device: &Device) -> Self {
        Net {
            fc1: LinearConfig::new(COLUMNS, 16).init(device),
            fc2: LinearConfig::new(16, 16).init(device),
            fc3: LinearConfig::new(16, 1).init(device),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = leaky_relu(self.fc1.forward(x), 0.2);
        let x = leaky_relu(self.fc2.forward(x), 0.2);
        self.fc3.forward(x)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(701);
    let (x, y) = recipes();
    let mut x = Tensor::<2>::from_data(TensorData::new(x, [RECIPES, COLUMNS]), &device);
    let y = Tensor::<2>::from_data(TensorData::new(y, [RECIPES, 1]), &device);
    if healthy {
        let (variance, mean) = x.clone().var_mean(0);
        x = (x - mean) / variance.sqrt();
    }
    let mut net = Net::init(&device);
    denan_burn::name_parameters(&net);
    let mut sgd = SgdConfig::new().init();
    let mse = MseLoss::new();

    for step in 0..200 {
        let start = step * BATCH_SIZE % RECIPES;
        let batch = start..start + BATCH_SIZE;
        let predicted = net.forward(x.clone().slice(s![batch.clone()]));
        let loss = mse.forward(predicted, y.clone().slice(s![batch]), Reduction::Mean);
        if step % 10 == 0 {
            println!("step {step} mse {:.4}", loss.clone().into_scalar::<f32>());
        }
        let grads = GradientsParams::from_grads(loss.backward(), &net);
        net = sgd.step(1e-2, net, grads);
    }
}
