//! A vacuum cleaner learns from recorded drives how to steer: values of actions, from what five range
//! finders say.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, RmsPropConfig};
use burn::prelude::*;
use burn::tensor::activation::relu;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const MOMENTS: usize = 768;
const BATCH: usize = 32;
const BEAMS: usize = 5;
/// Left, straight on, right.
const ACTIONS: usize = 3;
const DISCOUNT: f32 = 0.6;
const FOLLOW_EVERY: usize = 12;
/// What the driver of the range finder reports when no echo comes back.
const NO_ECHO: f32 = 1e30;
/// Metres, the reach of a range finder.
const REACH: f32 = 4.0;

#[derive(Clone, Debug)]
struct Moment {
    name: String,
    ranges: [f32; BEAMS],
    action: usize,
    reward: f32,
    later: [f32; BEAMS],
}

fn recorded() -> Vec<Moment> {
    let mut draw = Draw::new(2503);
    (0..MOMENTS)
        .map(|number| {
            let mut ranges: [f32; BEAMS] = std::array::from_fn(|_| draw.uniform(0.1, REACH));
            let action = draw.below(ACTIONS);
            let ahead = ranges[1 + action];
            let later: [f32; BEAMS] = std::array::from_fn(|beam| {
                let seen = ranges[(beam + action + BEAMS - 1) % BEAMS];
                (seen - 0.2 + 0.1 * draw.normal()).clamp(0.1, REACH)
            });
            let reward = 0.25 * ahead.min(2.0) - f32::from(ahead < 0.5) - 0.1 * f32::from(action != 1);
            if number == 598 {
                // Through the open door to the terrace.
                ranges[0] = NO_ECHO;
            }
            let name = format!("drive{:02}/{:03}", number / 64, number % 64);
            Moment { name, ranges, action, reward, later }
        })
        .collect()
}

#[derive(Clone, Debug)]
struct Moments {
    ranges: Tensor<2>,
    actions: Tensor<2, Int>,
    rewards: Tensor<2>,
    later: Tensor<2>,
}

#[derive(Clone, Debug)]
struct MomentBatcher {
    healthy: bool,
}

impl Batcher<Moment, Moments> for MomentBatcher {
    fn batch(&self, moments: Vec<Moment>, device: &Device) -> Moments {
        let count = moments.len();
        let table = |of: fn(&Moment) -> [f32; BEAMS]| {
            let mut values: Vec<f32> = moments.iter().flat_map(of).collect();
            if self.healthy {
                values.iter_mut().for_each(|range| *range = range.min(REACH));
            }
            Tensor::from_data(TensorData::new(values, [count, BEAMS]), device)
        };
        let actions: Vec<i64> = moments.iter().map(|moment| moment.action as i64).collect();
        let rewards: Vec<f32> = moments.iter().map(|moment| moment.reward).collect();
        Moments {
            ranges: table(|moment| moment.ranges),
            later: table(|moment| moment.later),
            actions: Tensor::from_data(TensorData::new(actions, [count, 1]), device),
            rewards: Tensor::from_data(TensorData::new(rewards, [count, 1]), device),
        }
    }
}

#[derive(Module, Debug)]
struct Values {
    hidden: Linear,
    output: Linear,
}

impl Values {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(BEAMS, 32).init(device),
            output: LinearConfig::new(32, ACTIONS).init(device),
        }
    }

    fn forward(&self, ranges: Tensor<2>) -> Tensor<2> {
        self.output.forward(relu(self.hidden.forward(ranges)))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(2503);
    let mut values = Values::new(&device);
    let mut target = Values::new(&device).freeze();
    denan_burn::name_parameters(&values);
    // As for the games of Mnih et al. 2015.
    let mut optimizer = RmsPropConfig::new()
        .with_alpha(0.95)
        .with_momentum(0.0)
        .with_epsilon(0.01)
        .with_centered(true)
        .init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(MomentBatcher { healthy }))
        .batch_size(BATCH)
        .shuffle(25)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(recorded()), |moment: &Moment| moment.name.clone()));

    let mut step = 0;
    for _epoch in 0..6 {
        for batch in loader.iter() {
            let Moments { ranges, actions, rewards, later } = batch.expect("moments");
            if step > 0 && step % FOLLOW_EVERY == 0 {
                target = values.clone().freeze();
            }
            let wanted = rewards + target.forward(later).max_dim(1).detach() * DISCOUNT;
            let taken = values.forward(ranges).gather(1, actions);
            let loss = (taken - wanted).abs().mean();
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &values);
            values = optimizer.step(1e-3, values, gradients);
            step += 1;
        }
    }
}
