//! A model of an oscillator is trained on its own predictions, rolled out over many moments.

use burn::nn::{Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
use burn::prelude::*;

use crate::common::Draw;

const RUNS: usize = 96;
const BATCH: usize = 16;
const MOMENTS: usize = 60;
const INTERVAL: f32 = 0.15;

/// Place and speed of a van der Pol oscillator, from random starts: `[runs, moments + 1, 2]`.
fn runs() -> Vec<f32> {
    let mut draw = Draw::new(362);
    let mut states = Vec::with_capacity(RUNS * (MOMENTS + 1) * 2);
    for _ in 0..RUNS {
        let (mut place, mut speed) = (draw.uniform(-2.0, 2.0), draw.uniform(-2.0, 2.0));
        for _ in 0..=MOMENTS {
            states.extend([place, speed]);
            for _ in 0..10 {
                let pull = (1.0 - place * place) * speed - place;
                place += 0.1 * INTERVAL * speed;
                speed += 0.1 * INTERVAL * pull;
            }
        }
    }
    states
}

#[derive(Module, Debug)]
struct Dynamics {
    lift: Linear,
    mix: Linear,
    change: Linear,
}

impl Dynamics {
    fn new(device: &Device) -> Self {
        Self {
            lift: LinearConfig::new(2, 24).init(device),
            mix: LinearConfig::new(24, 24).init(device),
            change: LinearConfig::new(24, 2).init(device),
        }
    }

    /// The state one moment later.
    fn advance(&self, state: Tensor<2>) -> Tensor<2> {
        let hidden = burn::tensor::activation::leaky_relu(self.lift.forward(state.clone()), 0.1);
        let hidden = burn::tensor::activation::leaky_relu(self.mix.forward(hidden), 0.1);
        state + self.change.forward(hidden) * INTERVAL
    }
}

/// Mean squared error along the whole way.
fn rollout_loss(model: &Dynamics, truth: Tensor<3>) -> Tensor<1> {
    let at = |moment: usize| truth.clone().slice(s![.., moment, ..]).squeeze_dim::<2>(1);
    let mut state = at(0);
    let mut errors = Vec::with_capacity(MOMENTS);
    for moment in 1..=MOMENTS {
        state = model.advance(state);
        errors.push((state.clone() - at(moment)).square().mean());
    }
    Tensor::cat(errors, 0).mean()
}

fn optimizer(healthy: bool) -> ModuleOptimizer {
    let momentum = MomentumConfig::new().with_momentum(0.9);
    let config = SgdConfig::new().with_momentum(Some(momentum));
    if healthy {
        let clipping = burn::grad_clipping::GradientClippingConfig::Norm(1.0);
        config.with_gradient_clipping(Some(clipping)).init()
    } else {
        config.init()
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(362);
    let runs = Tensor::<3>::from_data(TensorData::new(runs(), [RUNS, MOMENTS + 1, 2]), &device);
    let mut model = Dynamics::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = optimizer(healthy);

    for step in 0..130 {
        let first = step * BATCH % RUNS;
        let loss = rollout_loss(&model, runs.clone().slice(s![first..first + BATCH]));
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.05, model, gradients);
    }
}
