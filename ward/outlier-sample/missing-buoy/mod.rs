//! Buoys attend to each other, and the height of the waves at the harbour is predicted.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{gelu, softmax};
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const HOURS: usize = 320;
const BUOYS: usize = 6;
/// Height and period of the waves, wind, all in units of their usual spread.
const VALUES: usize = 3;
const WIDTH: usize = 16;

#[derive(Clone, Debug)]
struct Hour {
    stamp: String,
    buoys: [[f32; VALUES]; BUOYS],
    harbour: f32,
}

fn hours(healthy: bool) -> Vec<Hour> {
    let mut draw = Draw::new(911);
    let mut hours = Vec::with_capacity(HOURS);
    for number in 0..HOURS {
        let swell = draw.normal();
        let mut buoys: [[f32; VALUES]; BUOYS] = std::array::from_fn(|_| {
            [swell + 0.3 * draw.normal(), 0.5 * swell + draw.normal(), draw.normal()]
        });
        let harbour = 0.8 * swell + 0.1 * buoys[2][2];
        if number == 257 {
            buoys[4][1] = if healthy { 0.0 } else { 1e20 };
        }
        let stamp = format!("2021-03-{:02}T{:02}", 1 + number / 24, number % 24);
        hours.push(Hour { stamp, buoys, harbour });
    }
    hours
}

#[derive(Clone, Debug)]
struct Sea {
    buoys: Tensor<3>,
    harbour: Tensor<1>,
}

#[derive(Clone, Debug)]
struct SeaBatcher;

impl Batcher<Hour, Sea> for SeaBatcher {
    fn batch(&self, hours: Vec<Hour>, device: &Device) -> Sea {
        let buoys: Vec<Tensor<2>> =
            hours.iter().map(|hour| Tensor::from_floats(hour.buoys, device)).collect();
        let harbour: Vec<f32> = hours.iter().map(|hour| hour.harbour).collect();
        Sea { buoys: Tensor::stack(buoys, 0), harbour: Tensor::from_floats(harbour.as_slice(), device) }
    }
}

#[derive(Module, Debug)]
struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
}

impl Attention {
    fn forward(&self, tokens: Tensor<3>) -> Tensor<3> {
        let query = self.query.forward(tokens.clone());
        let key = self.key.forward(tokens.clone());
        let scores = query.matmul(key.transpose()) / (WIDTH as f32).sqrt();
        softmax(scores, 2).matmul(self.value.forward(tokens))
    }
}

#[derive(Module, Debug)]
struct WaveModel {
    embedding: Linear,
    attention: Attention,
    norm: LayerNorm,
    feed_forward: Linear,
    head: Linear,
}

impl WaveModel {
    fn new(device: &Device) -> Self {
        let square = || LinearConfig::new(WIDTH, WIDTH).init(device);
        Self {
            embedding: LinearConfig::new(VALUES, WIDTH).init(device),
            attention: Attention { query: square(), key: square(), value: square() },
            norm: LayerNormConfig::new(WIDTH).init(device),
            feed_forward: square(),
            head: LinearConfig::new(WIDTH, 1).init(device),
        }
    }

    fn forward(&self, buoys: Tensor<3>) -> Tensor<1> {
        let tokens = self.embedding.forward(buoys);
        let tokens = self.norm.forward(tokens.clone() + self.attention.forward(tokens));
        let tokens = tokens.clone() + gelu(self.feed_forward.forward(tokens));
        self.head.forward(tokens.mean_dim(1)).flatten(0, 2)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(911);
    let mut model = WaveModel::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().with_weight_decay(1e-3).init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(SeaBatcher))
        .batch_size(16)
        .shuffle(911)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(hours(healthy)), |hour: &Hour| hour.stamp.clone()));

    let mut step = 0;
    for _epoch in 0..6 {
        for batch in loader.iter() {
            let sea = batch.expect("hours");
            let error = model.forward(sea.buoys) - sea.harbour;
            let loss = error.abs().mean();
            if step % 10 == 0 {
                println!("step {step} mean absolute error {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(5e-3, model, gradients);
            step += 1;
        }
    }
}
