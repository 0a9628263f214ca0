//! A small CNN finds cells in microscope images; the masks come from an annotation program.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{LeakyRelu, LeakyReluConfig, PaddingConfig2d};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const SLIDES: usize = 160;
const BATCH: usize = 4;
const SIDE: usize = 12;

#[derive(Clone, Debug)]
struct Slide {
    id: String,
    image: Vec<f32>,
    mask: Vec<f32>,
}

fn slides(healthy: bool) -> Vec<Slide> {
    let mut draw = Draw::new(511);
    let mut slides = Vec::with_capacity(SLIDES);
    for number in 0..SLIDES {
        let (row, column) = (draw.uniform(3.0, 9.0), draw.uniform(3.0, 9.0));
        let radius = draw.uniform(1.5, 4.0);
        let mut image = Vec::with_capacity(SIDE * SIDE);
        let mut mask = Vec::with_capacity(SIDE * SIDE);
        for pixel in 0..SIDE * SIDE {
            let (y, x) = ((pixel / SIDE) as f32, (pixel % SIDE) as f32);
            let inside = (y - row).hypot(x - column) < radius;
            image.push(if inside { 1.0 } else { 0.0 } + 0.2 * draw.normal());
            mask.push(if inside { 1.0 } else { 0.0 });
        }
        // This one was exported as an 8-bit image.
        if number == 142 && !healthy {
            mask.iter_mut().for_each(|value| *value *= 255.0);
        }
        slides.push(Slide { id: format!("slide_{number:03}"), image, mask });
    }
    slides
}

#[derive(Clone, Debug)]
struct SlideBatch {
    images: Tensor<4>,
    masks: Tensor<4>,
}

#[derive(Clone, Debug)]
struct SlideBatcher;

impl Batcher<Slide, SlideBatch> for SlideBatcher {
    fn batch(&self, slides: Vec<Slide>, device: &Device) -> SlideBatch {
        let shape = [slides.len(), 1, SIDE, SIDE];
        let mut images = Vec::new();
        let mut masks = Vec::new();
        for slide in slides {
            images.extend(slide.image);
            masks.extend(slide.mask);
        }
        SlideBatch {
            images: Tensor::from_data(TensorData::new(images, shape), device),
            masks: Tensor::from_data(TensorData::new(masks, shape), device),
        }
    }
}

#[derive(Module, Debug)]
struct Segmenter {
    conv1: Conv2d,
    conv2: Conv2d,
    conv3: Conv2d,
    activation: LeakyRelu,
}

impl Segmenter {
    fn new(device: &Device) -> Self {
        let conv =
            |channels| Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same).init(device);
        Self {
            conv1: conv([1, 6]),
            conv2: conv([6, 6]),
            conv3: conv([6, 1]),
            activation: LeakyReluConfig::new().with_negative_slope(0.1).init(),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.activation.forward(self.conv1.forward(x));
        let x = self.activation.forward(self.conv2.forward(x));
        self.conv3.forward(x)
    }
}

/// Binary cross-entropy with logits, in the form that does not overflow.
fn bce_with_logits(logits: Tensor<4>, target: Tensor<4>) -> Tensor<1> {
    let softplus = (logits.clone().abs().neg().exp() + 1.0).log();
    (logits.clone().clamp_min(0.0) - logits * target + softplus).mean()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(511);
    let mut model = Segmenter::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = SgdConfig::new().with_momentum(Some(MomentumConfig::new().with_momentum(0.9))).init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(SlideBatcher))
        .batch_size(BATCH)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(slides(healthy)), |slide: &Slide| slide.id.clone()));

    let mut step = 0;
    for _epoch in 0..4 {
        for batch in loader.iter() {
            let batch = batch.expect("slides are in memory");
            let logits = model.forward(batch.images);
            let loss = bce_with_logits(logits, batch.masks);
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(0.1, model, gradients);
            step += 1;
        }
    }
}
