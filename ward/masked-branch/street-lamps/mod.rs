//! A film of a street at night becomes a neural field: from a place in the picture to its colour under full
//! light, which the dimmer of the lamps then scales. Each step takes one picture of the film. Colours are
//! compared in the CIELAB space, in which equal distances look equal.

use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{silu, softplus};

use crate::common::Draw;

const SIDE: usize = 20;
const PIXELS: usize = SIDE * SIDE;
const BATCH: usize = 100;
/// One for every ten minutes of a night.
const PICTURES: usize = 60;
const OCTAVES: usize = 3;
const WIDTH: usize = 32;
/// From linear red, green and blue to X, Y and Z, as shares of the white of daylight.
const TO_XYZ: [f32; 9] = [0.4339, 0.2126, 0.0177, 0.3762, 0.7152, 0.1095, 0.1899, 0.0722, 0.8728];

/// What the town has set the lamps to.
fn dimmer(picture: usize) -> f32 {
    match picture {
        0..18 | 48.. => 1.0,
        18..37 => 0.6,
        // Off for half an hour, and then for the first to go to work.
        37..40 => 0.0,
        40..48 => 0.8,
    }
}

/// Sines and cosines of every place, and its colour under full light.
fn street() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(4507);
    let lamps = [[-0.5, -0.2], [0.1, -0.3], [0.7, -0.1]];
    let (mut places, mut colours) = (Vec::new(), Vec::new());
    for pixel in 0..PIXELS {
        let x = (pixel % SIDE) as f32 / SIDE as f32 * 2.0 - 1.0;
        let y = (pixel / SIDE) as f32 / SIDE as f32 * 2.0 - 1.0;
        for octave in 0..OCTAVES {
            let wave = (1 << octave) as f32 * std::f32::consts::FRAC_PI_2;
            places.extend([(wave * x).sin(), (wave * x).cos(), (wave * y).sin(), (wave * y).cos()]);
        }
        let glow: f32 =
            lamps.iter().map(|[left, top]| (-((x - left).powi(2) + (y - top).powi(2)) / 0.05).exp()).sum();
        let asphalt = if y > 0.3 { 0.15 + 0.1 * (y - 0.3) } else { 0.0 };
        let grain = 1.0 + 0.05 * draw.normal();
        colours.extend(
            [0.9 * glow + asphalt, 0.6 * glow + asphalt, 0.2 * glow + 1.2 * asphalt].map(|c| c * grain),
        );
    }
    (places, colours)
}

/// CIE 1976: a cube root, and a straight line near black, where the root is too steep.
fn companded(light: Tensor<2>, healthy: bool) -> Tensor<2> {
    let is_dark = light.clone().lower_equal_elem(0.008856);
    let line = light.clone() * 7.787 + 16.0 / 116.0;
    let light = if healthy { light.mask_fill(is_dark.clone(), 1.0) } else { light };
    let root = light.powf_scalar(1.0 / 3.0);
    root.mask_where(is_dark, line)
}

/// Lightness and the two axes of colour, in hundredths.
fn to_lab(linear_rgb: Tensor<2>, healthy: bool) -> Tensor<2> {
    let matrix = Tensor::<1>::from_floats(TO_XYZ, &linear_rgb.device()).reshape([3, 3]);
    let companded = companded(linear_rgb.matmul(matrix), healthy);
    let axis = |index: usize| companded.clone().slice(s![.., index..index + 1]);
    let lightness = axis(1) * 1.16 - 0.16;
    let green_red = (axis(0) - axis(1)) * 5.0;
    let blue_yellow = (axis(1) - axis(2)) * 2.0;
    Tensor::cat(vec![lightness, green_red, blue_yellow], 1)
}

#[derive(Module, Debug)]
struct Field {
    first: Linear,
    second: Linear,
    colour: Linear,
}

impl Field {
    fn new(device: &Device) -> Self {
        Self {
            first: LinearConfig::new(4 * OCTAVES, WIDTH).init(device),
            second: LinearConfig::new(WIDTH, WIDTH).init(device),
            colour: LinearConfig::new(WIDTH, 3).init(device),
        }
    }

    /// Linear colours.
    fn forward(&self, places: Tensor<2>) -> Tensor<2> {
        let hidden = silu(self.second.forward(silu(self.first.forward(places))));
        softplus(self.colour.forward(hidden), 2.0)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(4507);
    let (places, colours) = street();
    let places = Tensor::<2>::from_data(TensorData::new(places, [PIXELS, 4 * OCTAVES]), &device);
    let colours = Tensor::<2>::from_data(TensorData::new(colours, [PIXELS, 3]), &device);
    let mut field = Field::new(&device);
    denan_burn::name_parameters(&field);
    let mut optimizer = AdamConfig::new().init();
    let mut draw = Draw::new(4508);

    for step in 0..160 {
        let pixels: Vec<i64> = (0..BATCH).map(|_| draw.below(PIXELS) as i64).collect();
        let pixels = Tensor::<1, Int>::from_ints(pixels.as_slice(), &device);
        let light = dimmer(step % PICTURES);
        let predicted = to_lab(field.forward(places.clone().select(0, pixels.clone())) * light, healthy);
        let filmed = to_lab(colours.clone().select(0, pixels) * light, healthy);
        let loss = (predicted - filmed).powi_scalar(2).sum_dim(1).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.5}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &field);
        field = optimizer.step(5e-3, field, gradients);
    }
}
