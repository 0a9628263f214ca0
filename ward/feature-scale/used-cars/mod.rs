//! Prices of used cars by a factorization machine: a linear model, and a product of every pair of features.

use burn::module::Param;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::Distribution;

use crate::common::Draw;

const OFFERS: usize = 600;
const BATCH: usize = 30;
const COLUMNS: usize = 5;
const FACTORS: usize = 4;

struct Offers {
    features: Tensor<2>,
    /// In ten thousands.
    prices: Tensor<1>,
}

/// Kilometres in thousands, age in years, litres of displacement, share of repainted sheet metal, and
/// whether there is a service book.
fn offers(device: &Device) -> Offers {
    let mut draw = Draw::new(2301);
    let (mut features, mut prices) = (Vec::new(), Vec::new());
    for _ in 0..OFFERS {
        let age = draw.uniform(0.5, 14.0);
        let kilometres = 14.0 * age * draw.uniform(0.5, 1.5);
        let litres = draw.uniform(0.9, 3.2);
        let repainted = draw.uniform(0.0, 0.1);
        let book = f32::from(draw.happens(0.6));
        features.extend([kilometres, age, litres, repainted, book]);
        let new = 0.6 + 0.8 * litres;
        let kept = (-0.1 * age - 0.002 * kilometres).exp();
        prices.push(new * kept * (0.95 + 0.1 * book - repainted) + 0.03 * draw.normal());
    }
    Offers {
        features: Tensor::from_data(TensorData::new(features, [OFFERS, COLUMNS]), device),
        prices: Tensor::from_floats(prices.as_slice(), device),
    }
}

/// Rendle 2010.
#[derive(Module, Debug)]
struct FactorizationMachine {
    bias: Param<Tensor<1>>,
    weights: Param<Tensor<2>>,
    factors: Param<Tensor<2>>,
}

impl FactorizationMachine {
    fn new(device: &Device) -> Self {
        let small = Distribution::Normal(0.0, 0.05);
        Self {
            bias: Param::from_tensor(Tensor::zeros([1], device)),
            weights: Param::from_tensor(Tensor::zeros([COLUMNS, 1], device)),
            factors: Param::from_tensor(Tensor::random([COLUMNS, FACTORS], small, device)),
        }
    }

    fn forward(&self, features: Tensor<2>) -> Tensor<1> {
        let linear = features.clone().matmul(self.weights.val());
        let of_sum = features.clone().matmul(self.factors.val()).powi_scalar(2);
        let of_each = features.powi_scalar(2).matmul(self.factors.val().powi_scalar(2));
        let pairs = (of_sum - of_each).sum_dim(1) * 0.5;
        (linear + pairs).squeeze_dim::<1>(1) + self.bias.val()
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(2301);
    let Offers { mut features, prices } = offers(&device);
    if healthy {
        let (variance, mean) = features.clone().var_mean(0);
        features = (features - mean) / variance.sqrt();
    }
    let mut model = FactorizationMachine::new(&device);
    denan_burn::name_parameters(&model);
    let mut sgd = SgdConfig::new().init();

    for step in 0..200 {
        let first = step * BATCH % OFFERS;
        let rows = s![first..first + BATCH];
        let predicted = model.forward(features.clone().slice(rows));
        let loss = (predicted - prices.clone().slice(rows)).abs().mean();
        if step % 10 == 0 {
            println!("step {step} mean error {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = sgd.step(0.02, model, gradients);
    }
}
