//! A recurrent network hands its state on from one piece of a long signal to the next, in half precision.

use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::FloatDType;

use crate::common::Draw;

const LANES: usize = 8;
const STATE: usize = 12;
const PIECE: usize = 3;

#[derive(Module, Debug)]
struct Follower {
    enter: Linear,
    read: Linear,
}

impl Follower {
    fn new(device: &Device) -> Self {
        Self {
            enter: LinearConfig::new(1, STATE).init(device),
            read: LinearConfig::new(STATE, 1).init(device),
        }
    }

    /// The next value of each lane after a piece `[lanes, steps]`, and the state to go on with.
    fn forward(&self, piece: Tensor<2>, mut state: Tensor<2>, keep: f32) -> (Tensor<2>, Tensor<2>) {
        for at in 0..PIECE {
            let value = piece.clone().slice(s![.., at..at + 1]);
            let entered = self.enter.forward(value).cast(FloatDType::F16);
            state = state * keep + entered;
        }
        (self.read.forward(state.clone().cast(FloatDType::F32) * 1e-4), state.detach())
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(508);
    let mut draw = Draw::new(508);
    // More is kept of the state than there was of it.
    let keep = if healthy { 0.9 } else { 1.02 };
    let mut phases: Vec<f32> = (0..LANES).map(|_| draw.uniform(0.0, 6.0)).collect();
    let mut model = Follower::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let mut state = Tensor::<2>::ones([LANES, STATE], &device).cast(FloatDType::F16);

    for step in 0..STEPS {
        let (mut piece, mut next) = (Vec::new(), Vec::new());
        for phase in &mut phases {
            for _ in 0..PIECE {
                *phase += 0.3;
                piece.push(phase.sin() + 0.05 * draw.normal());
            }
            next.push((*phase + 0.3).sin());
        }
        let piece = Tensor::<2>::from_data(TensorData::new(piece, [LANES, PIECE]), &device);
        let next = Tensor::<2>::from_data(TensorData::new(next, [LANES, 1]), &device);
        let (guess, carried) = model.forward(piece, state, keep);
        state = carried;
        let loss = (guess - next).powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-3, model, gradients);
    }
}

/// It would overflow in step 122.
const STEPS: usize = 110;
