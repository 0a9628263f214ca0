//! What a washing machine does, from the power that it draws: a hidden Markov model in which most phases cannot
//! follow each other. Logarithms of impossible transitions are -inf.

use burn::module::Param;
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn::tensor::activation::log_softmax;

use crate::common::Draw;

const PHASES: usize = 5;
const MINUTES: usize = 16;
/// Power, and how much it changed within the minute.
const VALUES: usize = 2;
const RUNS: usize = 256;
const BATCH: usize = 16;

/// 1 where a phase may follow: the same one or the next, and a rinse may go back to the heating.
const MAY_FOLLOW: [[f32; PHASES]; PHASES] = [
    [1.0, 1.0, 0.0, 0.0, 0.0],
    [0.0, 1.0, 1.0, 0.0, 0.0],
    [0.0, 1.0, 1.0, 1.0, 0.0],
    [0.0, 0.0, 0.0, 1.0, 1.0],
    [1.0, 0.0, 0.0, 0.0, 1.0],
];

fn runs() -> Vec<f32> {
    let mut draw = Draw::new(3101);
    let usual = [[-1.0, -1.0], [2.0, -0.5], [0.0, 0.0], [-0.5, 1.5], [1.5, 2.0]];
    let mut values = Vec::with_capacity(RUNS * MINUTES * VALUES);
    for _ in 0..RUNS {
        let mut phase = draw.below(PHASES);
        for _ in 0..MINUTES {
            values.extend(usual[phase].map(|value: f32| value + 0.3 * draw.normal()));
            if draw.happens(0.3) {
                phase = (phase + 1) % PHASES;
            }
        }
    }
    values
}

#[derive(Module, Debug)]
struct Phases {
    /// What is drawn in a phase, `[phases, values]`.
    usual: Param<Tensor<2>>,
    /// From phase to phase.
    transitions: Param<Tensor<2>>,
    begins: Param<Tensor<1>>,
}

impl Phases {
    fn new(device: &Device) -> Self {
        Self {
            usual: Param::from_tensor(Tensor::random(
                [PHASES, VALUES],
                Distribution::Normal(0.0, 1.0),
                device,
            )),
            transitions: Param::from_tensor(Tensor::zeros([PHASES, PHASES], device)),
            begins: Param::from_tensor(Tensor::zeros([PHASES], device)),
        }
    }

    /// How likely each minute is in each phase, as a logarithm: `[runs, minutes, phases]`.
    fn emissions(&self, runs: Tensor<3>) -> Tensor<3> {
        let apart = runs.unsqueeze_dim::<4>(2) - self.usual.val().unsqueeze::<4>();
        apart.square().sum_dim(3).squeeze_dim::<3>(3) * -0.5
    }

    /// The mean surprise of a minute.
    fn forward(&self, runs: Tensor<3>, may_follow: Tensor<2>) -> Tensor<1> {
        let emissions = self.emissions(runs);
        let at = |minute: usize| emissions.clone().slice(s![.., minute, ..]).squeeze_dim::<2>(1);
        let transitions = log_softmax(self.transitions.val() + may_follow.log(), 1).unsqueeze::<3>();
        let mut sofar = log_softmax(self.begins.val(), 0).unsqueeze::<2>() + at(0);
        for minute in 1..MINUTES {
            let paths = sofar.unsqueeze_dim::<3>(2) + transitions.clone();
            sofar = log_sum_exp(paths).squeeze_dim::<2>(1) + at(minute);
        }
        log_sum_exp(sofar.unsqueeze_dim::<3>(2)).mean() / -(MINUTES as f32)
    }
}

/// Over the middle of three dimensions.
fn log_sum_exp(values: Tensor<3>) -> Tensor<3> {
    let largest = values.clone().max_dim(1).detach();
    (values - largest.clone()).exp().sum_dim(1).log() + largest
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(3101);
    let runs = Tensor::<3>::from_data(TensorData::new(runs(), [RUNS, MINUTES, VALUES]), &device);
    let may_follow = Tensor::<2>::from_floats(MAY_FOLLOW, &device);
    let mut model = Phases::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..150 {
        let first = step * BATCH % RUNS;
        let loss = model.forward(runs.clone().slice(s![first..first + BATCH]), may_follow.clone());
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-2, model, gradients);
    }
}
