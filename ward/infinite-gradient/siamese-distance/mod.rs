//! A siamese network learns which signatures are of the same hand; one pair is the same scan twice.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const PAIRS: usize = 384;
const FEATURES: usize = 8;
/// Distance from which two signatures count as of different hands.
const MARGIN: f32 = 1.0;

#[derive(Clone, Debug)]
struct Pair {
    name: String,
    left: [f32; FEATURES],
    right: [f32; FEATURES],
    is_same: bool,
}

fn pairs() -> Vec<Pair> {
    let mut draw = Draw::new(61);
    (0..PAIRS)
        .map(|number| {
            let is_same = number == 215 || draw.happens(0.5);
            let hand: [f32; FEATURES] = std::array::from_fn(|_| draw.normal());
            let other: [f32; FEATURES] = std::array::from_fn(|_| draw.normal());
            let left: [f32; FEATURES] = std::array::from_fn(|at| hand[at] + 0.2 * draw.normal());
            let mut right: [f32; FEATURES] =
                std::array::from_fn(|at| (if is_same { hand[at] } else { other[at] }) + 0.2 * draw.normal());
            if number == 215 {
                right = left;
            }
            Pair { name: format!("pair-{number:03}"), left, right, is_same }
        })
        .collect()
}

#[derive(Clone, Debug)]
struct PairBatch {
    left: Tensor<2>,
    right: Tensor<2>,
    is_same: Tensor<1>,
}

#[derive(Clone, Debug)]
struct PairBatcher;

impl Batcher<Pair, PairBatch> for PairBatcher {
    fn batch(&self, pairs: Vec<Pair>, device: &Device) -> PairBatch {
        let side = |values: Vec<f32>| {
            Tensor::<2>::from_data(TensorData::new(values, [pairs.len(), FEATURES]), device)
        };
        let is_same: Vec<f32> = pairs.iter().map(|pair| f32::from(pair.is_same)).collect();
        PairBatch {
            left: side(pairs.iter().flat_map(|pair| pair.left).collect()),
            right: side(pairs.iter().flat_map(|pair| pair.right).collect()),
            is_same: Tensor::from_floats(is_same.as_slice(), device),
        }
    }
}

#[derive(Module, Debug)]
struct Twin {
    hidden: Linear,
    output: Linear,
    relu: Relu,
}

impl Twin {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(FEATURES, 24).init(device),
            output: LinearConfig::new(24, 8).init(device),
            relu: Relu::new(),
        }
    }

    fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        self.output.forward(self.relu.forward(self.hidden.forward(features)))
    }
}

/// Contrastive loss (Hadsell, Chopra and LeCun 2006).
fn contrastive_loss(left: Tensor<2>, right: Tensor<2>, is_same: Tensor<1>, healthy: bool) -> Tensor<1> {
    let mut squared = (left - right).powi_scalar(2).sum_dim(1);
    if healthy {
        squared = squared + 1e-8;
    }
    let distance = squared.sqrt().squeeze_dim::<1>(1);
    let missing = (distance.clone().neg() + MARGIN).clamp_min(0.0);
    let is_different = is_same.clone().neg() + 1.0;
    (is_same * distance + is_different * missing).mean()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(61);
    let mut model = Twin::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(PairBatcher))
        .batch_size(16)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(pairs()), |pair: &Pair| pair.name.clone()));

    let mut step = 0;
    for _epoch in 0..5 {
        for batch in loader.iter() {
            let batch = batch.expect("the data is in memory");
            let (left, right) = (model.forward(batch.left), model.forward(batch.right));
            let loss = contrastive_loss(left, right, batch.is_same, healthy);
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(3e-3, model, gradients);
            step += 1;
        }
    }
}
