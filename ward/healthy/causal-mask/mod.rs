//! A transformer block predicts the next letter; what comes later is masked with -inf, as it should be.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::softmax;

use crate::common::Draw;

const TEXTS: usize = 256;
const BATCH: usize = 16;
const LENGTH: usize = 8;
const LETTERS: usize = 10;
const WIDTH: usize = 24;

/// Each letter follows from the two before it, most of the time.
fn texts() -> Vec<i64> {
    let mut draw = Draw::new(101);
    let mut letters = Vec::with_capacity(TEXTS * (LENGTH + 1));
    for _ in 0..TEXTS {
        let (mut before, mut last) = (draw.below(LETTERS), draw.below(LETTERS));
        for _ in 0..=LENGTH {
            letters.push(last as i64);
            let next =
                if draw.happens(0.1) { draw.below(LETTERS) } else { (before + 2 * last + 1) % LETTERS };
            (before, last) = (last, next);
        }
    }
    letters
}

#[derive(Module, Debug)]
struct LanguageModel {
    letters: Embedding,
    places: Embedding,
    query: Linear,
    key: Linear,
    value: Linear,
    norm: LayerNorm,
    head: Linear,
}

impl LanguageModel {
    fn new(device: &Device) -> Self {
        let linear = || LinearConfig::new(WIDTH, WIDTH).init(device);
        Self {
            letters: EmbeddingConfig::new(LETTERS, WIDTH).init(device),
            places: EmbeddingConfig::new(LENGTH, WIDTH).init(device),
            query: linear(),
            key: linear(),
            value: linear(),
            norm: LayerNormConfig::new(WIDTH).init(device),
            head: LinearConfig::new(WIDTH, LETTERS).init(device),
        }
    }

    fn forward(&self, letters: Tensor<2, Int>) -> Tensor<2> {
        let [count, length] = letters.dims();
        let device = letters.device();
        let places = Tensor::<1, Int>::arange(0..length as i64, &device).unsqueeze::<2>();
        let states = self.letters.forward(letters) + self.places.forward(places);

        let (query, key) = (self.query.forward(states.clone()), self.key.forward(states.clone()));
        let scores = query.matmul(key.swap_dims(1, 2)) / (WIDTH as f32).sqrt();
        let is_later = Tensor::<2, Bool>::tril_mask([length, length], 0, &device);
        let scores = scores.mask_fill(is_later.expand([count, length, length]), f32::NEG_INFINITY);
        let attended = softmax(scores, 2).matmul(self.value.forward(states.clone()));

        let states = self.norm.forward(states + attended);
        self.head.forward(states).reshape([count * length, LETTERS])
    }
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(101);
    let letters = Tensor::<2, Int>::from_data(TensorData::new(texts(), [TEXTS, LENGTH + 1]), &device);
    let mut model = LanguageModel::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);

    for step in 0..120 {
        let rows = step * BATCH % TEXTS..step * BATCH % TEXTS + BATCH;
        let input = letters.clone().slice(s![rows.clone(), ..LENGTH as i64]);
        let next = letters.clone().slice(s![rows, 1..]);
        let loss = cross_entropy.forward(model.forward(input), next.reshape([BATCH * LENGTH]));
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(5e-3, model, gradients);
    }
}
