//! A small transformer looks at image patches and finds boxes; one annotated box has height 0.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::attention::{MhaInput, MultiHeadAttention, MultiHeadAttentionConfig};
use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{gelu, sigmoid};
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const IMAGES: usize = 400;
const PATCHES: usize = 16;
/// Mean light of a patch, and where the patch is.
const PATCH: usize = 3;
const BOXES: usize = 3;
const WIDTH: usize = 24;

#[derive(Clone, Debug)]
struct Annotated {
    file: String,
    patches: Vec<f32>,
    /// `x, y, width, height` from 0 to 1, from left to right.
    boxes: [[f32; 4]; BOXES],
}

fn images(healthy: bool) -> Vec<Annotated> {
    let mut draw = Draw::new(22);
    let mut images: Vec<Annotated> = (0..IMAGES)
        .map(|number| {
            let boxes = [0.2, 0.5, 0.8].map(|x: f32| {
                let x = x + draw.uniform(-0.08, 0.08);
                let y = draw.uniform(0.3, 0.7);
                [x, y, draw.uniform(0.1, 0.25), draw.uniform(0.1, 0.5)]
            });
            let mut patches = Vec::with_capacity(PATCHES * PATCH);
            for patch in 0..PATCHES {
                let (left, top) = ((patch % 4) as f32 * 0.25, (patch / 4) as f32 * 0.25);
                let light: f32 = boxes.iter().map(|found| overlap(found, left, top)).sum();
                patches.extend([16.0 * light, left, top]);
            }
            Annotated { file: format!("scene_{number:05}.jpg"), patches, boxes }
        })
        .collect();
    if !healthy {
        images[277].boxes[2][3] = 0.0;
    }
    images
}

/// Area of a box within a patch.
fn overlap(found: &[f32; 4], left: f32, top: f32) -> f32 {
    let [x, y, width, height] = *found;
    let along = |centre: f32, size: f32, low: f32| {
        ((centre + size / 2.0).min(low + 0.25) - (centre - size / 2.0).max(low)).max(0.0)
    };
    along(x, width, left) * along(y, height, top)
}

#[derive(Clone, Debug)]
struct ImageBatch {
    patches: Tensor<3>,
    boxes: Tensor<3>,
}

#[derive(Clone, Debug)]
struct ImageBatcher;

impl Batcher<Annotated, ImageBatch> for ImageBatcher {
    fn batch(&self, items: Vec<Annotated>, device: &Device) -> ImageBatch {
        let count = items.len();
        let patches: Vec<f32> = items.iter().flat_map(|item| item.patches.clone()).collect();
        let boxes: Vec<f32> = items.iter().flat_map(|item| item.boxes.concat()).collect();
        ImageBatch {
            patches: Tensor::from_data(TensorData::new(patches, [count, PATCHES, PATCH]), device),
            boxes: Tensor::from_data(TensorData::new(boxes, [count, BOXES, 4]), device),
        }
    }
}

#[derive(Module, Debug)]
struct Detector {
    embedding: Linear,
    attention: MultiHeadAttention,
    norm: LayerNorm,
    head: Linear,
}

impl Detector {
    fn new(device: &Device) -> Self {
        Self {
            embedding: LinearConfig::new(PATCH, WIDTH).init(device),
            attention: MultiHeadAttentionConfig::new(WIDTH, 2).with_dropout(0.0).init(device),
            norm: LayerNormConfig::new(WIDTH).init(device),
            head: LinearConfig::new(PATCHES * WIDTH, BOXES * 4).init(device),
        }
    }

    fn forward(&self, patches: Tensor<3>) -> Tensor<3> {
        let count = patches.dims()[0];
        let tokens = gelu(self.embedding.forward(patches));
        let attended = self.attention.forward(MhaInput::self_attn(tokens.clone())).context;
        let tokens = self.norm.forward(tokens + attended);
        self.head.forward::<2>(tokens.flatten(1, 2)).reshape([count, BOXES, 4])
    }
}

/// Mean squared distance between the predicted boxes and those of the annotation.
fn box_loss(output: Tensor<3>, boxes: Tensor<3>) -> Tensor<1> {
    let centre = sigmoid(output.clone().slice(s![.., .., 0..2]));
    let log_size = output.slice(s![.., .., 2..4]);
    let centre_error = (centre - boxes.clone().slice(s![.., .., 0..2])).powi_scalar(2).mean();
    let target = boxes.slice(s![.., .., 2..4]).log();
    let size_error = (log_size - target).powi_scalar(2).mean();
    centre_error * 20.0 + size_error
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(22);
    let mut model = Detector::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(ImageBatcher))
        .batch_size(16)
        .shuffle(22)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(images(healthy)), |image: &Annotated| image.file.clone()));

    let mut step = 0;
    for _epoch in 0..5 {
        for batch in loader.iter() {
            let batch = batch.expect("the data is in memory");
            let loss = box_loss(model.forward(batch.patches), batch.boxes);
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(5e-3, model, gradients);
            step += 1;
        }
    }
}
