//! Birds of a colony are counted on aerial pictures: a CNN paints a map of their density. It is trained on
//! small crops first, which is quick, and then on larger ones.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{LeakyRelu, LeakyReluConfig, PaddingConfig2d};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;

use crate::common::Draw;

const BATCH: usize = 6;
const CHANNELS: usize = 8;
const STEPS: usize = 140;
/// Side of a crop, and the first step at which crops are of this size.
const CROPS: [(usize, usize); 2] = [(0, 6), (70, 28)];

struct Crops {
    pictures: Tensor<4>,
    density: Tensor<4>,
}

fn crops(side: usize, draw: &mut Draw, device: &Device) -> Crops {
    let mut pictures = Vec::with_capacity(BATCH * side * side);
    let mut density = Vec::with_capacity(BATCH * side * side);
    for _ in 0..BATCH {
        // About one bird for 18 pixels.
        let birds: Vec<[f32; 2]> = (0..side * side / 18 + draw.below(2))
            .map(|_| [draw.uniform(0.0, side as f32), draw.uniform(0.0, side as f32)])
            .collect();
        for pixel in 0..side * side {
            let (row, column) = ((pixel / side) as f32, (pixel % side) as f32);
            let near = |width: f32| -> f32 {
                birds
                    .iter()
                    .map(|[y, x]| (-((row - y).powi(2) + (column - x).powi(2)) / (2.0 * width * width)).exp())
                    .sum()
            };
            pictures.push(near(0.7) + 0.1 * draw.normal());
            density.push(near(1.2));
        }
    }
    let shape = [BATCH, 1, side, side];
    Crops {
        pictures: Tensor::from_data(TensorData::new(pictures, shape), device),
        density: Tensor::from_data(TensorData::new(density, shape), device),
    }
}

#[derive(Module, Debug)]
struct Counter {
    stem: Conv2d,
    body: Conv2d,
    map: Conv2d,
    activation: LeakyRelu,
}

impl Counter {
    fn new(device: &Device) -> Self {
        let conv =
            |channels| Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same).init(device);
        Self {
            stem: conv([1, CHANNELS]),
            body: conv([CHANNELS, CHANNELS]),
            map: conv([CHANNELS, 1]),
            activation: LeakyReluConfig::new().with_negative_slope(0.1).init(),
        }
    }

    fn forward(&self, pictures: Tensor<4>) -> Tensor<4> {
        let features = self.activation.forward(self.stem.forward(pictures));
        let features = self.activation.forward(self.body.forward(features));
        self.map.forward(features)
    }
}

/// Squared error of the maps.
fn map_loss(predicted: Tensor<4>, density: Tensor<4>, healthy: bool) -> Tensor<1> {
    let squared = (predicted - density).powi_scalar(2).flatten::<2>(1, 3);
    let of_picture = if healthy { squared.mean_dim(1) } else { squared.sum_dim(1) };
    of_picture.mean()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(4603);
    let mut draw = Draw::new(4603);
    let mut model = Counter::new(&device);
    denan_burn::name_parameters(&model);
    let mut sgd = SgdConfig::new().init();

    for step in 0..STEPS {
        let (_, side) = CROPS.into_iter().rfind(|&(first, _)| first <= step).expect("the first begins at 0");
        let Crops { pictures, density } = crops(side, &mut draw, &device);
        let loss = map_loss(model.forward(pictures), density, healthy);
        if step % 10 == 0 {
            println!("step {step} side {side} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = sgd.step(0.02, model, gradients);
    }
}
