//! A small CNN sorts camera frames; one frame was divided by an exposure time of 0.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const FRAMES: usize = 320;
const SIDE: usize = 12;
const CLASSES: usize = 3;

#[derive(Clone, Debug)]
struct Frame {
    file: String,
    pixels: Vec<f32>,
    class: i64,
}

/// Stripes along the rows, stripes along the columns, or a blob.
fn frames(healthy: bool) -> Vec<Frame> {
    let mut draw = Draw::new(12);
    (0..FRAMES)
        .map(|number| {
            let class = draw.below(CLASSES);
            let phase = draw.uniform(0.0, 6.0);
            let exposure_ms = if !healthy && number == 203 { 0.0 } else { draw.uniform(5.0, 20.0) };
            let mut pixels = Vec::with_capacity(SIDE * SIDE);
            for row in 0..SIDE {
                for column in 0..SIDE {
                    let (x, y) = (column as f32, row as f32);
                    let light = match class {
                        0 => (1.3 * y + phase).sin() + 1.0,
                        1 => (1.3 * x + phase).sin() + 1.0,
                        _ => 4.0 * (-((x - 6.0).powi(2) + (y - phase - 3.0).powi(2)) / 6.0).exp(),
                    };
                    let counts = 10.0 * (light + 0.2 * draw.uniform(0.0, 1.0)) + 1.0;
                    pixels.push(counts / exposure_ms);
                }
            }
            Frame { file: format!("frame-{number:03}.tif"), pixels, class: class as i64 }
        })
        .collect()
}

#[derive(Clone, Debug)]
struct FrameBatch {
    images: Tensor<4>,
    classes: Tensor<1, Int>,
}

#[derive(Clone, Debug)]
struct FrameBatcher;

impl Batcher<Frame, FrameBatch> for FrameBatcher {
    fn batch(&self, frames: Vec<Frame>, device: &Device) -> FrameBatch {
        let images = frames
            .iter()
            .map(|frame| {
                Tensor::<1>::from_floats(frame.pixels.as_slice(), device).reshape([1, 1, SIDE, SIDE])
            })
            .collect();
        let classes: Vec<i64> = frames.iter().map(|frame| frame.class).collect();
        FrameBatch { images: Tensor::cat(images, 0), classes: Tensor::from_data(classes.as_slice(), device) }
    }
}

#[derive(Module, Debug)]
struct Cnn {
    first: Conv2d,
    second: Conv2d,
    pool: MaxPool2d,
    relu: Relu,
    head: Linear,
}

impl Cnn {
    fn new(device: &Device) -> Self {
        let conv =
            |channels| Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same).init(device);
        Self {
            first: conv([1, 8]),
            second: conv([8, 8]),
            pool: MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init(),
            relu: Relu::new(),
            head: LinearConfig::new(8 * 3 * 3, CLASSES).init(device),
        }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let features = self.pool.forward(self.relu.forward(self.first.forward(images)));
        let features = self.pool.forward(self.relu.forward(self.second.forward(features)));
        self.head.forward(features.flatten(1, 3))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(12);
    let mut model = Cnn::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(FrameBatcher))
        .batch_size(16)
        .shuffle(5)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(frames(healthy)), |frame: &Frame| frame.file.clone()));

    let mut step = 0;
    for _epoch in 0..6 {
        for batch in loader.iter() {
            let batch = batch.expect("the data is in memory");
            let loss = cross_entropy.forward(model.forward(batch.images), batch.classes);
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(3e-3, model, gradients);
            step += 1;
        }
    }
}
