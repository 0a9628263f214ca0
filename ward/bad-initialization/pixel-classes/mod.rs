//! A fully convolutional network says of every pixel of a field whether it is soil, crop or weed.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::nn::{Initializer, PaddingConfig2d};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::leaky_relu;

use crate::common::Draw;

const SIDE: usize = 8;
const BANDS: usize = 3;
const CLASSES: usize = 3;
const BATCH: usize = 4;

struct Tile {
    images: Tensor<4>,
    classes: Tensor<1, Int>,
}

/// Colour of soil, crop and weed in the three bands.
const COLOURS: [[f32; BANDS]; CLASSES] = [[0.6, 0.4, 0.3], [0.2, 0.7, 0.3], [0.3, 0.6, 0.6]];

fn tiles(count: usize, device: &Device) -> Vec<Tile> {
    let mut draw = Draw::new(302);
    (0..count)
        .map(|_| {
            let mut pixels = vec![0.0; BATCH * BANDS * SIDE * SIDE];
            let mut classes = Vec::new();
            for image in 0..BATCH {
                let (row_width, shift) = (2 + draw.below(3), draw.below(4));
                for at in 0..SIDE * SIDE {
                    let in_row = ((at % SIDE + shift) / row_width).is_multiple_of(2);
                    let class = if draw.happens(0.1) { 2 } else { usize::from(in_row) };
                    for band in 0..BANDS {
                        pixels[(image * BANDS + band) * SIDE * SIDE + at] =
                            COLOURS[class][band] + 0.08 * draw.normal();
                    }
                    classes.push(class as i64);
                }
            }
            Tile {
                images: Tensor::from_data(TensorData::new(pixels, [BATCH, BANDS, SIDE, SIDE]), device),
                classes: Tensor::from_data(classes.as_slice(), device),
            }
        })
        .collect()
}

#[derive(Module, Debug)]
struct Segmenter {
    convolutions: Vec<Conv2d>,
    classify: Conv2d,
}

impl Segmenter {
    fn new(device: &Device, start: Option<Initializer>) -> Self {
        let convolution = |channels, side| {
            let mut config = Conv2dConfig::new(channels, [side, side]).with_padding(PaddingConfig2d::Same);
            if let Some(start) = start.clone() {
                config = config.with_initializer(start);
            }
            config.init(device)
        };
        Self {
            convolutions: vec![
                convolution([BANDS, 16], 3),
                convolution([16, 16], 5),
                convolution([16, 16], 5),
                convolution([16, 16], 5),
            ],
            classify: convolution([16, CLASSES], 1),
        }
    }

    fn loss(&self, tile: &Tile, cross_entropy: &CrossEntropyLoss) -> Tensor<1> {
        let features = self
            .convolutions
            .iter()
            .fold(tile.images.clone(), |features, layer| leaky_relu(layer.forward(features), 0.1));
        let scores = self.classify.forward(features).permute([0, 2, 3, 1]);
        cross_entropy.forward(scores.reshape([BATCH * SIDE * SIDE, CLASSES]), tile.classes.clone())
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(302);
    let start = if healthy { None } else { Some(Initializer::Uniform { min: -1.0, max: 1.0 }) };
    let mut model = Segmenter::new(&device, start);
    denan_burn::name_parameters(&model);
    let momentum = MomentumConfig::new().with_momentum(0.9);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);

    let tiles = tiles(20, &device);
    for step in 0..120 {
        let loss = model.loss(&tiles[step % tiles.len()], &cross_entropy);
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.05, model, gradients);
    }
}
