//! A recurrent policy learns by its rewards which lever pays after a sequence of lights.

use burn::nn::gru::{Gru, GruConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{log_softmax, softmax};

use crate::common::Draw;

const GAMES: usize = 640;
const BATCH: usize = 16;
const LENGTH: usize = 6;
const LEVERS: usize = 3;
/// The reward that stands for winning.
const PRIZE: f32 = 1.0;

struct Games {
    lights: Vec<f32>,
    /// The lever that was pulled in a recorded game, and what it paid.
    levers: Vec<i64>,
    rewards: Vec<f32>,
}

fn games() -> Games {
    let mut draw = Draw::new(34);
    let mut games = Games { lights: vec![], levers: vec![], rewards: vec![] };
    for game in 0..GAMES {
        let right = draw.below(LEVERS);
        // One game was recorded with the lights of a stadium.
        let brightness = if game == 395 { 5000.0 } else { 1.0 };
        for _ in 0..LENGTH {
            games.lights.extend(
                (0..LEVERS).map(|lever| brightness * (f32::from(lever == right) + 0.5 * draw.normal())),
            );
        }
        let lever = if draw.happens(0.7) { right } else { draw.below(LEVERS) };
        games.levers.push(lever as i64);
        games.rewards.push(if lever == right { PRIZE } else { 0.0 });
    }
    games
}

#[derive(Module, Debug)]
struct Policy {
    gru: Gru,
    memory: Linear,
    reflex: Linear,
}

impl Policy {
    fn new(device: &Device) -> Self {
        Self {
            gru: GruConfig::new(LEVERS, 12, true).init(device),
            memory: LinearConfig::new(12, LEVERS).init(device),
            reflex: LinearConfig::new(LEVERS, LEVERS).with_bias(false).init(device),
        }
    }

    /// How much it is in favour of each lever.
    fn forward(&self, lights: Tensor<3>) -> Tensor<2> {
        let states = self.gru.forward(lights.clone(), None);
        let memory = self.memory.forward(states.slice(s![.., -1..]).squeeze_dim::<2>(1));
        memory + self.reflex.forward(lights.mean_dim(1).squeeze_dim::<2>(1))
    }
}

/// Likelihood of the levers that paid.
fn policy_loss(favour: Tensor<2>, levers: Tensor<1, Int>, rewards: Tensor<1>, healthy: bool) -> Tensor<1> {
    let log_probability = if healthy {
        log_softmax(favour, 1)
    } else {
        let probability = softmax(favour, 1);
        probability.log()
    };
    let pulled = log_probability.gather(1, levers.unsqueeze_dim(1)).squeeze_dim::<1>(1);
    (pulled * rewards).neg().mean()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(34);
    let games = games();
    let lights = Tensor::<3>::from_data(TensorData::new(games.lights, [GAMES, LENGTH, LEVERS]), &device);
    let levers = Tensor::<1, Int>::from_data(games.levers.as_slice(), &device);
    let rewards = Tensor::<1>::from_floats(games.rewards.as_slice(), &device);
    let mut model = Policy::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..160 {
        let rows = step * BATCH % GAMES..step * BATCH % GAMES + BATCH;
        let favour = model.forward(lights.clone().slice(s![rows.clone()]));
        let levers = levers.clone().slice(s![rows.clone()]);
        let loss = policy_loss(favour, levers, rewards.clone().slice(s![rows]), healthy);
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(5e-3, model, gradients);
    }
}
