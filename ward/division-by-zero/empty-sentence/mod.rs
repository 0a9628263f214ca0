//! A transformer block reads reviews and averages its tokens; one review is empty.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const REVIEWS: usize = 320;
const LENGTH: usize = 10;
const WORDS: usize = 40;
const WIDTH: usize = 16;
/// Stands behind the last word.
const PADDING: i64 = 0;

#[derive(Clone, Debug)]
struct Review {
    id: String,
    tokens: [i64; LENGTH],
    is_positive: bool,
}

/// The first half of the words is found in positive reviews, the second in negative ones.
fn reviews(healthy: bool) -> Vec<Review> {
    let mut draw = Draw::new(42);
    (0..REVIEWS)
        .map(|number| {
            let is_positive = draw.happens(0.5);
            let mut words = 3 + draw.below(LENGTH - 2);
            if !healthy && number == 181 {
                words = 0;
            }
            let mut tokens = [PADDING; LENGTH];
            for token in &mut tokens[..words] {
                let is_telling = draw.happens(0.4);
                let word = draw.below(WORDS / 2 - 1);
                let is_negative_word = if is_telling { !is_positive } else { draw.happens(0.5) };
                *token = 1 + (word + usize::from(is_negative_word) * WORDS / 2) as i64;
            }
            Review { id: format!("review-{number:04}"), tokens, is_positive }
        })
        .collect()
}

#[derive(Clone, Debug)]
struct ReviewBatch {
    tokens: Tensor<2, Int>,
    classes: Tensor<1, Int>,
}

#[derive(Clone, Debug)]
struct ReviewBatcher;

impl Batcher<Review, ReviewBatch> for ReviewBatcher {
    fn batch(&self, reviews: Vec<Review>, device: &Device) -> ReviewBatch {
        let count = reviews.len();
        let tokens: Vec<i64> = reviews.iter().flat_map(|review| review.tokens).collect();
        let classes: Vec<i64> = reviews.iter().map(|review| i64::from(review.is_positive)).collect();
        ReviewBatch {
            tokens: Tensor::from_data(TensorData::new(tokens, [count, LENGTH]), device),
            classes: Tensor::from_data(classes.as_slice(), device),
        }
    }
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
            embedding: EmbeddingConfig::new(WORDS + 1, WIDTH).init(device),
            attention: MultiHeadAttentionConfig::new(WIDTH, 2).with_dropout(0.0).init(device),
            norm: LayerNormConfig::new(WIDTH).init(device),
            head: LinearConfig::new(WIDTH, 2).init(device),
        }
    }

    fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<2> {
        let is_padding = tokens.clone().equal_elem(PADDING);
        let embedded = self.embedding.forward(tokens);
        let input = MhaInput::self_attn(embedded.clone()).mask_pad(is_padding.clone());
        let states = self.norm.forward(embedded + self.attention.forward(input).context);

        let is_word = is_padding.bool_not().float().unsqueeze_dim::<3>(2);
        let count = is_word.clone().sum_dim(1);
        let mean = (states * is_word).sum_dim(1) / count;
        self.head.forward(mean.squeeze_dim::<2>(1))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(42);
    let mut model = Reader::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(ReviewBatcher))
        .batch_size(16)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(reviews(healthy)), |review: &Review| review.id.clone()));

    let mut step = 0;
    for _epoch in 0..5 {
        for batch in loader.iter() {
            let batch = batch.expect("the data is in memory");
            let loss = cross_entropy.forward(model.forward(batch.tokens), batch.classes);
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(5e-3, model, gradients);
            step += 1;
        }
    }
}
