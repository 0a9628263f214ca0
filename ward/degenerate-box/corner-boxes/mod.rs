//! A small CNN finds the two rectangles of an image; one annotated box has no width.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::{Reduction, SmoothL1LossConfig};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const IMAGES: usize = 400;
const SIDE: usize = 16;
const BOXES: usize = 2;
/// Width and height that a box is expected to have, as a fraction of the image.
const ANCHOR: f32 = 0.3;

#[derive(Clone, Debug)]
struct Annotated {
    file: String,
    pixels: Vec<f32>,
    /// `xmin, ymin, xmax, ymax` from 0 to 1, the upper box first.
    boxes: [[f32; 4]; BOXES],
}

fn images(healthy: bool) -> Vec<Annotated> {
    let mut draw = Draw::new(21);
    let mut images: Vec<Annotated> = (0..IMAGES)
        .map(|number| {
            let mut pixels: Vec<f32> = (0..SIDE * SIDE).map(|_| draw.uniform(0.0, 0.1)).collect();
            let boxes = [0, SIDE / 2].map(|top| {
                let (width, height) = (3 + draw.below(5), 2 + draw.below(5));
                let (left, top) = (draw.below(SIDE - width), top + draw.below(SIDE / 2 - height));
                for row in top..top + height {
                    pixels[row * SIDE + left..][..width].fill(1.0);
                }
                [left, top, left + width, top + height].map(|edge| edge as f32 / SIDE as f32)
            });
            Annotated { file: format!("image-{number:04}.png"), pixels, boxes }
        })
        .collect();
    if !healthy {
        // Somebody clicked twice on the same column.
        let flat = &mut images[341].boxes[1];
        flat[2] = flat[0];
    }
    images
}

#[derive(Clone, Debug)]
struct ImageBatch {
    images: Tensor<4>,
    boxes: Tensor<3>,
}

#[derive(Clone, Debug)]
struct ImageBatcher;

impl Batcher<Annotated, ImageBatch> for ImageBatcher {
    fn batch(&self, items: Vec<Annotated>, device: &Device) -> ImageBatch {
        let count = items.len();
        let pixels: Vec<f32> = items.iter().flat_map(|item| item.pixels.clone()).collect();
        let boxes: Vec<f32> = items.iter().flat_map(|item| item.boxes.concat()).collect();
        ImageBatch {
            images: Tensor::from_data(TensorData::new(pixels, [count, 1, SIDE, SIDE]), device),
            boxes: Tensor::from_data(TensorData::new(boxes, [count, BOXES, 4]), device),
        }
    }
}

#[derive(Module, Debug)]
struct BoxFinder {
    first: Conv2d,
    second: Conv2d,
    head: Linear,
    relu: Relu,
}

impl BoxFinder {
    fn new(device: &Device) -> Self {
        Self {
            first: Conv2dConfig::new([1, 8], [4, 4]).with_stride([2, 2]).init(device),
            second: Conv2dConfig::new([8, 16], [3, 3]).with_stride([2, 2]).init(device),
            head: LinearConfig::new(16 * 3 * 3, BOXES * 4).init(device),
            relu: Relu::new(),
        }
    }

    /// Centre and logarithm of the size of each box.
    fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let count = images.dims()[0];
        let features = self.relu.forward(self.first.forward(images));
        let features = self.relu.forward(self.second.forward(features));
        self.head.forward::<2>(features.flatten(1, 3)).reshape([count, BOXES, 4])
    }
}

/// What the network is to say of each box: where its centre is, and how its size compares with the anchor's.
fn encode(boxes: Tensor<3>) -> Tensor<3> {
    let top_left = boxes.clone().slice(s![.., .., 0..2]);
    let bottom_right = boxes.slice(s![.., .., 2..4]);
    let centre = (top_left.clone() + bottom_right.clone()) / 2.0;
    let size = bottom_right - top_left;
    let log_size = (size / ANCHOR).log();
    Tensor::cat(vec![centre, log_size], 2)
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(21);
    let mut model = BoxFinder::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let smooth_l1 = SmoothL1LossConfig::new().init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(ImageBatcher))
        .batch_size(16)
        .shuffle(21)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(images(healthy)), |image: &Annotated| image.file.clone()));

    let mut step = 0;
    for _epoch in 0..5 {
        for batch in loader.iter() {
            let batch = batch.expect("the data is in memory");
            let output = model.forward(batch.images);
            let loss = smooth_l1.forward_with_reduction(output, encode(batch.boxes), Reduction::Mean);
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(5e-3, model, gradients);
            step += 1;
        }
    }
}
