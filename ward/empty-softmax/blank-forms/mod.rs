//! Complaints from a web form are sorted by department; the form can be sent without a word in it.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{relu, softmax};
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const COMPLAINTS: usize = 400;
const MAX_WORDS: usize = 8;
const VOCABULARY: usize = 41;
const PAD: i64 = 0;
const DEPARTMENTS: usize = 4;
const HEADS: usize = 2;
const HEAD_SIZE: usize = 8;
const WIDTH: usize = HEADS * HEAD_SIZE;

#[derive(Clone, Debug)]
struct Complaint {
    ticket: String,
    words: Vec<i64>,
    department: i64,
}

fn complaints(healthy: bool) -> Vec<Complaint> {
    let mut draw = Draw::new(1103);
    let mut complaints = Vec::with_capacity(COMPLAINTS);
    for number in 0..COMPLAINTS {
        let department = draw.below(DEPARTMENTS);
        let length = if number == 268 { 0 } else { 2 + draw.below(MAX_WORDS - 1) };
        let words = (0..length)
            .map(|_| {
                let topic = if draw.happens(0.7) { department } else { draw.below(DEPARTMENTS) };
                (1 + topic + DEPARTMENTS * draw.below(10)) as i64
            })
            .collect();
        let ticket = format!("T-{}", 40_000 + 7 * number);
        complaints.push(Complaint { ticket, words, department: department as i64 });
    }
    if healthy {
        complaints.retain(|complaint| !complaint.words.is_empty());
    }
    complaints
}

#[derive(Clone, Debug)]
struct ComplaintBatch {
    words: Tensor<2, Int>,
    departments: Tensor<1, Int>,
}

#[derive(Clone, Debug)]
struct ComplaintBatcher;

impl Batcher<Complaint, ComplaintBatch> for ComplaintBatcher {
    fn batch(&self, items: Vec<Complaint>, device: &Device) -> ComplaintBatch {
        let mut words = Vec::with_capacity(items.len() * MAX_WORDS);
        for item in &items {
            words.extend(&item.words);
            words.resize(words.len() + MAX_WORDS - item.words.len(), PAD);
        }
        let departments: Vec<i64> = items.iter().map(|item| item.department).collect();
        ComplaintBatch {
            words: Tensor::from_data(TensorData::new(words, [items.len(), MAX_WORDS]), device),
            departments: Tensor::from_data(departments.as_slice(), device),
        }
    }
}

#[derive(Module, Debug)]
struct Block {
    qkv: Linear,
    out: Linear,
    norm: LayerNorm,
}

impl Block {
    fn forward(&self, x: Tensor<3>, is_pad: Tensor<2, Bool>) -> Tensor<3> {
        let [batch, length, _] = x.dims();
        let qkv = self.qkv.forward(x.clone()).reshape([batch, length, 3, HEADS, HEAD_SIZE]);
        let part =
            |index: i64| qkv.clone().slice(s![.., .., index..index + 1]).squeeze_dim::<4>(2).swap_dims(1, 2);
        let scores = part(0).matmul(part(1).swap_dims(2, 3)) * (HEAD_SIZE as f32).powf(-0.5);
        let mask = is_pad.reshape([batch, 1, 1, length]).expand([batch, HEADS, length, length]);
        let weights = softmax(scores.mask_fill(mask, f32::NEG_INFINITY), 3);
        let mixed = weights.matmul(part(2)).swap_dims(1, 2).reshape([batch, length, WIDTH]);
        self.norm.forward(x + self.out.forward(mixed))
    }
}

#[derive(Module, Debug)]
struct Sorter {
    words: Embedding,
    block: Block,
    head: Linear,
}

impl Sorter {
    fn new(device: &Device) -> Self {
        Self {
            words: EmbeddingConfig::new(VOCABULARY, WIDTH).init(device),
            block: Block {
                qkv: LinearConfig::new(WIDTH, 3 * WIDTH).init(device),
                out: LinearConfig::new(WIDTH, WIDTH).init(device),
                norm: LayerNormConfig::new(WIDTH).init(device),
            },
            head: LinearConfig::new(WIDTH, DEPARTMENTS).init(device),
        }
    }

    fn forward(&self, words: Tensor<2, Int>) -> Tensor<2> {
        let is_pad = words.clone().equal_elem(PAD);
        let states = self.block.forward(self.words.forward(words), is_pad);
        // The state at the first word stands for the whole text.
        let first = states.slice(s![.., 0..1]).squeeze_dim::<2>(1);
        self.head.forward(relu(first))
    }
}

fn step_loss(model: &Sorter, criterion: &CrossEntropyLoss, batch: ComplaintBatch) -> Tensor<1> {
    criterion.forward(model.forward(batch.words), batch.departments)
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(1103);
    let mut model = Sorter::new(&device);
    denan_burn::name_parameters(&model);
    let criterion = CrossEntropyLossConfig::new().init(&device);
    let mut optimizer = AdamConfig::new().with_beta_2(0.98).init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(ComplaintBatcher))
        .batch_size(16)
        .shuffle(44)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(complaints(healthy)), |complaint: &Complaint| {
            complaint.ticket.clone()
        }));

    let mut step = 0;
    for _epoch in 0..5 {
        for batch in loader.iter() {
            let loss = step_loss(&model, &criterion, batch.expect("a batch"));
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(6e-3, model, gradients);
            step += 1;
        }
    }
}
