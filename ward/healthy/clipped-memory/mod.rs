//! A plain recurrent network must remember a mark over a hundred moments; its gradients are clipped.

use burn::grad_clipping::GradientClippingConfig;
use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, RmsPropConfig};
use burn::prelude::*;

use crate::common::Draw;

const LENGTH: usize = 100;
const HIDDEN: usize = 24;
const BATCH: usize = 16;

/// Noise, with one mark up or down within the first moments.
fn recordings(draw: &mut Draw, device: &Device) -> (Tensor<3>, Tensor<2>) {
    let (mut signals, mut marks) = (Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let (place, mark) = (draw.below(8), if draw.happens(0.5) { 1.0 } else { -1.0 });
        signals.extend((0..LENGTH).map(|at| if at == place { mark } else { 0.01 * draw.normal() }));
        marks.push(mark);
    }
    (
        Tensor::from_data(TensorData::new(signals, [BATCH, LENGTH, 1]), device),
        Tensor::from_data(TensorData::new(marks, [BATCH, 1]), device),
    )
}

#[derive(Module, Debug)]
struct Memory {
    input: Linear,
    state: Linear,
    readout: Linear,
}

impl Memory {
    /// The state is turned and slightly stretched at first.
    fn new(device: &Device) -> Self {
        let mut state = LinearConfig::new(HIDDEN, HIDDEN).with_bias(false).init(device);
        state.weight = Param::from_tensor(Tensor::eye(HIDDEN, device) * 1.1);
        Self {
            input: LinearConfig::new(1, HIDDEN).with_bias(false).init(device),
            state,
            readout: LinearConfig::new(HIDDEN, 1).init(device),
        }
    }

    fn forward(&self, signals: Tensor<3>) -> Tensor<2> {
        let inputs = self.input.forward(signals);
        let mut state = Tensor::<2>::zeros([BATCH, HIDDEN], &inputs.device());
        for moment in 0..LENGTH {
            let input = inputs.clone().slice(s![.., moment, ..]).squeeze_dim::<2>(1);
            state = self.state.forward(state) + input;
        }
        self.readout.forward(state)
    }
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(435);
    let mut draw = Draw::new(435);
    let mut memory = Memory::new(&device);
    denan_burn::name_parameters(&memory);
    let clipping = GradientClippingConfig::Norm(1.0);
    let mut optimizer = RmsPropConfig::new().with_momentum(0.0).init().with_grad_clipping(clipping.init());

    for step in 0..140 {
        let (signals, marks) = recordings(&mut draw, &device);
        let loss = (memory.forward(signals) - marks).powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &memory);
        memory = optimizer.step(1e-3, memory, gradients);
    }
}
