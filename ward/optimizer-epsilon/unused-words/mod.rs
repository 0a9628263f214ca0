//! A transformer block sorts short texts, trained by AdamW without an epsilon; most words are rare.

use burn::nn::attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const TEXTS: usize = 320;
const BATCH: usize = 16;
const LENGTH: usize = 6;
const WORDS: usize = 200;
const WIDTH: usize = 16;

/// Words below 20 are of the first class, words up to 40 of the second; all others say nothing.
fn texts() -> (Vec<i64>, Vec<i64>) {
    let mut draw = Draw::new(82);
    let (mut words, mut classes) = (Vec::new(), Vec::new());
    for _ in 0..TEXTS {
        let class = draw.below(2);
        for _ in 0..LENGTH {
            let word = if draw.happens(0.6) { 20 * class + draw.below(20) } else { draw.below(WORDS) };
            words.push(word as i64);
        }
        classes.push(class as i64);
    }
    (words, classes)
}

#[derive(Module, Debug)]
struct Reader {
    embedding: Embedding,
    attention: MultiHeadAttention,
    norm: LayerNorm,
    head: Linear,
}

impl Reader {
    fn new(device: &Device) -> Self {
        Self {
            embedding: EmbeddingConfig::new(WORDS, WIDTH).init(device),
            attention: MultiHeadAttentionConfig::new(WIDTH, 2)
                .with_dropout(0.0)
                .with_key_bias(false)
                .init(device),
            norm: LayerNormConfig::new(WIDTH).init(device),
            head: LinearConfig::new(WIDTH, 2).init(device),
        }
    }

    fn forward(&self, words: Tensor<2, Int>) -> Tensor<2> {
        let embedded = self.embedding.forward(words);
        let attended = self.attention.forward(MhaInput::self_attn(embedded.clone())).context;
        let states = self.norm.forward(embedded + attended);
        self.head.forward(states.mean_dim(1).squeeze_dim::<2>(1))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(82);
    let (words, classes) = texts();
    let words = Tensor::<2, Int>::from_data(TensorData::new(words, [TEXTS, LENGTH]), &device);
    let classes = Tensor::<1, Int>::from_data(classes.as_slice(), &device);
    let mut model = Reader::new(&device);
    denan_burn::name_parameters(&model);
    let epsilon = if healthy { 1e-8 } else { 0.0 };
    let mut optimizer = AdamWConfig::new().with_epsilon(epsilon).init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);

    for step in 0..100 {
        let rows = step * BATCH % TEXTS..step * BATCH % TEXTS + BATCH;
        let output = model.forward(words.clone().slice(s![rows.clone()]));
        let loss = cross_entropy.forward(output, classes.clone().slice(s![rows]));
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-3, model, gradients);
    }
}
