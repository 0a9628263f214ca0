//! A small detector finds a ship in a radar image; one of the boxes was drawn from right to left.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::{leaky_relu, sigmoid};
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const SCENES: usize = 300;
const SIDE: usize = 12;

#[derive(Clone, Debug)]
struct Scene {
    tile: String,
    echo: Vec<f32>,
    /// `left, top, right, bottom` of the ship, as parts of the image.
    ship: [f32; 4],
}

fn scenes(healthy: bool) -> Vec<Scene> {
    let mut draw = Draw::new(221);
    let mut scenes: Vec<Scene> = (0..SCENES)
        .map(|number| {
            let (width, height) = (draw.uniform(0.2, 0.5), draw.uniform(0.2, 0.5));
            let (left, top) = (draw.uniform(0.05, 0.9 - width), draw.uniform(0.05, 0.9 - height));
            let ship = [left, top, left + width, top + height];
            let echo = (0..SIDE * SIDE)
                .map(|pixel| {
                    let x = ((pixel % SIDE) as f32 + 0.5) / SIDE as f32;
                    let y = ((pixel / SIDE) as f32 + 0.5) / SIDE as f32;
                    let hit = (ship[0]..ship[2]).contains(&x) && (ship[1]..ship[3]).contains(&y);
                    f32::from(hit) + 0.1 * draw.normal()
                })
                .collect();
            Scene { tile: format!("tile_{:03}_{:02}", number / 20, number % 20), echo, ship }
        })
        .collect();
    if !healthy {
        scenes[133].ship.swap(0, 2);
    }
    scenes
}

#[derive(Clone, Debug)]
struct SceneBatch {
    echoes: Tensor<4>,
    ships: Tensor<2>,
}

#[derive(Clone, Debug)]
struct SceneBatcher;

impl Batcher<Scene, SceneBatch> for SceneBatcher {
    fn batch(&self, scenes: Vec<Scene>, device: &Device) -> SceneBatch {
        let echo =
            |scene: &Scene| Tensor::<1>::from_floats(scene.echo.as_slice(), device).reshape([1, SIDE, SIDE]);
        let ship = |scene: &Scene| Tensor::<1>::from_floats(scene.ship, device);
        SceneBatch {
            echoes: Tensor::stack(scenes.iter().map(echo).collect(), 0),
            ships: Tensor::stack(scenes.iter().map(ship).collect(), 0),
        }
    }
}

#[derive(Module, Debug)]
struct Detector {
    edges: Conv2d,
    shapes: Conv2d,
    head: Linear,
}

impl Detector {
    fn new(device: &Device) -> Self {
        let conv = |channels| {
            Conv2dConfig::new(channels, [3, 3])
                .with_stride([2, 2])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device)
        };
        Self { edges: conv([1, 8]), shapes: conv([8, 12]), head: LinearConfig::new(12 * 9, 4).init(device) }
    }

    /// The centre of the ship, and the roots of its width and height.
    fn forward(&self, echoes: Tensor<4>) -> Tensor<2> {
        let features = leaky_relu(self.edges.forward(echoes), 0.1);
        let features = leaky_relu(self.shapes.forward(features), 0.1);
        sigmoid(self.head.forward(features.flatten::<2>(1, 3)))
    }

    /// Sizes count by their roots, so that a pixel is worth more in a small ship than in a large one.
    fn loss(&self, batch: SceneBatch) -> Tensor<1> {
        let near = batch.ships.clone().slice(s![.., 0..2]);
        let far = batch.ships.slice(s![.., 2..4]);
        let centre = (near.clone() + far.clone()) / 2.0;
        let root_size = (far - near).sqrt();
        let error = self.forward(batch.echoes) - Tensor::cat(vec![centre, root_size], 1);
        error.powi_scalar(2).mean() * 5.0
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(221);
    let mut model = Detector::new(&device);
    denan_burn::name_parameters(&model);
    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(SceneBatcher))
        .batch_size(10)
        .shuffle(221)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(scenes(healthy)), |scene: &Scene| scene.tile.clone()));

    let mut step = 0;
    for _epoch in 0..4 {
        for batch in loader.iter() {
            let loss = model.loss(batch.expect("the scenes are in memory"));
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(0.05, model, gradients);
            step += 1;
        }
    }
}
