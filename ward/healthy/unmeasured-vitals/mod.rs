//! Who will need a ventilator? Vital signs of intensive care, of which each hour only a few are measured;
//! the others are NaN in the table. A recurrent network carries the last value on, and lets it fade.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{log_sigmoid, sigmoid, softplus, tanh};

use crate::common::Draw;

const PATIENTS: usize = 320;
const BATCH: usize = 16;
const HOURS: usize = 12;
/// Pulse, breaths, oxygen, lactate, as deviations from what is normal.
const SIGNS: usize = 4;
const WIDTH: usize = 12;

struct Stays {
    signs: Tensor<3>,
    /// 1 for those who were ventilated, -1 for the others.
    outcome: Tensor<1>,
}

fn stays(device: &Device) -> Stays {
    let mut draw = Draw::new(4703);
    let (mut signs, mut outcome) = (Vec::new(), Vec::new());
    for _ in 0..PATIENTS {
        let worsens = draw.happens(0.5);
        let trend = if worsens { draw.uniform(0.08, 0.25) } else { draw.uniform(-0.1, 0.05) };
        for hour in 0..HOURS {
            let state = trend * hour as f32;
            let hourly = [state, 0.8 * state, -state].map(|sign| sign + 0.4 * draw.normal());
            for sign in hourly {
                signs.push(if draw.happens(0.4) { f32::NAN } else { sign });
            }
            // Blood is drawn twice a day.
            let lactate = if hour % 6 == 2 { 1.2 * state + 0.2 * draw.normal() } else { f32::NAN };
            signs.push(lactate);
        }
        outcome.push(if worsens { 1.0 } else { -1.0 });
    }
    Stays {
        signs: Tensor::from_data(TensorData::new(signs, [PATIENTS, HOURS, SIGNS]), device),
        outcome: Tensor::from_floats(outcome.as_slice(), device),
    }
}

/// A gated unit with decay (Che et al. 2018).
#[derive(Module, Debug)]
struct DecayUnit {
    fading: Param<Tensor<2>>,
    gates: Linear,
    candidate: Linear,
    risk: Linear,
}

impl DecayUnit {
    fn new(device: &Device) -> Self {
        let inputs = 2 * SIGNS + WIDTH;
        Self {
            fading: Param::from_tensor(Tensor::zeros([1, SIGNS], device)),
            gates: LinearConfig::new(inputs, 2 * WIDTH).init(device),
            candidate: LinearConfig::new(inputs, WIDTH).init(device),
            risk: LinearConfig::new(WIDTH, 1).init(device),
        }
    }

    /// Log-odds of a ventilation.
    fn forward(&self, signs: Tensor<3>) -> Tensor<1> {
        let device = signs.device();
        let [patients, ..] = signs.dims();
        let kept = softplus(self.fading.val(), 1.0).neg().exp();
        let mut last = Tensor::<2>::zeros([patients, SIGNS], &device);
        let mut state = Tensor::<2>::zeros([patients, WIDTH], &device);
        for hour in signs.split(1, 1) {
            let hour = hour.squeeze_dim::<2>(1);
            let is_missing = hour.clone().is_nan();
            let value = hour.mask_where(is_missing.clone(), last * kept.clone());
            let asked = is_missing.bool_not().float();
            let input = Tensor::cat(vec![value.clone(), asked.clone(), state.clone()], 1);
            let gates = sigmoid(self.gates.forward(input));
            let [update, reset] = [0, WIDTH].map(|first| gates.clone().slice(s![.., first..first + WIDTH]));
            let input = Tensor::cat(vec![value.clone(), asked, state.clone() * reset], 1);
            let candidate = tanh(self.candidate.forward(input));
            state = state.clone() + update * (candidate - state);
            last = value;
        }
        self.risk.forward(state).squeeze_dim(1)
    }
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(4703);
    let stays = stays(&device);
    let mut model = DecayUnit::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..140 {
        let first = step * BATCH % PATIENTS;
        let rows = s![first..first + BATCH];
        let odds = model.forward(stays.signs.clone().slice(rows));
        let loss = log_sigmoid(odds * stays.outcome.clone().slice(rows)).neg().mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
}
