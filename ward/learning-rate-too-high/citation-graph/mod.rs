//! The field of a paper, from its words and from those of the papers it cites and is cited by.

use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::leaky_relu;

use crate::common::Draw;

const PAPERS: usize = 180;
const WORDS: usize = 24;
const FIELDS: usize = 4;
const WIDTH: usize = 32;
const LABELLED: usize = 120;

struct Citations {
    /// Standardised counts of words.
    words: Tensor<2>,
    /// Each row sums up to 1.
    neighbours: Tensor<2>,
    fields: Tensor<1, Int>,
}

fn citations(device: &Device) -> Citations {
    let mut draw = Draw::new(4501);
    let fields: Vec<usize> = (0..PAPERS).map(|_| draw.below(FIELDS)).collect();
    let mut words = Vec::with_capacity(PAPERS * WORDS);
    for &field in &fields {
        for word in 0..WORDS {
            let topical = if word % FIELDS == field { 1.0 } else { -0.33 };
            words.push(0.5 * topical + 0.85 * draw.normal());
        }
    }
    let mut linked = vec![0.0f32; PAPERS * PAPERS];
    for paper in 0..PAPERS {
        linked[paper * PAPERS + paper] = 1.0;
        for other in 0..paper {
            if draw.happens(if fields[paper] == fields[other] { 0.06 } else { 0.01 }) {
                linked[paper * PAPERS + other] = 1.0;
                linked[other * PAPERS + paper] = 1.0;
            }
        }
    }
    for row in linked.chunks_mut(PAPERS) {
        let degree: f32 = row.iter().sum();
        row.iter_mut().for_each(|link| *link /= degree);
    }
    let fields: Vec<i64> = fields.into_iter().map(|field| field as i64).collect();
    Citations {
        words: Tensor::from_data(TensorData::new(words, [PAPERS, WORDS]), device),
        neighbours: Tensor::from_data(TensorData::new(linked, [PAPERS, PAPERS]), device),
        fields: Tensor::from_data(fields.as_slice(), device),
    }
}

/// Two graph convolutions (Kipf and Welling 2017).
#[derive(Module, Debug)]
struct FieldNet {
    first: Linear,
    second: Linear,
    field: Linear,
}

impl FieldNet {
    fn new(device: &Device) -> Self {
        Self {
            first: LinearConfig::new(WORDS, WIDTH).init(device),
            second: LinearConfig::new(WIDTH, WIDTH).init(device),
            field: LinearConfig::new(WIDTH, FIELDS).init(device),
        }
    }

    fn forward(&self, words: Tensor<2>, neighbours: Tensor<2>) -> Tensor<2> {
        let x = leaky_relu(self.first.forward(neighbours.clone().matmul(words)), 0.1);
        let x = leaky_relu(self.second.forward(neighbours.matmul(x)), 0.1);
        self.field.forward(x)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(4501);
    let Citations { words, neighbours, fields } = citations(&device);
    let mut model = FieldNet::new(&device);
    denan_burn::name_parameters(&model);
    let cross_entropy: CrossEntropyLoss = CrossEntropyLossConfig::new().init(&device);
    let momentum = MomentumConfig::new().with_momentum(0.9).with_nesterov(true);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let learning_rate = if healthy { 0.05 } else { 3.0 };

    for step in 0..120 {
        let scores = model.forward(words.clone(), neighbours.clone());
        let known = s![0..LABELLED];
        let loss = cross_entropy.forward(scores.slice(known), fields.clone().slice(known));
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(learning_rate, model, gradients);
    }
}
