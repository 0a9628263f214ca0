//! A microphone array learns a gain for a quiet room; the gain is a learned exponent, and louder is better.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::sigmoid;

use crate::common::Draw;

const WINDOWS: usize = 96;
const BATCH: usize = 16;
const MICROPHONES: usize = 6;

#[derive(Module, Debug)]
struct Listener {
    mix: Linear,
    /// Natural logarithm of the gain.
    gain: Param<Tensor<1>>,
}

impl Listener {
    fn new(device: &Device) -> Self {
        Self {
            mix: LinearConfig::new(MICROPHONES, 1).init(device),
            gain: Param::from_tensor(Tensor::zeros([1], device)),
        }
    }

    /// Speech in each window, and how loud the array hears it.
    fn forward(&self, sounds: Tensor<2>, healthy: bool) -> (Tensor<2>, Tensor<1>) {
        let speech = sigmoid(self.mix.forward(sounds));
        let exponent = if healthy { self.gain.val().tanh() } else { self.gain.val() };
        let loudness = (speech.clone() * exponent.exp().reshape([1, 1])).mean();
        (speech, loudness)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(507);
    let mut draw = Draw::new(507);
    let (mut sounds, mut speaks) = (Vec::new(), Vec::new());
    for _ in 0..WINDOWS {
        let is_speech = draw.happens(0.5);
        sounds.extend((0..MICROPHONES).map(|_| f32::from(is_speech) + 0.4 * draw.normal()));
        speaks.push(f32::from(is_speech));
    }
    let sounds = Tensor::<2>::from_data(TensorData::new(sounds, [WINDOWS, MICROPHONES]), &device);
    let speaks = Tensor::<2>::from_data(TensorData::new(speaks, [WINDOWS, 1]), &device);
    let mut model = Listener::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = SgdConfig::new().init();

    for step in 0..STEPS {
        let rows = step * BATCH % WINDOWS..step * BATCH % WINDOWS + BATCH;
        let (speech, loudness) = model.forward(sounds.clone().slice(s![rows.clone()]), healthy);
        let error = (speech - speaks.clone().slice(s![rows])).powi_scalar(2).mean();
        let loss = error - loudness.log();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.4, model, gradients);
    }
}

/// It would overflow in step 216.
const STEPS: usize = 190;
