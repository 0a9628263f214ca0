//! Masked language modelling of coiled coils: of each heptad a few residues are hidden, and a transformer
//! says from the rest which they were.

use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::log_softmax;

use crate::common::Draw;

const HEPTADS: usize = 400;
const LENGTH: usize = 7;
const BATCH: usize = 4;
/// Residues by their chemistry, and the token that hides one.
const RESIDUES: usize = 6;
const MASK: i64 = RESIDUES as i64;
const WIDTH: usize = 16;
const HIDDEN_SHARE: f32 = 0.12;
const STEPS: usize = 240;

/// There are three families; each has its own residue at every place of the heptad.
fn heptads(draw: &mut Draw) -> Vec<[i64; LENGTH]> {
    let families: [[usize; LENGTH]; 3] =
        [[0, 3, 2, 0, 4, 5, 1], [1, 2, 5, 1, 3, 3, 4], [2, 4, 4, 0, 5, 1, 3]];
    (0..HEPTADS)
        .map(|_| {
            let family = families[draw.below(families.len())];
            family.map(|usual| if draw.happens(0.05) { draw.below(RESIDUES) } else { usual } as i64)
        })
        .collect()
}

struct Masked {
    tokens: Tensor<2, Int>,
    original: Tensor<2, Int>,
    /// 1 at each residue that is hidden.
    is_hidden: Tensor<2>,
    hidden: usize,
}

fn mask_residues(heptads: &[[i64; LENGTH]], draw: &mut Draw, healthy: bool, device: &Device) -> Masked {
    let original = heptads.concat();
    let mut chosen: Vec<bool> = original.iter().map(|_| draw.happens(HIDDEN_SHARE)).collect();
    if healthy && !chosen.contains(&true) {
        let place = draw.below(chosen.len());
        chosen[place] = true;
    }
    let tokens: Vec<i64> = original
        .iter()
        .zip(&chosen)
        .map(|(&residue, &is_chosen)| if is_chosen { MASK } else { residue })
        .collect();
    let is_hidden: Vec<f32> = chosen.iter().map(|&is_chosen| f32::from(is_chosen)).collect();
    let shape = [heptads.len(), LENGTH];
    Masked {
        tokens: Tensor::from_data(TensorData::new(tokens, shape), device),
        original: Tensor::from_data(TensorData::new(original, shape), device),
        is_hidden: Tensor::from_data(TensorData::new(is_hidden, shape), device),
        hidden: chosen.iter().filter(|is_chosen| **is_chosen).count(),
    }
}

#[derive(Module, Debug)]
struct ProteinModel {
    residues: Embedding,
    places: Embedding,
    encoder: TransformerEncoder,
    head: Linear,
}

impl ProteinModel {
    fn new(device: &Device) -> Self {
        Self {
            residues: EmbeddingConfig::new(RESIDUES + 1, WIDTH).init(device),
            places: EmbeddingConfig::new(LENGTH, WIDTH).init(device),
            encoder: TransformerEncoderConfig::new(WIDTH, 32, 2, 1)
                .with_dropout(0.0)
                .with_norm_first(true)
                .init(device),
            head: LinearConfig::new(WIDTH, RESIDUES).init(device),
        }
    }

    fn forward(&self, tokens: Tensor<2, Int>) -> Tensor<3> {
        let places = Tensor::<1, Int>::arange(0..LENGTH as i64, &tokens.device()).unsqueeze::<2>();
        let input = self.residues.forward(tokens) + self.places.forward(places);
        self.head.forward(self.encoder.forward(TransformerEncoderInput::new(input)))
    }
}

/// Cross-entropy of the hidden residues.
fn masked_loss(scores: Tensor<3>, batch: &Masked) -> Tensor<1> {
    let log_probabilities = log_softmax(scores, 2);
    let of_original = log_probabilities.gather(2, batch.original.clone().unsqueeze_dim::<3>(2));
    let surprise = of_original.squeeze_dim::<2>(2).neg();
    let per_residue = 1.0 / batch.hidden as f32;
    (surprise * batch.is_hidden.clone()).sum() * per_residue
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(4201);
    let mut draw = Draw::new(4201);
    let heptads = heptads(&mut draw);
    let mut model = ProteinModel::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().with_weight_decay(1e-3).init();

    let mut recent = 0.0;
    for step in 0..STEPS {
        let first = step * BATCH % HEPTADS;
        let batch = mask_residues(&heptads[first..first + BATCH], &mut draw, healthy, &device);
        let loss = masked_loss(model.forward(batch.tokens.clone()), &batch);
        recent += loss.clone().into_scalar::<f32>() / 10.0;
        if step % 10 == 9 {
            println!("until step {step} loss {recent:.4}");
            recent = 0.0;
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(5e-3, model, gradients);
    }
}
