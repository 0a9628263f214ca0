//! Do two bottles hold wine of the same grape? A siamese network brings analyses of one grape close
//! together and keeps those of different grapes apart.

use burn::nn::{Linear, LinearConfig};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::leaky_relu;

use crate::common::Draw;

const WINES: usize = 180;
const GRAPES: usize = 3;
const COLUMNS: usize = 5;
const PAIRS: usize = 32;
const MARGIN: f32 = 2.0;

/// Alcohol in per cent, magnesium and proline in mg/l, flavanoids in g/l, hue. Wine `i` is of grape `i % 3`.
fn analyses() -> Vec<f32> {
    let mut draw = Draw::new(4303);
    let typical: [[f32; COLUMNS]; GRAPES] =
        [[13.7, 106.0, 1100.0, 2.98, 1.06], [12.3, 95.0, 520.0, 2.08, 1.05], [13.2, 99.0, 630.0, 0.78, 0.68]];
    let spread = [0.5, 12.0, 150.0, 0.4, 0.12];
    (0..WINES)
        .flat_map(|wine| {
            let mut row = typical[wine % GRAPES];
            for (value, spread) in row.iter_mut().zip(spread) {
                *value += spread * draw.normal();
            }
            row
        })
        .collect()
}

/// Every column with mean 0 and deviation 1.
fn standardise(table: Tensor<2>) -> Tensor<2> {
    let (variance, mean) = table.clone().var_mean(0);
    (table - mean) / variance.sqrt()
}

#[derive(Module, Debug)]
struct Encoder {
    hidden: Linear,
    embedding: Linear,
}

impl Encoder {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(COLUMNS, 16).init(device),
            embedding: LinearConfig::new(16, 3).init(device),
        }
    }

    fn forward(&self, wines: Tensor<2>) -> Tensor<2> {
        let hidden = leaky_relu(self.hidden.forward(wines), 0.1);
        self.embedding.forward(hidden)
    }
}

/// Hadsell et al. 2006, with squared distances.
fn contrastive_loss(left: Tensor<2>, right: Tensor<2>, same: Tensor<1>) -> Tensor<1> {
    let difference = left - right;
    let distance = difference.powi_scalar(2).sum_dim(1).squeeze_dim::<1>(1);
    let apart = (distance.clone().neg() + MARGIN).clamp_min(0.0);
    let different = same.clone().neg() + 1.0;
    (same * distance + different * apart).mean()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(4303);
    let wines = Tensor::<2>::from_data(TensorData::new(analyses(), [WINES, COLUMNS]), &device);
    let wines = if healthy { standardise(wines) } else { wines };
    let mut encoder = Encoder::new(&device);
    denan_burn::name_parameters(&encoder);
    let mut sgd = SgdConfig::new().with_weight_decay(Some(WeightDecayConfig::new(1e-4))).init();
    let mut draw = Draw::new(4304);

    for step in 0..160 {
        let (mut left, mut right, mut same) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..PAIRS {
            let first = draw.below(WINES);
            // Half of the pairs are of one grape.
            let second = if draw.happens(0.5) {
                (first + GRAPES * (1 + draw.below(WINES / GRAPES - 1))) % WINES
            } else {
                (first + GRAPES * draw.below(WINES / GRAPES) + 1 + draw.below(GRAPES - 1)) % WINES
            };
            left.push(first as i64);
            right.push(second as i64);
            same.push(f32::from(first % GRAPES == second % GRAPES));
        }
        let pick = |rows: &[i64]| wines.clone().select(0, Tensor::<1, Int>::from_ints(rows, &device));
        let same = Tensor::<1>::from_floats(same.as_slice(), &device);

        let loss = contrastive_loss(encoder.forward(pick(&left)), encoder.forward(pick(&right)), same);
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &encoder);
        encoder = sgd.step(0.02, encoder, gradients);
    }
}
