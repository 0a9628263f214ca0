//! Mites on bees: a detector with two maps of features, a coarse and a fine one, and square anchors at each of
//! their places. What it learns is how an anchor is to be moved and resized.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::{BinaryCrossEntropyLossConfig, MseLoss};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::leaky_relu;

use crate::common::Draw;

const SIDE: usize = 16;
const BATCH: usize = 12;
/// Of the photograph of a whole comb, from which the images are cut.
const PHOTOGRAPH: usize = 1024;
/// How many places the maps have along each side.
const PLACES: [usize; 2] = [4, 2];
/// As is usual, the differences to the anchors are divided by their spread.
const SPREAD_OF_PLACE: f32 = 0.1;
const SPREAD_OF_SIZE: f32 = 0.2;
const FOUND_FROM: f32 = 0.5;

/// Centre and sides, in pixels.
#[derive(Clone, Copy)]
struct Frame {
    x: f32,
    y: f32,
    width: f32,
    height: f32,
}

impl Frame {
    fn overlap(&self, other: &Frame) -> f32 {
        let along = |a: f32, side_a: f32, b: f32, side_b: f32| {
            let end = (a + side_a / 2.0).min(b + side_b / 2.0);
            (end - (a - side_a / 2.0).max(b - side_b / 2.0)).max(0.0)
        };
        let common = along(self.x, self.width, other.x, other.width)
            * along(self.y, self.height, other.y, other.height);
        common / (self.width * self.height + other.width * other.height - common)
    }

    /// What the network should say at an anchor, in order that this is what it finds.
    fn relative_to(&self, anchor: &Frame) -> [f32; 4] {
        [
            (self.x - anchor.x) / anchor.width / SPREAD_OF_PLACE,
            (self.y - anchor.y) / anchor.height / SPREAD_OF_PLACE,
            (self.width / anchor.width).ln() / SPREAD_OF_SIZE,
            (self.height / anchor.height).ln() / SPREAD_OF_SIZE,
        ]
    }
}

/// One anchor at each place of each map, for pictures with sides of so many pixels.
fn anchors(picture: usize) -> Vec<Frame> {
    let mut anchors = Vec::new();
    for (across, side) in PLACES.into_iter().zip([4.0, 8.0]) {
        let stride = picture as f32 / across as f32;
        for at in 0..across * across {
            let middle = |index: usize| (index as f32 + 0.5) * stride;
            anchors.push(Frame { x: middle(at % across), y: middle(at / across), width: side, height: side });
        }
    }
    anchors
}

/// An image and the mite in it.
fn image(draw: &mut Draw) -> (Vec<f32>, Frame) {
    let width = if draw.happens(0.5) { draw.uniform(3.0, 5.0) } else { draw.uniform(6.0, 9.0) };
    let height = width * draw.uniform(0.8, 1.2);
    let mite = Frame { x: draw.uniform(5.0, 11.0), y: draw.uniform(5.0, 11.0), width, height };
    let pixels = (0..SIDE * SIDE)
        .map(|at| {
            let across = ((at % SIDE) as f32 + 0.5 - mite.x) / (mite.width / 2.0);
            let down = ((at / SIDE) as f32 + 0.5 - mite.y) / (mite.height / 2.0);
            let is_mite = across * across + down * down < 1.0;
            f32::from(is_mite) + 0.15 * draw.normal()
        })
        .collect();
    (pixels, mite)
}

struct Batch {
    images: Tensor<4>,
    /// Whether an anchor has a mite, `[images, anchors]`.
    has_mite: Tensor<2, Int>,
    /// `[images, anchors, 4]`
    changes: Tensor<3>,
}

fn batch(anchors: &[Frame], draw: &mut Draw, device: &Device) -> Batch {
    let (mut images, mut has_mite, mut changes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let (pixels, mite) = image(draw);
        images.extend(pixels);
        let overlaps: Vec<f32> = anchors.iter().map(|anchor| mite.overlap(anchor)).collect();
        // Every mite has its best anchor, however little that may be.
        let best = overlaps.iter().copied().fold(0.0, f32::max);
        for (anchor, overlap) in anchors.iter().zip(overlaps) {
            let is_match = overlap >= FOUND_FROM || overlap == best;
            has_mite.push(i64::from(is_match));
            changes.extend(if is_match { mite.relative_to(anchor) } else { [0.0; 4] });
        }
    }
    let count = anchors.len();
    Batch {
        images: Tensor::from_data(TensorData::new(images, [BATCH, 1, SIDE, SIDE]), device),
        has_mite: Tensor::from_data(TensorData::new(has_mite, [BATCH, count]), device),
        changes: Tensor::from_data(TensorData::new(changes, [BATCH, count, 4]), device),
    }
}

#[derive(Module, Debug)]
struct MiteNet {
    stem: Conv2d,
    fine: Conv2d,
    coarse: Conv2d,
    heads: Vec<Conv2d>,
}

impl MiteNet {
    fn new(device: &Device) -> Self {
        let conv = |channels, stride| {
            Conv2dConfig::new(channels, [3, 3])
                .with_stride([stride, stride])
                .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
                .init(device)
        };
        Self {
            stem: conv([1, 12], 2),
            fine: conv([12, 16], 2),
            coarse: conv([16, 24], 2),
            heads: vec![conv([16, 5], 1), conv([24, 5], 1)],
        }
    }

    /// Score and four changes of every anchor, `[images, anchors, 5]`.
    fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let stem = leaky_relu(self.stem.forward(images), 0.1);
        let fine = leaky_relu(self.fine.forward(stem), 0.1);
        let coarse = leaky_relu(self.coarse.forward(fine.clone()), 0.1);
        let outputs = [fine, coarse]
            .into_iter()
            .zip(&self.heads)
            .map(|(features, head)| head.forward(features).flatten::<3>(2, 3).swap_dims(1, 2))
            .collect();
        Tensor::cat(outputs, 1)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(2401);
    let mut draw = Draw::new(2401);
    let anchors = anchors(if healthy { SIDE } else { PHOTOGRAPH });
    let mut model = MiteNet::new(&device);
    denan_burn::name_parameters(&model);
    let momentum = MomentumConfig::new().with_momentum(0.9);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let cross_entropy = BinaryCrossEntropyLossConfig::new().with_logits(true).init(&device);

    for step in 0..180 {
        let Batch { images, has_mite, changes } = batch(&anchors, &mut draw, &device);
        let output = model.forward(images);
        let scores = output.clone().slice(s![.., .., 0]).squeeze_dim::<2>(2);
        let found = cross_entropy.forward(scores, has_mite.clone());
        let matched = has_mite.float().unsqueeze_dim::<3>(2);
        let errors = MseLoss::new().forward_no_reduction(output.slice(s![.., .., 1..]), changes);
        let moved = (errors * matched.clone()).sum() / matched.sum();
        let loss = found + moved;
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.01, model, gradients);
    }
}
