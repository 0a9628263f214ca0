//! When to irrigate: values of actions, learned from recorded transitions with the help of a target
//! network, which follows the other one every few steps.

use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::leaky_relu;

use crate::common::Draw;

const SENSORS: usize = 4;
const ACTIONS: usize = 3;
const HIDDEN: usize = 32;
const TRANSITIONS: usize = 1024;
const BATCH: usize = 32;
const FOLLOW_EVERY: usize = 15;
const DISCOUNT: f32 = 0.7;

struct Replay {
    states: Tensor<2>,
    actions: Tensor<2, Int>,
    rewards: Tensor<2>,
    next: Tensor<2>,
}

/// Moisture of the soil in millimetres, sun in watts per square metre, temperature, days since rain.
fn replay(device: &Device) -> Replay {
    let mut draw = Draw::new(342);
    let (mut states, mut next) = (Vec::new(), Vec::new());
    let (mut actions, mut rewards) = (Vec::new(), Vec::new());
    for _ in 0..TRANSITIONS {
        let action = draw.below(ACTIONS);
        let (moisture, sun) = (draw.uniform(0.0, 300.0), draw.uniform(0.0, 900.0));
        let (warmth, days) = (draw.uniform(0.0, 35.0), draw.uniform(0.0, 20.0));
        states.extend([moisture, sun, warmth, days]);
        let later = (moisture + 40.0 * action as f32 - 0.05 * sun).clamp(0.0, 300.0);
        next.extend([later, (sun + 200.0 * draw.normal()).clamp(0.0, 900.0), warmth, days + 1.0]);
        actions.push(action as i64);
        rewards.push(1.0 - ((later - 150.0) / 100.0).powi(2).min(1.0) - 0.1 * action as f32);
    }
    let table = |values| Tensor::from_data(TensorData::new(values, [TRANSITIONS, SENSORS]), device);
    Replay {
        states: table(states),
        next: table(next),
        actions: Tensor::from_data(TensorData::new(actions, [TRANSITIONS, 1]), device),
        rewards: Tensor::from_data(TensorData::new(rewards, [TRANSITIONS, 1]), device),
    }
}

#[derive(Module, Debug)]
struct QNetwork {
    input: BatchNorm,
    first: Linear,
    second: Linear,
    values: Linear,
}

impl QNetwork {
    fn new(device: &Device) -> Self {
        Self {
            input: BatchNormConfig::new(SENSORS).init(device),
            first: LinearConfig::new(SENSORS, HIDDEN).init(device),
            second: LinearConfig::new(HIDDEN, HIDDEN).init(device),
            values: LinearConfig::new(HIDDEN, ACTIONS).init(device),
        }
    }

    fn forward(&self, states: Tensor<2>) -> Tensor<2> {
        let x = leaky_relu(self.first.forward(self.input.forward(states)), 0.1);
        self.values.forward(leaky_relu(self.second.forward(x), 0.1))
    }

    /// Takes the weights of another network over.
    fn follow(mut self, other: &QNetwork, with_statistics: bool) -> Self {
        let other = other.clone().freeze();
        self.first = other.first;
        self.second = other.second;
        self.values = other.values;
        self.input.gamma = other.input.gamma;
        self.input.beta = other.input.beta;
        if with_statistics {
            self.input.running_mean = other.input.running_mean;
            self.input.running_var = other.input.running_var;
        }
        self
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(342);
    let replay = replay(&device);
    let mut online = QNetwork::new(&device);
    let mut target = QNetwork::new(&device).freeze();
    denan_burn::name_parameters(&online);
    let mut optimizer = SgdConfig::new().init();
    let mut draw = Draw::new(343);

    for step in 0..200 {
        if step > 0 && step % FOLLOW_EVERY == 0 {
            target = target.follow(&online, healthy);
        }
        let rows: Vec<i64> = (0..BATCH).map(|_| draw.below(TRANSITIONS) as i64).collect();
        let rows = Tensor::<1, Int>::from_data(rows.as_slice(), &device);
        let mut wanted = replay.rewards.clone().select(0, rows.clone());
        if step >= FOLLOW_EVERY {
            let next = target.forward(replay.next.clone().select(0, rows.clone())).max_dim(1);
            wanted = wanted + next.detach() * DISCOUNT;
        }
        let values = online.forward(replay.states.clone().select(0, rows.clone()));
        let taken = values.gather(1, replay.actions.clone().select(0, rows));
        let loss = (taken - wanted).powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &online);
        online = optimizer.step(0.02, online, gradients);
    }
}
