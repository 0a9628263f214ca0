//! The network: four convolutional blocks and a head that predicts boxes on a grid.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, PaddingConfig2d, Relu};
use burn::prelude::*;

/// The side of each square anchor as a fraction of the image: small, middle, large objects.
pub const ANCHORS: [f32; 3] = [0.1, 0.2, 0.4];

/// Pixels of the input for one cell of the grid, in each direction.
pub const STRIDE: usize = 8;

/// What is predicted for each anchor before the classes: objectness, two offsets, two sizes.
pub const BOX_OUTPUTS: usize = 5;

/// A one-stage detector.
#[derive(Module, Debug)]
pub struct Detector {
    blocks: Vec<ConvBlock>,
    head: Conv2d,
}

impl Detector {
    pub fn new(num_classes: usize, device: &Device) -> Self {
        let blocks = vec![
            ConvBlock::new([3, 8], true, device),
            ConvBlock::new([8, 16], true, device),
            ConvBlock::new([16, 32], true, device),
            ConvBlock::new([32, 64], false, device),
        ];
        let outputs = ANCHORS.len() * (BOX_OUTPUTS + num_classes);
        let head = Conv2dConfig::new([64, outputs], [1, 1]).init(device);
        Self { blocks, head }
    }

    /// Predicts for every anchor of every cell.
    ///
    /// # Shapes
    /// - images: `[batch, 3, image_size, image_size]`
    /// - output: `[batch, anchors * grid * grid, 5 + classes]`, the anchors in the outermost,
    ///   the columns of the grid in the innermost loop
    pub fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        let mut features = images;
        for block in &self.blocks {
            features = block.forward(features);
        }
        let output = self.head.forward(features);

        let [batch_size, channels, height, width] = output.dims();
        let (anchors, cells) = (ANCHORS.len(), height * width);
        output.reshape([batch_size, anchors, channels / anchors, cells]).swap_dims(2, 3).reshape([
            batch_size,
            anchors * cells,
            channels / anchors,
        ])
    }
}

/// Convolution, batch normalisation, ReLU and, if asked for, pooling to half the size.
#[derive(Module, Debug)]
struct ConvBlock {
    conv: Conv2d,
    norm: BatchNorm,
    relu: Relu,
    pool: Option<MaxPool2d>,
}

impl ConvBlock {
    fn new(channels: [usize; 2], pooled: bool, device: &Device) -> Self {
        Self {
            conv: Conv2dConfig::new(channels, [3, 3])
                .with_padding(PaddingConfig2d::Same)
                .with_bias(false)
                .init(device),
            norm: BatchNormConfig::new(channels[1]).init(device),
            relu: Relu::new(),
            pool: pooled.then(|| MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init()),
        }
    }

    fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let output = self.conv.forward(input);
        let output = self.norm.forward(output);
        let output = self.relu.forward(output);
        match &self.pool {
            Some(pool) => pool.forward(output),
            None => output,
        }
    }
}
