//! An LSTM learns the next note of a tune; every few steps it says how perplexed it is by held-out tunes.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, Lstm, LstmConfig};
use burn::optim::{GradientsAccumulator, GradientsParams, RmsPropConfig};
use burn::prelude::*;
use burn::tensor::activation::log_softmax;

use crate::common::Draw;

const TUNES: usize = 256;
const HELD_OUT: usize = 64;
const BATCH: usize = 8;
const LENGTH: usize = 12;
const NOTES: usize = 12;

/// Each note goes up or down by a third, as the tune's key says.
fn tunes() -> Vec<i64> {
    let mut draw = Draw::new(311);
    let mut notes = Vec::with_capacity(TUNES * (LENGTH + 1));
    for _ in 0..TUNES {
        let (mut note, up) = (draw.below(NOTES), if draw.happens(0.5) { 4 } else { 9 });
        for _ in 0..=LENGTH {
            notes.push(note as i64);
            note = if draw.happens(0.1) { draw.below(NOTES) } else { (note + up) % NOTES };
        }
    }
    notes
}

#[derive(Module, Debug)]
struct Composer {
    notes: Embedding,
    lstm: Lstm,
    head: Linear,
}

impl Composer {
    fn new(device: &Device) -> Self {
        Self {
            notes: EmbeddingConfig::new(NOTES, 10).init(device),
            lstm: LstmConfig::new(10, 20, true).init(device),
            head: LinearConfig::new(20, NOTES).init(device),
        }
    }

    fn forward(&self, notes: Tensor<2, Int>) -> Tensor<2> {
        let (states, _) = self.lstm.forward(self.notes.forward(notes), None);
        self.head.forward(states.flatten::<2>(0, 1))
    }
}

/// Of whole tunes and of single notes.
fn perplexity(model: &Composer, tunes: Tensor<2, Int>) -> (f32, f32) {
    let [count, _] = tunes.dims();
    let output = model.forward(tunes.clone().slice(s![.., ..LENGTH as i64]));
    let next = tunes.slice(s![.., 1..]).reshape([-1, 1]);
    let log_chance = log_softmax(output, 1).gather(1, next);
    let of_all = log_chance.clone().sum().neg().exp();
    let of_tune = log_chance.reshape([count, LENGTH]).sum_dim(1).neg().mean().exp();
    (of_all.into_scalar::<f32>(), of_tune.into_scalar::<f32>())
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(311);
    let notes = Tensor::<2, Int>::from_data(TensorData::new(tunes(), [TUNES, LENGTH + 1]), &device);
    let held_out = notes.clone().slice(s![..HELD_OUT as i64]);
    let mut model = Composer::new(&device);
    let mut optimizer = RmsPropConfig::new().with_momentum(0.0).init();
    let mut accumulator = GradientsAccumulator::new();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);

    let mut start = HELD_OUT;
    for step in 0..80 {
        for _half in 0..2 {
            let tunes = notes.clone().slice(s![start..start + BATCH]);
            let output = model.forward(tunes.clone().slice(s![.., ..LENGTH as i64]));
            let loss = cross_entropy.forward(output, tunes.slice(s![.., 1..]).reshape([-1]));
            accumulator.accumulate(&model, GradientsParams::from_grads((loss / 2.0).backward(), &model));
            start = if start + BATCH < TUNES { start + BATCH } else { HELD_OUT };
        }
        model = optimizer.step(5e-3, model, accumulator.grads());
        if step % 10 == 0 {
            let (of_all, of_tune) = perplexity(&model.clone().no_grad(), held_out.clone());
            println!("step {step} perplexity of all {of_all}, of a tune {of_tune:.1}");
        }
    }
}
