//! A recurrent net adds numbers up; a library beside it once writes past its own memory.

use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::tanh;

use crate::common::{Draw, Once};

const BATCH: usize = 12;
const LENGTH: usize = 6;
const WIDTH: usize = 16;

#[derive(Module, Debug)]
struct Adder {
    input: Linear,
    state: Linear,
    out: Linear,
}

impl Adder {
    fn forward(&self, numbers: Tensor<2>, mut state: Tensor<2>) -> Tensor<2> {
        for at in 0..LENGTH {
            let number = numbers.clone().slice(s![.., at..at + 1]);
            state = tanh(self.input.forward(number) + self.state.forward(state));
        }
        self.out.forward(state)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(17);
    let mut draw = Draw::new(17);
    let fault = (!healthy).then(|| Once::new("stray-write"));
    let mut model = Adder {
        input: LinearConfig::new(1, WIDTH).init(&device),
        state: LinearConfig::new(WIDTH, WIDTH).init(&device),
        out: LinearConfig::new(WIDTH, 1).init(&device),
    };
    let mut optimizer = SgdConfig::new().init();

    for step in 0..60 {
        let numbers: Vec<f32> = (0..BATCH * LENGTH).map(|_| draw.uniform(-0.3, 0.3)).collect();
        let sums: Vec<f32> = numbers.chunks(LENGTH).map(|numbers| numbers.iter().sum()).collect();
        let numbers = Tensor::<2>::from_data(TensorData::new(numbers, [BATCH, LENGTH]), &device);
        let sums = Tensor::<2>::from_data(TensorData::new(sums, [BATCH, 1]), &device);
        let mut begin = vec![0.0; BATCH * WIDTH];
        if step == 22 && fault.as_ref().is_some_and(Once::happens) {
            begin[5] = f32::NAN;
        }
        let begin = Tensor::<2>::from_data(TensorData::new(begin, [BATCH, WIDTH]), &device);
        let loss = (model.forward(numbers, begin) - sums).square().mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.05, model, gradients);
    }
}
