//! The affinity of peptides: a transformer block made for another task, with an optimizer of its own,
//! which begins to work when the head has settled.

use burn::nn::attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::gelu;

use crate::common::Draw;

const RESIDUES: usize = 20;
const LENGTH: usize = 9;
const WIDTH: usize = 24;
const BATCH: usize = 24;
const HEAD_ONLY: usize = 50;

#[derive(Module, Debug)]
struct Encoder {
    residues: Embedding,
    places: Embedding,
    norm: LayerNorm,
    attention: MultiHeadAttention,
    norm_inner: LayerNorm,
    inner: Linear,
    outer: Linear,
}

impl Encoder {
    fn new(device: &Device) -> Self {
        Self {
            residues: EmbeddingConfig::new(RESIDUES, WIDTH).init(device),
            places: EmbeddingConfig::new(LENGTH, WIDTH).init(device),
            norm: LayerNormConfig::new(WIDTH).init(device),
            attention: MultiHeadAttentionConfig::new(WIDTH, 2).with_dropout(0.0).init(device),
            norm_inner: LayerNormConfig::new(WIDTH).init(device),
            inner: LinearConfig::new(WIDTH, 2 * WIDTH).init(device),
            outer: LinearConfig::new(2 * WIDTH, WIDTH).init(device),
        }
    }

    fn encode(&self, peptides: Tensor<2, Int>) -> Tensor<2> {
        let places = Tensor::<1, Int>::arange(0..LENGTH as i64, &peptides.device()).unsqueeze::<2>();
        let x = self.residues.forward(peptides) + self.places.forward(places);
        let attended = self.attention.forward(MhaInput::self_attn(self.norm.forward(x.clone())));
        let x = x + attended.context;
        let x = x.clone() + self.outer.forward(gelu(self.inner.forward(self.norm_inner.forward(x))));
        x.mean_dim(1).squeeze_dim(1)
    }
}

#[derive(Module, Debug)]
struct Head {
    hidden: Linear,
    affinity: Linear,
}

impl Head {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(WIDTH, 32).init(device),
            affinity: LinearConfig::new(32, 1).init(device),
        }
    }

    fn forward(&self, encoded: Tensor<2>) -> Tensor<2> {
        self.affinity.forward(gelu(self.hidden.forward(encoded)))
    }
}

/// Peptides and how well they bind: some residues in the second and the last place matter most.
fn peptides(draw: &mut Draw, device: &Device) -> (Tensor<2, Int>, Tensor<2>) {
    let (mut residues, mut affinities) = (Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let peptide: [usize; LENGTH] = std::array::from_fn(|_| draw.below(RESIDUES));
        let anchor = |residue: usize| if residue < 6 { 1.0 } else { -0.4 };
        let hydrophobic = peptide.iter().filter(|&&residue| residue % 3 == 0).count() as f32;
        affinities.push(anchor(peptide[1]) + anchor(peptide[8]) + 0.2 * hydrophobic);
        residues.extend(peptide.map(|residue| residue as i64));
    }
    (
        Tensor::from_data(TensorData::new(residues, [BATCH, LENGTH]), device),
        Tensor::from_data(TensorData::new(affinities, [BATCH, 1]), device),
    )
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(392);
    let mut draw = Draw::new(392);
    let mut encoder = Encoder::new(&device).no_grad();
    let mut head = Head::new(&device);
    denan_burn::name_parameters(&encoder);
    denan_burn::name_parameters(&head);
    let mut head_optimizer = AdamWConfig::new().init();
    let momentum = MomentumConfig::new().with_momentum(0.9);
    let mut encoder_optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let encoder_rate = if healthy { 0.01 } else { 1.0 };

    for step in 0..140 {
        if step == HEAD_ONLY {
            encoder = encoder.set_require_grad(true);
        }
        let (peptides, affinities) = peptides(&mut draw, &device);
        let difference = head.forward(encoder.encode(peptides)) - affinities;
        let loss = (difference.clone() * difference).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let mut gradients = loss.backward();
        let of_head = GradientsParams::from_module(&mut gradients, &head);
        head = head_optimizer.step(3e-3, head, of_head);
        if step >= HEAD_ONLY {
            let of_encoder = GradientsParams::from_module(&mut gradients, &encoder);
            encoder = encoder_optimizer.step(encoder_rate, encoder, of_encoder);
        }
    }
}
