//! A mixture density network says where a ball lands; its bells grow so narrow that some balls lie in none of them.

use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{log_softmax, softmax, tanh};

use crate::common::Draw;

const THROWS: usize = 1024;
const BATCH: usize = 16;
const PLAYERS: usize = 8;
const BELLS: usize = 3;

struct Throws {
    players: Vec<i64>,
    force: Vec<f32>,
    place: Vec<f32>,
}

/// Each player has a pole of the two that he likes better, and rarely misses both.
fn throws() -> Throws {
    let mut draw = Draw::new(241);
    let mut throws = Throws { players: vec![], force: vec![], place: vec![] };
    for number in 0..THROWS {
        let player = draw.below(PLAYERS);
        let force = draw.uniform(-1.0, 1.0);
        let right = player.is_multiple_of(2) != draw.happens(0.15);
        let pole = if right { 1.0 } else { -1.0 };
        let slip = if number > 900 && draw.happens(0.1) { 8.0 } else { 0.0 };
        throws.players.push(player as i64);
        throws.force.push(force);
        throws.place.push(pole + 0.3 * force + 0.05 * player as f32 + 0.05 * draw.normal() + slip);
    }
    throws
}

#[derive(Module, Debug)]
struct Mixture {
    players: Embedding,
    force: Linear,
    hidden: Linear,
    weights: Linear,
    centres: Linear,
    log_widths: Linear,
}

impl Mixture {
    fn new(device: &Device) -> Self {
        let head = || LinearConfig::new(24, BELLS).init(device);
        Self {
            players: EmbeddingConfig::new(PLAYERS, 8).init(device),
            force: LinearConfig::new(1, 8).init(device),
            hidden: LinearConfig::new(8, 24).init(device),
            weights: head(),
            centres: head(),
            log_widths: head(),
        }
    }

    /// Negative logarithm of the density at `place`.
    fn loss(&self, players: Tensor<2, Int>, force: Tensor<2>, place: Tensor<2>, healthy: bool) -> Tensor<1> {
        let player = self.players.forward(players).squeeze_dim::<2>(1);
        let state = tanh(self.hidden.forward(tanh(player + self.force.forward(force))));
        let log_width = self.log_widths.forward(state.clone());
        let distance = (place - self.centres.forward(state.clone())) / log_width.clone().exp();
        let log_bell = distance.powi_scalar(2) / -2.0 - log_width - 0.5 * std::f32::consts::TAU.ln();
        let weights = self.weights.forward(state);
        if healthy {
            let parts = log_softmax(weights, 1) + log_bell;
            let largest = parts.clone().detach().max_dim(1);
            let density = (parts - largest.clone()).exp().sum_dim(1);
            return (density.log() + largest).neg().mean();
        }
        let density = (softmax(weights, 1) * log_bell.exp()).sum_dim(1);
        density.log().neg().mean()
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(241);
    let throws = throws();
    let players = Tensor::<2, Int>::from_data(TensorData::new(throws.players, [THROWS, 1]), &device);
    let force = Tensor::<2>::from_data(TensorData::new(throws.force, [THROWS, 1]), &device);
    let place = Tensor::<2>::from_data(TensorData::new(throws.place, [THROWS, 1]), &device);
    let mut model = Mixture::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().with_weight_decay(1e-3).init();

    for step in 0..120 {
        let rows = step * BATCH % THROWS..step * BATCH % THROWS + BATCH;
        let loss = model.loss(
            players.clone().slice(s![rows.clone()]),
            force.clone().slice(s![rows.clone()]),
            place.clone().slice(s![rows]),
            healthy,
        );
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-2, model, gradients);
    }
}
