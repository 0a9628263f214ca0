//! A small CNN finds a star in the sky as the centre of mass of a heatmap; one exposure is black.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{PaddingConfig2d, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const IMAGES: usize = 320;
const BATCH: usize = 8;
const SIDE: usize = 12;

/// Images, and where the star is, from -1 to 1.
fn sky(healthy: bool) -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(43);
    let (mut pixels, mut stars) = (Vec::new(), Vec::new());
    for image in 0..IMAGES {
        let (x, y) = (draw.uniform(-0.7, 0.7), draw.uniform(-0.7, 0.7));
        let has_opened = healthy || image != 260;
        for row in 0..SIDE {
            for column in 0..SIDE {
                let (dx, dy) = (place(column) - x, place(row) - y);
                let light = 2.0 * (-(dx * dx + dy * dy) / 0.05).exp() + draw.uniform(0.0, 0.3);
                pixels.push(if has_opened { light } else { 0.0 });
            }
        }
        stars.extend([x, y]);
    }
    (pixels, stars)
}

/// Middle of a column or row of pixels, from -1 to 1.
fn place(index: usize) -> f32 {
    (2 * index + 1) as f32 / SIDE as f32 - 1.0
}

#[derive(Module, Debug)]
struct StarFinder {
    first: Conv2d,
    second: Conv2d,
    relu: Relu,
}

impl StarFinder {
    fn new(device: &Device) -> Self {
        let conv = |channels| {
            Conv2dConfig::new(channels, [3, 3])
                .with_padding(PaddingConfig2d::Same)
                .with_bias(false)
                .init(device)
        };
        Self { first: conv([1, 8]), second: conv([8, 4]), relu: Relu::new() }
    }

    /// `x, y` of the centre of mass of what the network sees.
    fn forward(&self, images: Tensor<4>, places: Tensor<3>) -> Tensor<2> {
        let count = images.dims()[0];
        let features = self.relu.forward(self.first.forward(images));
        let heat = self.second.forward(features).powi_scalar(2).sum_dim(1);
        let heat = heat.reshape([count, 1, SIDE * SIDE]);
        let mass = heat.clone().sum_dim(2);
        let share = heat / mass;
        share.matmul(places.expand([count, SIDE * SIDE, 2])).squeeze_dim(1)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(43);
    let (pixels, stars) = sky(healthy);
    let pixels = Tensor::<4>::from_data(TensorData::new(pixels, [IMAGES, 1, SIDE, SIDE]), &device);
    let stars = Tensor::<2>::from_data(TensorData::new(stars, [IMAGES, 2]), &device);
    let places: Vec<f32> =
        (0..SIDE * SIDE).flat_map(|pixel| [place(pixel % SIDE), place(pixel / SIDE)]).collect();
    let places = Tensor::<3>::from_data(TensorData::new(places, [1, SIDE * SIDE, 2]), &device);
    let mut model = StarFinder::new(&device);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..120 {
        let rows = step * BATCH % IMAGES..step * BATCH % IMAGES + BATCH;
        let found = model.forward(pixels.clone().slice(s![rows.clone()]), places.clone());
        let loss = MseLoss::new().forward(found, stars.clone().slice(s![rows]), Reduction::Mean);
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
}
