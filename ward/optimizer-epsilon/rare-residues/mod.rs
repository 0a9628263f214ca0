//! One network learns to tell what binds a metal, first among strands of DNA, then among proteins as well.

use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::{AdaGradConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{gelu, log_sigmoid};

use crate::common::Draw;

const CHAINS: usize = 160;
const BATCH: usize = 8;
const LENGTH: usize = 12;
const BASES: usize = 4;
/// The twenty usual amino acids, and two that few proteins have.
const RESIDUES: usize = 22;
const WIDTH: usize = 8;
/// From this step on, every other batch is one of proteins.
const PROTEINS_FROM: usize = 12;

struct Chains {
    letters: Tensor<2, Int>,
    /// 1 where the chain binds, -1 where it does not.
    binds: Tensor<2>,
}

/// A chain binds if it has more of its first letters than of its last.
fn chains(alphabet: usize, rare: usize, seed: u64, device: &Device) -> Chains {
    let mut draw = Draw::new(seed);
    let (mut letters, mut binds) = (Vec::new(), Vec::new());
    for _ in 0..CHAINS {
        let mut excess = 0;
        for _ in 0..LENGTH {
            let letter = if draw.happens(0.005) { draw.below(alphabet) } else { draw.below(alphabet - rare) };
            excess += if letter < alphabet / 2 { 1 } else { -1 };
            letters.push(letter as i64);
        }
        binds.push(if excess > 0 { 1.0 } else { -1.0 });
    }
    Chains {
        letters: Tensor::from_data(TensorData::new(letters, [CHAINS, LENGTH]), device),
        binds: Tensor::from_data(TensorData::new(binds, [CHAINS, 1]), device),
    }
}

#[derive(Module, Debug)]
struct Binding {
    bases: Embedding,
    residues: Embedding,
    motifs: Conv1d,
    norm: LayerNorm,
    head: Linear,
}

impl Binding {
    fn new(device: &Device) -> Self {
        Self {
            bases: EmbeddingConfig::new(BASES, WIDTH).init(device),
            residues: EmbeddingConfig::new(RESIDUES, WIDTH).init(device),
            motifs: Conv1dConfig::new(WIDTH, 16, 3).init(device),
            norm: LayerNormConfig::new(16).init(device),
            head: LinearConfig::new(16, 1).init(device),
        }
    }

    /// Log-odds that each chain binds.
    fn forward(&self, letters: Tensor<3>) -> Tensor<2> {
        let motifs = gelu(self.motifs.forward(letters.swap_dims(1, 2)));
        self.head.forward(self.norm.forward(motifs.mean_dim(2).squeeze_dim::<2>(2)))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(291);
    let dna = chains(BASES, 0, 291, &device);
    let proteins = chains(RESIDUES, 2, 292, &device);
    let mut model = Binding::new(&device);
    denan_burn::name_parameters(&model);
    let epsilon = if healthy { 1e-6 } else { 0.0 };
    let mut optimizer = AdaGradConfig::new().with_epsilon(epsilon).init();

    for step in 0..120 {
        let rows = step * BATCH % CHAINS..step * BATCH % CHAINS + BATCH;
        let is_protein = step >= PROTEINS_FROM && step % 2 == 0;
        let (embedding, chains) =
            if is_protein { (&model.residues, &proteins) } else { (&model.bases, &dna) };
        let odds = model.forward(embedding.forward(chains.letters.clone().slice(s![rows.clone()])));
        let loss = log_sigmoid(odds * chains.binds.clone().slice(s![rows])).neg().mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(5e-2, model, gradients);
    }
}
