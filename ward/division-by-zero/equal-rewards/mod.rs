//! A walker learns by REINFORCE to find its way home, until a whole batch of walkers arrives.

use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, RmsPropConfig};
use burn::prelude::*;
use burn::tensor::activation::{log_softmax, softmax};

use crate::common::Draw;

const WALKERS: usize = 20;
const MOVES: usize = 5;
/// Home is at 0; nobody starts farther away than this.
const FAR: usize = 3;

#[derive(Module, Debug)]
struct Policy {
    hidden: Linear,
    output: Linear,
}

impl Policy {
    fn new(device: &Device) -> Self {
        Self { hidden: LinearConfig::new(2, 16).init(device), output: LinearConfig::new(16, 2).init(device) }
    }

    /// In favour of a move to the left and to the right.
    fn forward(&self, views: Tensor<2>) -> Tensor<2> {
        self.output.forward(self.hidden.forward(views).tanh())
    }
}

/// What a batch of walkers saw and did, and whether each of them came home.
struct Walks {
    views: Vec<f32>,
    moves: Vec<i64>,
    rewards: Vec<f32>,
}

fn view(place: i64, moved: usize) -> [f32; 2] {
    [place as f32 / FAR as f32, moved as f32 / MOVES as f32]
}

fn walk(policy: &Policy, draw: &mut Draw, device: &Device) -> Walks {
    let mut places: Vec<i64> = (0..WALKERS)
        .map(|_| {
            let distance = 1 + draw.below(FAR) as i64;
            if draw.happens(0.5) { distance } else { -distance }
        })
        .collect();
    let mut walks = Walks { views: vec![], moves: vec![], rewards: vec![] };
    for moved in 0..MOVES {
        let views: Vec<f32> = places.iter().flat_map(|&place| view(place, moved)).collect();
        let input = Tensor::<2>::from_data(TensorData::new(views.clone(), [WALKERS, 2]), device);
        let chances = softmax(policy.forward(input), 1).into_data().try_to_vec::<f32>().expect("chances");
        for (place, chances) in places.iter_mut().zip(chances.chunks(2)) {
            let right = draw.uniform(0.0, 1.0) < chances[1];
            walks.moves.push(i64::from(right));
            // Who is at home stays there.
            if *place != 0 {
                *place += if right { 1 } else { -1 };
            }
        }
        walks.views.extend(views);
    }
    walks.rewards = places.iter().map(|&place| f32::from(place == 0)).collect();
    walks
}

/// How much better each walk was than the others of its batch.
fn advantages(rewards: Tensor<1>, healthy: bool) -> Tensor<1> {
    let centred = rewards.clone() - rewards.clone().mean();
    let spread = rewards.var(0).sqrt();
    if healthy { centred / (spread + 1e-6) } else { centred / spread }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(251);
    let mut draw = Draw::new(251);
    let mut policy = Policy::new(&device);
    let mut optimizer = RmsPropConfig::new().with_alpha(0.9).with_momentum(0.0).init();

    for step in 0..100 {
        let walks = walk(&policy, &mut draw, &device);
        if step % 10 == 0 {
            println!("step {step} came home {:.2}", walks.rewards.iter().sum::<f32>() / WALKERS as f32);
        }
        let views = TensorData::new(walks.views, [MOVES * WALKERS, 2]);
        let favour = policy.forward(Tensor::from_data(views, &device));
        let moves = Tensor::<1, Int>::from_data(walks.moves.as_slice(), &device).unsqueeze_dim::<2>(1);
        let log_chance = log_softmax(favour, 1).gather(1, moves).reshape([MOVES, WALKERS]);
        let advantages = advantages(Tensor::from_floats(walks.rewards.as_slice(), &device), healthy);
        let loss = (log_chance * advantages.unsqueeze_dim::<2>(0)).neg().mean();
        let gradients = GradientsParams::from_grads(loss.backward(), &policy);
        policy = optimizer.step(5e-3, policy, gradients);
    }
}
