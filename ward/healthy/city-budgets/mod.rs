//! Budgets of cities in plain euros: errors of 10^8, squared 10^16, and nothing is wrong with that.

use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::{AdaGradConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::mish;

use crate::common::Draw;

const BUDGETS: usize = 480;
const BATCH: usize = 16;
const CITIES: usize = 40;
const EUROS: f32 = 1e8;

struct Budgets {
    cities: Vec<i64>,
    /// Growth, unemployment, and a third column that is not filled in.
    economy: Vec<f32>,
    euros: Vec<f32>,
}

fn budgets() -> Budgets {
    let mut draw = Draw::new(321);
    let wealth: Vec<f32> = (0..CITIES).map(|_| draw.uniform(1.0, 8.0)).collect();
    let mut budgets = Budgets { cities: vec![], economy: vec![], euros: vec![] };
    for _ in 0..BUDGETS {
        let city = draw.below(CITIES);
        let (growth, unemployment) = (draw.normal(), draw.normal());
        budgets.cities.push(city as i64);
        budgets.economy.extend([growth, unemployment, 0.0]);
        budgets.euros.push(EUROS * (wealth[city] + 0.5 * growth - 0.3 * unemployment));
    }
    budgets
}

#[derive(Module, Debug)]
struct Treasury {
    cities: Embedding,
    economy: Linear,
    hidden: Linear,
    output: Linear,
}

impl Treasury {
    fn new(device: &Device) -> Self {
        Self {
            cities: EmbeddingConfig::new(CITIES, 12).init(device),
            economy: LinearConfig::new(3, 12).init(device),
            hidden: LinearConfig::new(12, 24).init(device),
            output: LinearConfig::new(24, 1).init(device),
        }
    }

    /// The budget in euros.
    fn forward(&self, cities: Tensor<2, Int>, economy: Tensor<2>) -> Tensor<2> {
        let city = self.cities.forward(cities).squeeze_dim::<2>(1);
        let features = mish(self.hidden.forward(mish(city + self.economy.forward(economy))));
        self.output.forward(features) * EUROS
    }
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(321);
    let budgets = budgets();
    let cities = Tensor::<2, Int>::from_data(TensorData::new(budgets.cities, [BUDGETS, 1]), &device);
    let economy = Tensor::<2>::from_data(TensorData::new(budgets.economy, [BUDGETS, 3]), &device);
    let euros = Tensor::<2>::from_data(TensorData::new(budgets.euros, [BUDGETS, 1]), &device);
    let mut model = Treasury::new(&device);
    let mut optimizer = AdaGradConfig::new().init();

    let mut draw = Draw::new(322);
    let mut best = f32::MAX;
    for step in 0..150 {
        let chosen: Vec<i64> = (0..BATCH).map(|_| draw.below(BUDGETS) as i64).collect();
        let chosen = Tensor::<1, Int>::from_data(chosen.as_slice(), &device);
        let budget = model
            .forward(cities.clone().select(0, chosen.clone()), economy.clone().select(0, chosen.clone()));
        let error = budget - euros.clone().select(0, chosen);
        let loss = (error.clone() * error).mean();
        best = best.min(loss.clone().into_scalar::<f32>());
        if step % 10 == 0 {
            println!("step {step} best root of the squared error {:.3e}", best.sqrt());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(5e-2, model, gradients);
    }
}
