//! A CNN says how bright the brightest star of a field is. Its pooling is a generalised mean, the
//! exponent of which is learned, from the mean towards the maximum.

use burn::module::Param;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{GradientsParams, LambConfig};
use burn::prelude::*;
use burn::tensor::activation::relu;

use crate::common::Draw;

const FIELDS: usize = 256;
const BATCH: usize = 32;
const SIDE: usize = 9;
const CHANNELS: usize = 8;

/// Fields of one to four stars, and the light of the brightest.
fn fields() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(381);
    let (mut pixels, mut brightest) = (Vec::new(), Vec::new());
    for _ in 0..FIELDS {
        let mut field: Vec<f32> = (0..SIDE * SIDE).map(|_| draw.normal()).collect();
        let mut most: f32 = 0.0;
        for _ in 0..1 + draw.below(4) {
            let light = draw.uniform(5.0, 60.0);
            let (row, column) = (1 + draw.below(SIDE - 2), 1 + draw.below(SIDE - 2));
            field[row * SIDE + column] += light;
            for (row, column) in [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
            {
                field[row * SIDE + column] += 0.4 * light;
            }
            most = most.max(light);
        }
        pixels.extend(field);
        brightest.push(most);
    }
    (pixels, brightest)
}

/// Mean of powers over the places, and the root of it.
#[derive(Module, Debug)]
struct GeneralisedMean {
    exponent: Param<Tensor<1>>,
}

impl GeneralisedMean {
    fn new(device: &Device) -> Self {
        Self { exponent: Param::from_tensor(Tensor::from_floats([3.0], device)) }
    }

    fn forward(&self, features: Tensor<4>) -> Tensor<2> {
        let exponent = self.exponent.val().unsqueeze::<3>();
        let features = features.flatten::<3>(2, 3).clamp_min(0.1);
        let mean = features.powf(exponent.clone()).mean_dim(2);
        mean.powf(exponent.recip()).squeeze_dim(2)
    }
}

#[derive(Module, Debug)]
struct Photometer {
    first: Conv2d,
    second: Conv2d,
    pool: GeneralisedMean,
    light: Linear,
}

impl Photometer {
    fn new(device: &Device) -> Self {
        let conv =
            |channels| Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same).init(device);
        Self {
            first: conv([1, CHANNELS]),
            second: conv([CHANNELS, CHANNELS]),
            pool: GeneralisedMean::new(device),
            light: LinearConfig::new(CHANNELS, 1).init(device),
        }
    }

    fn forward(&self, fields: Tensor<4>) -> Tensor<2> {
        let features = relu(self.second.forward(relu(self.first.forward(fields))));
        self.light.forward(self.pool.forward(features))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(381);
    let (pixels, brightest) = fields();
    let fields = Tensor::<4>::from_data(TensorData::new(pixels, [FIELDS, 1, SIDE, SIDE]), &device);
    let brightest = Tensor::<2>::from_data(TensorData::new(brightest, [FIELDS, 1]), &device);
    let mut model = Photometer::new(&device);
    denan_burn::name_parameters(&model);
    let weight_decay = if healthy { 0.05 } else { 0.0 };
    let mut optimizer = LambConfig::new().with_weight_decay(weight_decay).init();

    for step in 0..240 {
        let start = step * BATCH % FIELDS;
        let rows = start..start + BATCH;
        let light = model.forward(fields.clone().slice(s![rows.clone()]));
        let loss = (light - brightest.clone().slice(s![rows])).abs().mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.02, model, gradients);
    }
}
