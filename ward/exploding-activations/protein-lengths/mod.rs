//! How stable a protein is, from its residues. Attention is linear, so that long chains are cheap; the training begins
//! with fragments, and goes on with whole chains.

use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::gelu;

use crate::common::Draw;

const RESIDUES: usize = 20;
const WIDTH: usize = 16;
const DEPTH: usize = 8;
const BATCH: usize = 8;
/// Length and steps.
const STAGES: [(usize, usize); 2] = [(16, 70), (192, 24)];

/// Residues, and the stability: some residues help, and more so beside each other.
fn chains(length: usize, draw: &mut Draw, device: &Device) -> (Tensor<2, Int>, Tensor<2>) {
    let (mut residues, mut stabilities) = (Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let greasy = draw.uniform(0.1, 0.9);
        let chain: Vec<usize> = (0..length)
            .map(|_| if draw.happens(greasy) { draw.below(8) } else { 8 + draw.below(12) })
            .collect();
        let share = chain.iter().filter(|&&residue| residue < 8).count() as f32 / length as f32;
        stabilities.push(4.0 * share - 2.0 + 0.05 * draw.normal());
        residues.extend(chain.into_iter().map(|residue| residue as i64));
    }
    (
        Tensor::from_data(TensorData::new(residues, [BATCH, length]), device),
        Tensor::from_data(TensorData::new(stabilities, [BATCH, 1]), device),
    )
}

#[derive(Module, Debug)]
struct Block {
    norm: Option<LayerNorm>,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    up: Linear,
    down: Linear,
}

impl Block {
    fn new(with_norm: bool, device: &Device) -> Self {
        let linear = |from, to| LinearConfig::new(from, to).with_bias(false).init(device);
        Self {
            norm: with_norm.then(|| LayerNormConfig::new(WIDTH).init(device)),
            query: linear(WIDTH, WIDTH),
            key: linear(WIDTH, WIDTH),
            value: linear(WIDTH, WIDTH),
            output: linear(WIDTH, WIDTH),
            up: linear(WIDTH, 2 * WIDTH),
            down: linear(2 * WIDTH, WIDTH),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let input = match &self.norm {
            Some(norm) => norm.forward(x.clone()),
            None => x.clone(),
        };
        let queries = self.query.forward(input.clone()) / WIDTH as f32;
        let keys = self.key.forward(input.clone()).swap_dims(1, 2);
        let values = self.value.forward(input);
        // Keys and values first: the cost grows with the length and not with its square.
        let summary = keys.matmul(values);
        let seen = queries.matmul(summary);
        let x = x + self.output.forward(seen);
        x.clone() + self.down.forward(gelu(self.up.forward(x))) * 0.1
    }
}

#[derive(Module, Debug)]
struct StabilityNet {
    residues: Embedding,
    blocks: Vec<Block>,
    stability: Linear,
}

impl StabilityNet {
    fn new(with_norm: bool, device: &Device) -> Self {
        Self {
            residues: EmbeddingConfig::new(RESIDUES, WIDTH).init(device),
            blocks: (0..DEPTH).map(|_| Block::new(with_norm, device)).collect(),
            stability: LinearConfig::new(WIDTH, 1).init(device),
        }
    }

    fn forward(&self, residues: Tensor<2, Int>) -> Tensor<2> {
        let mut x = self.residues.forward(residues);
        for block in &self.blocks {
            x = block.forward(x);
        }
        self.stability.forward(x.mean_dim(1).squeeze_dim::<2>(1))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(4601);
    let mut draw = Draw::new(4601);
    let mut model = StabilityNet::new(healthy, &device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    let mut step = 0;
    for (length, steps) in STAGES {
        for _ in 0..steps {
            let (residues, stabilities) = chains(length, &mut draw, &device);
            let loss = (model.forward(residues) - stabilities).abs().mean();
            if step % 10 == 0 {
                println!("step {step} length {length} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(2e-3, model, gradients);
            step += 1;
        }
    }
}
