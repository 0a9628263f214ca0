//! A transformer block finds the token that a query asks for; its softmax is written out.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::softmax;

use crate::common::Draw;

const SENTENCES: usize = 512;
const BATCH: usize = 16;
const PAIRS: usize = 6;
const KEYS: usize = 12;
const VALUES: usize = 8;
const WIDTH: usize = 48;

/// Pairs of a key and a value, a key to look up, and the value that stands beside it.
fn sentences() -> (Vec<i64>, Vec<i64>, Vec<i64>, Vec<i64>) {
    let mut draw = Draw::new(53);
    let (mut keys, mut values, mut queries, mut answers) = (vec![], vec![], vec![], vec![]);
    for _ in 0..SENTENCES {
        let first = draw.below(KEYS);
        let pairs: Vec<(i64, i64)> =
            (0..PAIRS).map(|pair| (((first + 5 * pair) % KEYS) as i64, draw.below(VALUES) as i64)).collect();
        let (query, answer) = pairs[draw.below(PAIRS)];
        keys.extend(pairs.iter().map(|pair| pair.0));
        values.extend(pairs.iter().map(|pair| pair.1));
        queries.push(query);
        answers.push(answer);
    }
    (keys, values, queries, answers)
}

#[derive(Module, Debug)]
struct Lookup {
    keys: Embedding,
    values: Embedding,
    query: Linear,
    key: Linear,
    head: Linear,
}

impl Lookup {
    fn new(device: &Device) -> Self {
        Self {
            keys: EmbeddingConfig::new(KEYS, WIDTH).init(device),
            values: EmbeddingConfig::new(VALUES, WIDTH).init(device),
            query: LinearConfig::new(WIDTH, WIDTH).with_bias(false).init(device),
            key: LinearConfig::new(WIDTH, WIDTH).with_bias(false).init(device),
            head: LinearConfig::new(WIDTH, VALUES).init(device),
        }
    }

    fn forward(
        &self,
        keys: Tensor<2, Int>,
        values: Tensor<2, Int>,
        queries: Tensor<2, Int>,
        healthy: bool,
    ) -> Tensor<2> {
        let query = self.query.forward(self.keys.forward(queries));
        let key = self.key.forward(self.keys.forward(keys));
        let scores = query.matmul(key.swap_dims(1, 2));
        let attention = if healthy {
            softmax(scores, 2)
        } else {
            let weights = scores.exp();
            weights.clone() / weights.sum_dim(2)
        };
        let value = attention.matmul(self.values.forward(values));
        self.head.forward(value.squeeze_dim::<2>(1))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(53);
    let (keys, values, queries, answers) = sentences();
    let keys = Tensor::<2, Int>::from_data(TensorData::new(keys, [SENTENCES, PAIRS]), &device);
    let values = Tensor::<2, Int>::from_data(TensorData::new(values, [SENTENCES, PAIRS]), &device);
    let queries = Tensor::<2, Int>::from_data(TensorData::new(queries, [SENTENCES, 1]), &device);
    let answers = Tensor::<1, Int>::from_data(answers.as_slice(), &device);
    let mut model = Lookup::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);

    for step in 0..160 {
        let rows = step * BATCH % SENTENCES..step * BATCH % SENTENCES + BATCH;
        let output = model.forward(
            keys.clone().slice(s![rows.clone()]),
            values.clone().slice(s![rows.clone()]),
            queries.clone().slice(s![rows.clone()]),
            healthy,
        );
        let loss = cross_entropy.forward(output, answers.clone().slice(s![rows]));
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(5e-3, model, gradients);
    }
}
