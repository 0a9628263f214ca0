//! A recurrent network pools the largest state of a sequence; what lies behind its end counts as -inf.

use burn::nn::gru::{Gru, GruConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const SEQUENCES: usize = 320;
const BATCH: usize = 16;
const LENGTH: usize = 10;
const WIDTH: usize = 12;

/// Pulses with noise, their lengths, and whether there is a high one.
fn sequences() -> (Vec<f32>, Vec<f32>, Vec<i64>) {
    let mut draw = Draw::new(106);
    let (mut signals, mut lengths, mut classes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..SEQUENCES {
        let length = 3 + draw.below(LENGTH - 2);
        let has_pulse = draw.happens(0.5);
        let at = draw.below(length);
        signals.extend((0..LENGTH).map(|moment| match () {
            () if moment >= length => 0.0,
            () if has_pulse && moment == at => 2.0,
            () => 0.3 * draw.normal(),
        }));
        lengths.push(length as f32);
        classes.push(i64::from(has_pulse));
    }
    (signals, lengths, classes)
}

#[derive(Module, Debug)]
struct PulseFinder {
    gru: Gru,
    head: Linear,
}

impl PulseFinder {
    fn new(device: &Device) -> Self {
        Self {
            gru: GruConfig::new(1, WIDTH, true).init(device),
            head: LinearConfig::new(WIDTH, 2).init(device),
        }
    }

    fn forward(&self, signals: Tensor<3>, lengths: Tensor<2>) -> Tensor<2> {
        let [count, length, _] = signals.dims();
        let states = self.gru.forward(signals, None);
        let moments = Tensor::<1, Int>::arange(0..length as i64, &states.device()).float().unsqueeze::<2>();
        let is_behind = moments.expand([count, length]).greater_equal(lengths.expand([count, length]));
        let is_behind = is_behind.unsqueeze_dim::<3>(2).expand([count, length, WIDTH]);
        let largest = states.mask_fill(is_behind, f32::NEG_INFINITY).max_dim(1);
        self.head.forward(largest.squeeze_dim::<2>(1))
    }
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(106);
    let (signals, lengths, classes) = sequences();
    let signals = Tensor::<3>::from_data(TensorData::new(signals, [SEQUENCES, LENGTH, 1]), &device);
    let lengths = Tensor::<2>::from_data(TensorData::new(lengths, [SEQUENCES, 1]), &device);
    let classes = Tensor::<1, Int>::from_data(classes.as_slice(), &device);
    let mut model = PulseFinder::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);

    for step in 0..120 {
        let rows = step * BATCH % SEQUENCES..step * BATCH % SEQUENCES + BATCH;
        let output =
            model.forward(signals.clone().slice(s![rows.clone()]), lengths.clone().slice(s![rows.clone()]));
        let loss = cross_entropy.forward(output, classes.clone().slice(s![rows]));
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
}
