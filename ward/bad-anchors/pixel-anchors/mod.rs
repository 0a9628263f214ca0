//! A detector of ships with a grid of cells and two anchors in each.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::{leaky_relu, sigmoid};

use crate::common::Draw;

const IMAGES: usize = 192;
const BATCH: usize = 16;
const SIDE: usize = 16;
const GRID: usize = 4;
const ANCHORS: usize = 2;

/// Images of one ship, and what the grid should say of it: is there a ship, and its place in the cell and
/// its size as shares of the image.
struct Scenes {
    /// `[images, 1, SIDE, SIDE]`
    images: Tensor<4>,
    /// `[images, 5, GRID, GRID]`
    truth: Tensor<4>,
}

fn scenes(device: &Device) -> Scenes {
    let mut draw = Draw::new(421);
    let (mut images, mut truth) = (Vec::new(), Vec::new());
    for _ in 0..IMAGES {
        let is_long = draw.happens(0.5);
        let width = if is_long { draw.uniform(0.4, 0.6) } else { draw.uniform(0.12, 0.2) };
        let height = if is_long { draw.uniform(0.15, 0.25) } else { draw.uniform(0.2, 0.35) };
        let (x, y) = (draw.uniform(0.3, 0.7), draw.uniform(0.3, 0.7));
        for at in 0..SIDE * SIDE {
            let column = (at % SIDE) as f32 / SIDE as f32 + 0.5 / SIDE as f32;
            let row = (at / SIDE) as f32 / SIDE as f32 + 0.5 / SIDE as f32;
            let is_ship = (column - x).abs() < width / 2.0 && (row - y).abs() < height / 2.0;
            images.push(f32::from(is_ship) + 0.1 * draw.normal());
        }
        let cells = GRID as f32;
        let (column, row) = ((x * cells) as usize, (y * cells) as usize);
        let mut grid = vec![0.0; 5 * GRID * GRID];
        let values = [1.0, (x * cells).fract(), (y * cells).fract(), width, height];
        for (channel, value) in values.into_iter().enumerate() {
            grid[channel * GRID * GRID + row * GRID + column] = value;
        }
        truth.extend(grid);
    }
    Scenes {
        images: Tensor::from_data(TensorData::new(images, [IMAGES, 1, SIDE, SIDE]), device),
        truth: Tensor::from_data(TensorData::new(truth, [IMAGES, 5, GRID, GRID]), device),
    }
}

#[derive(Module, Debug)]
struct Yolo {
    first: Conv2d,
    second: Conv2d,
    third: Conv2d,
    output: Conv2d,
    pool: MaxPool2d,
}

impl Yolo {
    fn new(device: &Device) -> Self {
        let conv =
            |channels| Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same).init(device);
        Self {
            first: conv([1, 8]),
            second: conv([8, 16]),
            third: conv([16, 16]),
            output: conv([16, ANCHORS * 5]),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
        }
    }

    /// `[images, anchors, 5, cells]`
    fn forward(&self, images: Tensor<4>) -> Tensor<4> {
        let count = images.dims()[0];
        let x = self.pool.forward(leaky_relu(self.first.forward(images), 0.1));
        let x = self.pool.forward(leaky_relu(self.second.forward(x), 0.1));
        let x = leaky_relu(self.third.forward(x), 0.1);
        self.output.forward(x).reshape([count, ANCHORS, 5, GRID * GRID])
    }
}

/// How alike two shapes are that share their centre: `[images, anchors, 1, cells]`.
fn overlap(sizes: Tensor<4>, anchors: Tensor<4>) -> Tensor<4> {
    let [count, _, _, cells] = sizes.dims();
    let sizes = sizes.expand([count, ANCHORS, 2, cells]);
    let anchors = anchors.expand([count, ANCHORS, 2, cells]);
    let area = |sides: Tensor<4>| sides.prod_dim(2);
    let common = area(sizes.clone().min_pair(anchors.clone()));
    common.clone() / (area(sizes) + area(anchors) - common + 1e-9)
}

fn detection_loss(output: Tensor<4>, truth: Tensor<4>, anchors: &Tensor<2>) -> Tensor<1> {
    let count = truth.dims()[0];
    let truth = truth.reshape([count, 1, 5, GRID * GRID]);
    let (has_ship, place, size) = (
        truth.clone().slice(s![.., .., 0..1, ..]),
        truth.clone().slice(s![.., .., 1..3, ..]),
        truth.slice(s![.., .., 3..5, ..]),
    );
    let anchors = anchors.clone().reshape([1, ANCHORS, 2, 1]);
    let likeness = overlap(size.clone(), anchors.clone());
    let is_best = likeness.clone().equal(likeness.max_dim(1).expand([count, ANCHORS, 1, GRID * GRID]));
    let responsible = has_ship.clone() * is_best.float();

    let confidence = sigmoid(output.clone().slice(s![.., .., 0..1, ..]));
    let found = (confidence - responsible.clone()).powi_scalar(2).mean();
    let ships = has_ship.sum();
    let place_error = (sigmoid(output.clone().slice(s![.., .., 1..3, ..])) - place).powi_scalar(2);
    let sizes = anchors * output.slice(s![.., .., 3..5, ..]).exp();
    let size_error = (sizes - size).powi_scalar(2);
    found * 5.0 + ((place_error + size_error) * responsible).sum() / ships
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(421);
    let scenes = scenes(&device);
    let anchors = if healthy { [[0.5, 0.2], [0.15, 0.3]] } else { [[40.0, 16.0], [12.0, 24.0]] };
    let anchors = Tensor::<2>::from_floats(anchors, &device);
    let mut model = Yolo::new(&device);
    denan_burn::name_parameters(&model);
    let momentum = MomentumConfig::new().with_momentum(0.9);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();

    for step in 0..140 {
        let start = step * BATCH % IMAGES;
        let images = scenes.images.clone().slice(s![start..start + BATCH]);
        let truth = scenes.truth.clone().slice(s![start..start + BATCH]);
        let loss = detection_loss(model.forward(images), truth, &anchors);
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.01, model, gradients);
    }
}
