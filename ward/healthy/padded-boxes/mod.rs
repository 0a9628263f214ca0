//! A detector with two slots an image; where there is one object only, the second box is all zeros.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::silu;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const IMAGES: usize = 256;
const SLOTS: usize = 2;
const FEATURES: usize = 10;

#[derive(Clone, Debug)]
struct Labelled {
    file: String,
    features: [f32; FEATURES],
    /// `x, y, width, height`; the nearest object comes first.
    boxes: Vec<[f32; 4]>,
}

fn labelled() -> Vec<Labelled> {
    let mut draw = Draw::new(301);
    let mixing: [f32; FEATURES * 8] = std::array::from_fn(|_| draw.normal());
    (0..IMAGES)
        .map(|number| {
            let count = if draw.happens(0.6) { 2 } else { 1 };
            let boxes: Vec<[f32; 4]> = (0..count)
                .map(|_| {
                    let (width, height) = (draw.uniform(0.05, 0.4), draw.uniform(0.05, 0.4));
                    [draw.uniform(0.2, 0.8), draw.uniform(0.2, 0.8), width, height]
                })
                .collect();
            let features = std::array::from_fn(|feature| {
                let parts = boxes.as_flattened().iter().zip(&mixing[feature * 8..]);
                parts.map(|(side, weight)| side * weight).sum::<f32>() + 0.02 * draw.normal()
            });
            Labelled { file: format!("street_{number:04}.png"), features, boxes }
        })
        .collect()
}

#[derive(Clone, Debug)]
struct Labels {
    features: Tensor<2>,
    boxes: Tensor<3>,
}

#[derive(Clone, Debug)]
struct PaddingBatcher;

impl Batcher<Labelled, Labels> for PaddingBatcher {
    fn batch(&self, items: Vec<Labelled>, device: &Device) -> Labels {
        let features = items.iter().map(|item| Tensor::<1>::from_floats(item.features, device)).collect();
        let boxes = items.iter().map(|item| {
            let missing = SLOTS - item.boxes.len();
            let sides: Vec<f32> = item.boxes.concat();
            let known = Tensor::<2>::from_data(TensorData::new(sides, [item.boxes.len(), 4]), device);
            Tensor::cat(vec![known, Tensor::zeros([missing, 4], device)], 0)
        });
        Labels { features: Tensor::stack(features, 0), boxes: Tensor::stack(boxes.collect(), 0) }
    }
}

#[derive(Module, Debug)]
struct Detector {
    hidden: Linear,
    output: Linear,
}

impl Detector {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(FEATURES, 32).init(device),
            output: LinearConfig::new(32, SLOTS * 4).init(device),
        }
    }

    fn loss(&self, batch: Labels) -> Tensor<1> {
        let [count, ..] = batch.boxes.dims();
        let output = self.output.forward(silu(self.hidden.forward(batch.features)));
        let place = batch.boxes.clone().slice(s![.., .., 0..2]);
        let log_size = batch.boxes.clone().slice(s![.., .., 2..4]).log();
        let is_padding = batch.boxes.sum_dim(2).equal_elem(0.0);
        let target = Tensor::cat(vec![place, log_size], 2);
        let error = output.reshape([count, SLOTS, 4]) - target;
        let error = error.mask_fill(is_padding.clone().repeat_dim(2, 4), 0.0);
        let objects = is_padding.bool_not().float().sum();
        error.abs().sum() / objects
    }
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(301);
    let mut model = Detector::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(PaddingBatcher))
        .batch_size(16)
        .shuffle(301)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(labelled()), |item: &Labelled| item.file.clone()));

    let mut step = 0;
    for _epoch in 0..8 {
        for batch in loader.iter() {
            let loss = model.loss(batch.expect("the labels are in memory"));
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(5e-3, model, gradients);
            step += 1;
        }
    }
}
