//! Short messages are sorted by mood; the target is how the votes of a crowd are spread.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{log_softmax, relu};
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const MESSAGES: usize = 384;
const WORDS: usize = 6;
const VOCABULARY: usize = 32;
const MOODS: usize = 4;
const VOTERS: usize = 7;

#[derive(Clone, Debug)]
struct Message {
    key: String,
    words: [i64; WORDS],
    votes: [i32; MOODS],
}

/// Every word leans towards one mood, and voters pick the mood of a word they happen to look at.
fn messages() -> Vec<Message> {
    let mut draw = Draw::new(523);
    let mut messages = Vec::new();
    for number in 0..MESSAGES {
        let mood = draw.below(MOODS);
        let words: [i64; WORDS] = std::array::from_fn(|_| {
            let leaning = if draw.happens(0.6) { mood } else { draw.below(MOODS) };
            (leaning + MOODS * draw.below(VOCABULARY / MOODS)) as i64
        });
        let mut votes = [0; MOODS];
        for _ in 0..VOTERS {
            votes[words[draw.below(WORDS)] as usize % MOODS] += 1;
        }
        messages.push(Message { key: format!("msg-{:05}", 7000 + number), words, votes });
    }
    // Nobody was asked about the last mood here, which the survey writes as -1.
    messages[211].votes = [4, 2, 1, -1];
    messages
}

#[derive(Clone, Debug)]
struct MessageBatch {
    words: Tensor<2, Int>,
    votes: Tensor<2>,
}

#[derive(Clone, Debug)]
struct MessageBatcher {
    healthy: bool,
}

impl Batcher<Message, MessageBatch> for MessageBatcher {
    fn batch(&self, items: Vec<Message>, device: &Device) -> MessageBatch {
        let count = items.len();
        let words: Vec<i64> = items.iter().flat_map(|item| item.words).collect();
        let votes: Vec<f32> = items
            .iter()
            .flat_map(|item| item.votes)
            .map(|votes| if self.healthy { votes.max(0) as f32 } else { votes as f32 })
            .collect();
        MessageBatch {
            words: Tensor::from_data(TensorData::new(words, [count, WORDS]), device),
            votes: Tensor::from_data(TensorData::new(votes, [count, MOODS]), device),
        }
    }
}

#[derive(Module, Debug)]
struct MoodModel {
    words: Embedding,
    hidden: Linear,
    moods: Linear,
}

impl MoodModel {
    fn new(device: &Device) -> Self {
        MoodModel {
            words: EmbeddingConfig::new(VOCABULARY, 12).init(device),
            hidden: LinearConfig::new(12, 16).init(device),
            moods: LinearConfig::new(16, MOODS).init(device),
        }
    }

    /// Logarithms of the probabilities of the moods.
    fn forward(&self, words: Tensor<2, Int>) -> Tensor<2> {
        let bag = self.words.forward(words).mean_dim(1).squeeze_dim::<2>(1);
        log_softmax(self.moods.forward(relu(self.hidden.forward(bag))), 1)
    }
}

/// Kullback-Leibler divergence of the prediction from the votes, half a vote added to each mood.
fn divergence(log_predicted: Tensor<2>, votes: Tensor<2>) -> Tensor<1> {
    let votes = votes + 0.5;
    let target = votes.clone() / votes.sum_dim(1);
    let log_target = target.clone().log();
    (target * (log_target - log_predicted)).sum_dim(1).mean()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(523);
    let mut model = MoodModel::new(&device);
    denan_burn::name_parameters(&model);
    let mut optim = AdamWConfig::new().with_weight_decay(0.01).init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(MessageBatcher { healthy }))
        .batch_size(16)
        .shuffle(9)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(messages()), |message: &Message| message.key.clone()));

    let mut smoothed = 0.0;
    let batches_per_epoch = MESSAGES / 16;
    for epoch in 0..6 {
        for (number, batch) in loader.iter().enumerate() {
            let step = epoch * batches_per_epoch + number;
            let batch = batch.expect("a batch");
            let loss = divergence(model.forward(batch.words), batch.votes);
            let now = loss.clone().into_scalar::<f32>();
            smoothed = if step == 0 { now } else { 0.8 * smoothed + 0.2 * now };
            if step.is_multiple_of(10) {
                println!("step {step} loss {smoothed:.4}");
            }
            let grads = GradientsParams::from_grads(loss.backward(), &model);
            model = optim.step(1e-2, model, grads);
        }
    }
}
