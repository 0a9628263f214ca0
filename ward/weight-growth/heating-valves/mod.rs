//! Valves of a heating are set by a policy with some chance in it. A part of the loss rewards a policy for being
//! undecided, so that it does not settle too early.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn::tensor::activation::{relu, tanh};

use crate::common::Draw;

const ROOMS: usize = 128;
const SENSES: usize = 4;
const VALVES: usize = 2;
const UNDECIDED: f32 = 0.6;

/// How the rooms are: two temperatures, sun and people, standardised.
fn rooms(draw: &mut Draw, device: &Device) -> Tensor<2> {
    let senses: Vec<f32> = (0..ROOMS * SENSES).map(|_| draw.normal()).collect();
    Tensor::from_data(TensorData::new(senses, [ROOMS, SENSES]), device)
}

/// How far from comfortable both parts of a room are afterwards.
fn discomfort(rooms: Tensor<2>, valves: Tensor<2>) -> Tensor<2> {
    let temperatures = rooms.clone().slice(s![.., 0..2]);
    let sun = rooms.slice(s![.., 2..3]);
    (temperatures + sun * 0.5 + valves * 2.0 - 1.5).abs()
}

#[derive(Module, Debug)]
struct Actor {
    hidden: Linear,
    inner: Linear,
    mean: Linear,
}

impl Actor {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(SENSES, 24).init(device),
            inner: LinearConfig::new(24, 24).init(device),
            mean: LinearConfig::new(24, VALVES).init(device),
        }
    }

    fn forward(&self, rooms: Tensor<2>) -> Tensor<2> {
        tanh(self.mean.forward(relu(self.inner.forward(relu(self.hidden.forward(rooms))))))
    }
}

/// How much chance there is in each valve, the same for all rooms.
#[derive(Module, Debug)]
struct Spread {
    log_std: Param<Tensor<2>>,
}

/// Of a normal distribution.
fn log_probability(value: Tensor<2>, mean: Tensor<2>, log_std: Tensor<2>) -> Tensor<2> {
    let variance = (log_std.clone() * 2.0).exp();
    let distance = (value - mean).square();
    distance / (variance * -2.0) - log_std - 0.9189
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(4301);
    let mut draw = Draw::new(4301);
    let mut actor = Actor::new(&device);
    let mut spread = Spread { log_std: Param::from_tensor(Tensor::full([1, VALVES], -1.0, &device)) };
    denan_burn::name_parameters(&actor);
    denan_burn::name_parameters(&spread);
    let weight_decay = if healthy { 1.0 } else { 0.0 };
    let mut actor_optimizer = AdamConfig::new().init();
    let mut spread_optimizer = AdamWConfig::new().with_weight_decay(weight_decay).init();

    for step in 0..320 {
        let rooms = rooms(&mut draw, &device);
        let mean = actor.forward(rooms.clone());
        let noise = Tensor::<2>::random([ROOMS, VALVES], Distribution::Normal(0.0, 1.0), &device);
        let chosen = mean.clone() + noise * spread.log_std.val().exp();
        let surprise = log_probability(chosen.clone(), mean, spread.log_std.val()).mean();
        let cost = discomfort(rooms, chosen.clamp(-1.0, 1.0)).mean();
        let loss = cost.clone() + surprise * UNDECIDED;
        if step % 10 == 0 {
            let [cost, loss] = [cost, loss.clone()].map(|value| value.into_scalar::<f32>());
            println!("step {step} loss {loss:.4} discomfort {cost:.4}");
        }
        let mut gradients = loss.backward();
        let of_actor = GradientsParams::from_module(&mut gradients, &actor);
        let of_spread = GradientsParams::from_module(&mut gradients, &spread);
        actor = actor_optimizer.step(5e-3, actor, of_actor);
        spread = spread_optimizer.step(0.2, spread, of_spread);
    }
}
