//! A recurrent network, written by hand, adds up the marked numbers of a sequence.

use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;

use crate::common::Draw;

const SEQUENCES: usize = 512;
const BATCH: usize = 16;
const LENGTH: usize = 8;
const WIDTH: usize = 32;

/// Numbers with marks, and the sum of the marked ones.
fn sequences() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(73);
    let (mut inputs, mut sums) = (Vec::new(), Vec::new());
    for _ in 0..SEQUENCES {
        let mut sum = 0.0;
        for _ in 0..LENGTH {
            let (number, mark) = (draw.uniform(-1.0, 1.0), f32::from(draw.happens(0.4)));
            inputs.extend([number, mark]);
            sum += number * mark;
        }
        sums.push(sum);
    }
    (inputs, sums)
}

#[derive(Module, Debug)]
struct Recurrent {
    input: Linear,
    state: Linear,
    readout: Linear,
}

impl Recurrent {
    fn new(device: &Device) -> Self {
        Self {
            input: LinearConfig::new(2, WIDTH).init(device),
            state: LinearConfig::new(WIDTH, WIDTH).init(device),
            readout: LinearConfig::new(WIDTH, 1).init(device),
        }
    }

    fn forward(&self, inputs: Tensor<3>) -> Tensor<2> {
        let [count, length, _] = inputs.dims();
        let mut state = Tensor::<2>::zeros([count, WIDTH], &inputs.device());
        for moment in 0..length {
            let input: Tensor<2> = inputs.clone().slice(s![.., moment, ..]).squeeze_dim(1);
            state = (self.input.forward(input) + self.state.forward(state)).tanh();
        }
        self.readout.forward(state)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(73);
    let (inputs, sums) = sequences();
    let inputs = Tensor::<3>::from_data(TensorData::new(inputs, [SEQUENCES, LENGTH, 2]), &device);
    let sums = Tensor::<2>::from_data(TensorData::new(sums, [SEQUENCES, 1]), &device);
    let mut model = Recurrent::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = SgdConfig::new().init();
    let learning_rate = if healthy { 0.02 } else { 0.6 };

    for step in 0..200 {
        let rows = step * BATCH % SEQUENCES..step * BATCH % SEQUENCES + BATCH;
        let output = model.forward(inputs.clone().slice(s![rows.clone()]));
        let error = output - sums.clone().slice(s![rows]);
        let loss = (error.clone() * error).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(learning_rate, model, gradients);
    }
}
