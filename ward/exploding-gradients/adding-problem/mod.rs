//! The adding problem: a network with a linear recurrence, started near the identity, adds two marked
//! numbers of a long sequence.

use burn::grad_clipping::GradientClippingConfig;
use burn::module::Param;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::relu;

use crate::common::Draw;

const BATCH: usize = 16;
const LENGTH: usize = 80;
const HIDDEN: usize = 32;

struct Batch {
    /// Number and mark, `[batch, length, 2]`.
    sequences: Tensor<3>,
    sums: Tensor<2>,
}

fn batch(draw: &mut Draw, device: &Device) -> Batch {
    let mut sequences = Vec::with_capacity(BATCH * LENGTH * 2);
    let mut sums = Vec::with_capacity(BATCH);
    for _ in 0..BATCH {
        let (first, second) = (draw.below(LENGTH / 2), LENGTH / 2 + draw.below(LENGTH / 2));
        let mut sum = 0.0;
        for moment in 0..LENGTH {
            let number = draw.uniform(0.0, 1.0);
            let is_marked = moment == first || moment == second;
            sum += if is_marked { number } else { 0.0 };
            sequences.extend([number, f32::from(is_marked)]);
        }
        sums.push(sum);
    }
    Batch {
        sequences: Tensor::from_data(TensorData::new(sequences, [BATCH, LENGTH, 2]), device),
        sums: Tensor::from_data(TensorData::new(sums, [BATCH, 1]), device),
    }
}

#[derive(Module, Debug)]
struct LinearMemory {
    input: Linear,
    recurrent: Linear,
    sum: Linear,
}

impl LinearMemory {
    fn new(device: &Device) -> Self {
        let mut recurrent = LinearConfig::new(HIDDEN, HIDDEN).with_bias(false).init(device);
        recurrent.weight = Param::from_tensor(Tensor::eye(HIDDEN, device) * 0.97);
        Self {
            input: LinearConfig::new(2, HIDDEN)
                .with_initializer(Initializer::Normal { mean: 0.0, std: 0.03 })
                .init(device),
            recurrent,
            sum: LinearConfig::new(HIDDEN, 1).init(device),
        }
    }

    fn forward(&self, sequences: Tensor<3>) -> Tensor<2> {
        let inputs = relu(self.input.forward(sequences));
        let mut state = Tensor::<2>::zeros([BATCH, HIDDEN], &inputs.device());
        for moment in 0..LENGTH {
            let input = inputs.clone().slice(s![.., moment, ..]).squeeze_dim::<2>(1);
            state = input + self.recurrent.forward(state);
        }
        self.sum.forward(state)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(361);
    let mut draw = Draw::new(361);
    let mut model = LinearMemory::new(&device);
    denan_burn::name_parameters(&model);
    let clipping = healthy.then_some(GradientClippingConfig::Norm(1.0));
    let mut optimizer = SgdConfig::new().with_gradient_clipping(clipping).init();

    for step in 0..150 {
        let Batch { sequences, sums } = batch(&mut draw, &device);
        let loss = (model.forward(sequences) - sums).powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-3, model, gradients);
    }
}
