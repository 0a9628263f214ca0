//! A classifier of digits is fine-tuned: first its head, then the whole of it, by Adam without an epsilon.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::gelu;

use crate::common::Draw;

const IMAGES: usize = 320;
const BATCH: usize = 16;
const SIDE: usize = 8;
const CLASSES: usize = 3;
/// From this step on the backbone is trained as well.
const UNFREEZE_AT: usize = 25;

/// Bars in one of three places. The border of an image is black, as that of a scanned digit.
fn images() -> (Vec<f32>, Vec<i64>) {
    let mut draw = Draw::new(81);
    let (mut pixels, mut classes) = (Vec::new(), Vec::new());
    for _ in 0..IMAGES {
        let class = draw.below(CLASSES);
        for row in 0..SIDE {
            for column in 0..SIDE {
                let is_border = [0, SIDE - 1].contains(&row) || [0, SIDE - 1].contains(&column);
                let is_bar = (1 + 2 * class..3 + 2 * class).contains(&column);
                let light = f32::from(is_bar) + 0.3 * draw.normal().abs() + 0.01;
                pixels.push(if is_border { 0.0 } else { light });
            }
        }
        classes.push(class as i64);
    }
    (pixels, classes)
}

#[derive(Module, Debug)]
struct Classifier {
    backbone: Linear,
    head: Linear,
}

impl Classifier {
    fn new(device: &Device) -> Self {
        Self {
            backbone: LinearConfig::new(SIDE * SIDE, 24).init(device),
            head: LinearConfig::new(24, CLASSES).init(device),
        }
    }

    fn forward(&self, images: Tensor<2>) -> Tensor<2> {
        self.head.forward(gelu(self.backbone.forward(images)))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(81);
    let (pixels, classes) = images();
    let pixels = Tensor::<2>::from_data(TensorData::new(pixels, [IMAGES, SIDE * SIDE]), &device);
    let classes = Tensor::<1, Int>::from_data(classes.as_slice(), &device);
    let mut model = Classifier::new(&device);
    denan_burn::name_parameters(&model);
    model.backbone = model.backbone.freeze();
    let epsilon = if healthy { 1e-8 } else { 0.0 };
    let mut optimizer = AdamConfig::new().with_epsilon(epsilon).init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);

    for step in 0..120 {
        if step == UNFREEZE_AT {
            model.backbone = model.backbone.unfreeze();
        }
        let rows = step * BATCH % IMAGES..step * BATCH % IMAGES + BATCH;
        let output = model.forward(pixels.clone().slice(s![rows.clone()]));
        let loss = cross_entropy.forward(output, classes.clone().slice(s![rows]));
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-3, model, gradients);
    }
}
