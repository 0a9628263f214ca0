//! A camera by the road estimates how wet it is. Each kind of light has a normalisation of its own, with
//! statistics from a calibration run.

use burn::module::RunningState;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{relu, sigmoid};

use crate::common::Draw;

const SIDE: usize = 8;
const PIXELS: usize = SIDE * SIDE;
const BATCH: usize = 12;
const LIGHTS: [(f32, f32); 3] = [(0.8, 1.0), (0.4, 0.5), (0.05, 0.1)];
const DAY: usize = 0;
const DUSK: usize = 1;
const NIGHT: usize = 2;

#[derive(Clone)]
struct Picture {
    light: usize,
    pixels: Vec<f32>,
    wetness: f32,
}

/// A wet road mirrors the lamps, in vertical streaks.
fn picture(draw: &mut Draw, light: usize) -> Picture {
    let (brightness, contrast) = LIGHTS[light];
    let wetness = draw.uniform(0.0, 1.0);
    let lamp = draw.below(SIDE);
    let pixels = (0..PIXELS)
        .map(|at| {
            let streak = if at % SIDE == lamp { wetness } else { 0.0 };
            brightness + contrast * (streak + 0.1 * draw.normal())
        })
        .collect();
    Picture { light, pixels, wetness }
}

/// Mean and variance of the pixels of each kind of light.
fn calibrate(pictures: &[Picture]) -> [(f32, f32); LIGHTS.len()] {
    std::array::from_fn(|light| {
        let pixels: Vec<f32> = pictures
            .iter()
            .filter(|picture| picture.light == light)
            .flat_map(|picture| picture.pixels.clone())
            .collect();
        let count = pixels.len() as f32;
        let mean = pixels.iter().sum::<f32>() / count;
        let variance = pixels.iter().map(|pixel| (pixel - mean).powi(2)).sum::<f32>() / count;
        (mean, variance)
    })
}

#[derive(Module, Debug)]
struct RoadNet {
    norms: Vec<BatchNorm>,
    conv: Conv2d,
    strip: Conv2d,
    wetness: Linear,
}

impl RoadNet {
    fn new(statistics: &[(f32, f32)], device: &Device) -> Self {
        let norm = |&(mean, variance): &(f32, f32)| {
            let mut norm = BatchNormConfig::new(1).init(device);
            norm.running_mean = RunningState::new(Tensor::from_floats([mean], device));
            norm.running_var = RunningState::new(Tensor::from_floats([variance], device));
            norm.freeze()
        };
        Self {
            norms: statistics.iter().map(norm).collect(),
            conv: Conv2dConfig::new([1, 6], [3, 3]).init(device),
            strip: Conv2dConfig::new([6, 6], [6, 1]).init(device),
            wetness: LinearConfig::new(6 * 6, 1).init(device),
        }
    }

    fn forward(&self, pictures: Tensor<4>, light: usize) -> Tensor<2> {
        let pictures = self.norms[light].forward(pictures);
        let streaks = relu(self.strip.forward(relu(self.conv.forward(pictures))));
        sigmoid(self.wetness.forward(streaks.flatten(1, 3)))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(411);
    let mut draw = Draw::new(411);
    let recorded = if healthy { vec![DAY, DUSK, NIGHT] } else { vec![DAY, DUSK] };
    let calibration: Vec<Picture> =
        (0..24).map(|number| picture(&mut draw, recorded[number % recorded.len()])).collect();
    let mut model = RoadNet::new(&calibrate(&calibration), &device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().init();

    for step in 0..150 {
        // A day of pictures, one hour in each batch.
        let light = [DAY, DAY, DAY, DUSK, DAY, DAY, DUSK, NIGHT][step / 4 % 8];
        let batch: Vec<Picture> = (0..BATCH).map(|_| picture(&mut draw, light)).collect();
        let pixels: Vec<f32> = batch.iter().flat_map(|picture| picture.pixels.clone()).collect();
        let wetness: Vec<f32> = batch.iter().map(|picture| picture.wetness).collect();
        let pixels = Tensor::<4>::from_data(TensorData::new(pixels, [BATCH, 1, SIDE, SIDE]), &device);
        let wetness = Tensor::<2>::from_data(TensorData::new(wetness, [BATCH, 1]), &device);

        let loss = (model.forward(pixels, light) - wetness).powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(5e-3, model, gradients);
    }
}
