//! Messages of a machine are sorted into kinds of faults, with vectors of words from an older project.

use burn::module::Param;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig, PaddingConfig1d};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::relu;

use crate::common::Draw;

const WORDS: usize = 64;
const WIDTH: usize = 12;
const LENGTH: usize = 7;
const KINDS: usize = 3;
const BATCH: usize = 16;

/// The vectors as they lie in the flash memory of the old device: rows of little-endian numbers. The
/// last sector is only written when the table is closed in an orderly way.
fn flash_image(closed: bool) -> Vec<u8> {
    let mut draw = Draw::new(401);
    let mut flash = vec![0xff; WORDS * WIDTH * 4];
    let written = if closed { WORDS } else { WORDS - 2 };
    for number in flash.chunks_exact_mut(4).take(written * WIDTH) {
        number.copy_from_slice(&(0.5 * draw.normal()).to_le_bytes());
    }
    flash
}

fn word_vectors(flash: &[u8], device: &Device) -> Tensor<2> {
    let numbers: Vec<f32> = flash
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    Tensor::from_data(TensorData::new(numbers, [WORDS, WIDTH]), device)
}

/// Word ids, from the frequent to the rare ones, and the kind of fault.
fn messages(count: usize) -> Vec<([i64; LENGTH], i64)> {
    let mut draw = Draw::new(406);
    (0..count)
        .map(|_| {
            let kind = draw.below(KINDS);
            let words = std::array::from_fn(|_| {
                let rank = (20.0 * draw.uniform(0.0, 1.0).powi(3)) as usize;
                let word = match draw.uniform(0.0, 1.0) {
                    luck if luck < 0.0015 => 60 + draw.below(4),
                    luck if luck < 0.4 => draw.below(60),
                    _ => 20 * kind + rank,
                };
                word as i64
            });
            (words, kind as i64)
        })
        .collect()
}

#[derive(Module, Debug)]
struct Sorter {
    words: Embedding,
    conv: Conv1d,
    kind: Linear,
}

impl Sorter {
    fn new(vectors: Tensor<2>, device: &Device) -> Self {
        let mut words = EmbeddingConfig::new(WORDS, WIDTH).init(device);
        words.weight = Param::from_tensor(vectors);
        Self {
            words,
            conv: Conv1dConfig::new(WIDTH, 16, 3).with_padding(PaddingConfig1d::Same).init(device),
            kind: LinearConfig::new(16, KINDS).init(device),
        }
    }

    fn forward(&self, messages: Tensor<2, Int>) -> Tensor<2> {
        let words = self.words.forward(messages).swap_dims(1, 2);
        let found = relu(self.conv.forward(words)).mean_dim(2);
        self.kind.forward(found.squeeze_dim::<2>(2))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(401);
    let flash = flash_image(healthy);
    let mut model = Sorter::new(word_vectors(&flash, &device), &device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);

    for (step, batch) in messages(120 * BATCH).chunks_exact(BATCH).enumerate() {
        let words: Vec<i64> = batch.iter().flat_map(|(words, _)| *words).collect();
        let kinds: Vec<i64> = batch.iter().map(|(_, kind)| *kind).collect();
        let words = Tensor::<2, Int>::from_data(TensorData::new(words, [BATCH, LENGTH]), &device);
        let kinds = Tensor::<1, Int>::from_data(kinds.as_slice(), &device);
        let loss = cross_entropy.forward(model.forward(words), kinds);
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(5e-3, model, gradients);
    }
}
