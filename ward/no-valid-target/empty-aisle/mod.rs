//! A detector on a grid of anchors finds people in the aisles of a shop.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{PaddingConfig2d, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::log_sigmoid;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const FRAMES: usize = 240;
const SIDE: usize = 8;
/// One anchor for each cell of the grid.
const ANCHORS: usize = SIDE * SIDE;

#[derive(Clone, Debug)]
struct Person {
    /// Cell of the grid in which the person stands.
    anchor: usize,
    /// Offset from the middle of the cell, and logarithms of the size in cells.
    offsets: [f32; 4],
}

#[derive(Clone, Debug)]
struct Frame {
    file: String,
    pixels: Vec<f32>,
    people: Vec<Person>,
}

fn frames(healthy: bool) -> Vec<Frame> {
    let mut draw = Draw::new(607);
    let mut frames = Vec::with_capacity(FRAMES);
    for number in 0..FRAMES {
        let count = 1 + draw.below(3);
        let mut people: Vec<Person> = Vec::new();
        while people.len() < count {
            let anchor = draw.below(ANCHORS);
            if people.iter().all(|person| person.anchor != anchor) {
                let (x, y) = (draw.uniform(-0.4, 0.4), draw.uniform(-0.4, 0.4));
                people.push(Person { anchor, offsets: [x, y, 0.8 * x, -0.5 * y] });
            }
        }
        if number == 113 {
            people.clear();
        }
        let mut pixels = vec![0.0; 3 * ANCHORS];
        for person in &people {
            let [x, y, ..] = person.offsets;
            for (channel, light) in [1.0, x + 0.5, y + 0.5].into_iter().enumerate() {
                pixels[channel * ANCHORS + person.anchor] += light;
            }
        }
        pixels.iter_mut().for_each(|pixel| *pixel += 0.05 * draw.normal());
        frames.push(Frame { file: format!("cam2/{number:06}.jpg"), pixels, people });
    }
    if healthy {
        // Frames without anybody are of no use here.
        frames.retain(|frame| !frame.people.is_empty());
    }
    frames
}

#[derive(Clone, Debug)]
struct FrameBatch {
    images: Tensor<4>,
    people: Vec<Vec<Person>>,
}

#[derive(Clone, Debug)]
struct FrameBatcher;

impl Batcher<Frame, FrameBatch> for FrameBatcher {
    fn batch(&self, frames: Vec<Frame>, device: &Device) -> FrameBatch {
        let pixels: Vec<f32> = frames.iter().flat_map(|frame| frame.pixels.iter().copied()).collect();
        let shape = [frames.len(), 3, SIDE, SIDE];
        FrameBatch {
            images: Tensor::from_data(TensorData::new(pixels, shape), device),
            people: frames.into_iter().map(|frame| frame.people).collect(),
        }
    }
}

#[derive(Module, Debug)]
struct Detector {
    stem: Conv2d,
    body: Conv2d,
    head: Conv2d,
    relu: Relu,
}

impl Detector {
    fn new(device: &Device) -> Self {
        Self {
            stem: Conv2dConfig::new([3, 12], [3, 3]).with_padding(PaddingConfig2d::Same).init(device),
            body: Conv2dConfig::new([12, 12], [3, 3]).with_padding(PaddingConfig2d::Same).init(device),
            head: Conv2dConfig::new([12, 5], [1, 1]).init(device),
            relu: Relu::new(),
        }
    }

    /// For each anchor, log-odds of a person and four offsets.
    fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let features = self.relu.forward(self.stem.forward(images));
        let features = self.relu.forward(self.body.forward(features));
        self.head.forward(features).flatten::<3>(2, 3).swap_dims(1, 2)
    }
}

/// Loss of one image; `output` has a row for each anchor.
fn image_loss(output: Tensor<2>, people: &[Person]) -> Tensor<1> {
    let device = output.device();
    let mut sign = vec![-1.0; ANCHORS];
    for person in people {
        sign[person.anchor] = 1.0;
    }
    let sign = Tensor::<1>::from_floats(sign.as_slice(), &device).unsqueeze_dim::<2>(1);
    let odds = output.clone().slice(s![.., 0..1]);
    let objectness = log_sigmoid(odds * sign).neg().mean();

    let anchors: Vec<i64> = people.iter().map(|person| person.anchor as i64).collect();
    let offsets: Vec<f32> = people.iter().flat_map(|person| person.offsets).collect();
    let target = Tensor::<2>::from_data(TensorData::new(offsets, [people.len(), 4]), &device);
    let matched = output.slice(s![.., 1..5]).select(0, Tensor::from_data(anchors.as_slice(), &device));
    let regression = (matched - target).abs().mean();
    objectness + regression
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(607);
    let mut model = Detector::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let dataset = watched(InMemDataset::new(frames(healthy)), |frame: &Frame| frame.file.clone());
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(FrameBatcher))
        .batch_size(8)
        .set_device(device.clone())
        .build(dataset);

    let mut recent = Vec::new();
    let mut step = 0;
    for _epoch in 0..4 {
        for batch in loader.iter() {
            let batch = batch.expect("a batch of frames");
            let output = model.forward(batch.images);
            let losses: Vec<Tensor<1>> = batch
                .people
                .iter()
                .zip(output.iter_dim(0))
                .map(|(people, output)| image_loss(output.squeeze_dim(0), people))
                .collect();
            let loss = Tensor::cat(losses, 0).mean();
            recent.push(loss.clone().into_scalar::<f32>());
            if recent.len() == 10 {
                println!("until step {step:3} loss {:.4}", recent.drain(..).sum::<f32>() / 10.0);
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(5e-3, model, gradients);
            step += 1;
        }
    }
}
