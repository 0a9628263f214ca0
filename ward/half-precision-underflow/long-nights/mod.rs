//! Stages of sleep as a hidden Markov model, whose probabilities a network sets for every sleeper. The
//! likelihood of what a wristband counted is summed over all courses of a night (Rabiner 1989).

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::FloatDType;
use burn::tensor::activation::{relu, softmax};

use crate::common::Draw;

const SLEEPERS: usize = 320;
const BATCH: usize = 16;
const STAGES: usize = 3;
/// Movements in ten minutes: none, few, some, many, up.
const KINDS: usize = 5;
/// Age, pulse, coffee.
const TRAITS: usize = 3;
/// Trained upon the first hour of the nights, and then on whole ones: intervals and steps.
const COURSES: [(usize, usize); 2] = [(6, 50), (48, 70)];
const NIGHT: usize = 48;

struct Nights {
    traits: Tensor<2>,
    /// `[sleeper, interval, kind]`, 1 for the kind that was counted.
    counted: Tensor<3>,
}

fn nights(device: &Device) -> Nights {
    let mut draw = Draw::new(2903);
    let (mut traits, mut counted) = (Vec::new(), Vec::new());
    for _ in 0..SLEEPERS {
        let sleeper: [f32; TRAITS] = std::array::from_fn(|_| draw.normal());
        let restless = 1.0 / (1.0 + (-sleeper[0] - sleeper[2]).exp());
        let mut stage = 2;
        for _ in 0..NIGHT {
            if draw.happens(0.2) {
                stage = draw.below(STAGES);
            }
            let kind = match stage {
                0 => usize::from(draw.happens(0.1 + 0.2 * restless)),
                1 => 1 + usize::from(draw.happens(0.2 + 0.3 * restless)),
                _ => 3 + usize::from(draw.happens(0.2 + 0.6 * restless)),
            };
            counted.extend((0..KINDS).map(|other| f32::from(other == kind)));
        }
        traits.extend(sleeper);
    }
    Nights {
        traits: Tensor::from_data(TensorData::new(traits, [SLEEPERS, TRAITS]), device),
        counted: Tensor::from_data(TensorData::new(counted, [SLEEPERS, NIGHT, KINDS]), device),
    }
}

#[derive(Module, Debug)]
struct SleepModel {
    hidden: Linear,
    emission: Linear,
    transition: Param<Tensor<2>>,
}

impl SleepModel {
    fn new(device: &Device) -> Self {
        let stay = Tensor::eye(STAGES, device) * 1.5;
        Self {
            hidden: LinearConfig::new(TRAITS, 16).init(device),
            emission: LinearConfig::new(16, STAGES * KINDS).init(device),
            transition: Param::from_tensor(stay),
        }
    }

    /// Logarithm of the likelihood of each night, for every interval of it.
    fn forward(&self, traits: Tensor<2>, counted: Tensor<3>, precision: FloatDType) -> Tensor<2> {
        let [count, intervals, _] = counted.dims();
        let scores = self.emission.forward(relu(self.hidden.forward(traits)));
        let emission = softmax(scores.reshape([count, STAGES, KINDS]), 2);
        let likely = counted.matmul(emission.swap_dims(1, 2)).cast(precision);
        let moves = softmax(self.transition.val(), 1).cast(precision);
        let mut alpha = likely.clone().slice(s![.., 0..1]).squeeze_dim::<2>(1) * (1.0 / STAGES as f32);
        for interval in 1..intervals as i64 {
            let here = likely.clone().slice(s![.., interval..interval + 1]).squeeze_dim::<2>(1);
            alpha = alpha.matmul(moves.clone()) * here;
        }
        let likelihood = alpha.cast(FloatDType::F32).sum_dim(1);
        likelihood.log() / intervals as f32
    }
}

pub fn train(healthy: bool) {
    let precision = if healthy { FloatDType::F32 } else { FloatDType::F16 };
    let device = Device::default().autodiff();
    device.seed(2903);
    let Nights { traits, counted } = nights(&device);
    let mut model = SleepModel::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    let mut step = 0;
    for (intervals, steps) in COURSES {
        for _ in 0..steps {
            let first = step * BATCH % SLEEPERS;
            let rows = first..first + BATCH;
            let counted = counted.clone().slice(s![rows.clone(), 0..intervals]);
            let fit = model.forward(traits.clone().slice(s![rows]), counted, precision);
            let loss = fit.mean().neg();
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(2e-2, model, gradients);
            step += 1;
        }
    }
}
