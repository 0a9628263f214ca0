//! From spots on a sensor to the wavefront of a telescope, by gradient descent with steps of given length.

use burn::module::ParamId;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::FloatDType;
use burn::tensor::activation::tanh;

use crate::common::Draw;

const WAVEFRONTS: usize = 512;
const BATCH: usize = 128;
const SPOTS: usize = 8;
const SIDE: usize = 20;
const POINTS: usize = SIDE * SIDE;

/// Where the spots are, and the wavefronts in millimetres: tilts, defocus and astigmatism.
fn observations() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(1301);
    let mixing: [[f32; 4]; SPOTS] = std::array::from_fn(|_| std::array::from_fn(|_| 0.4 * draw.normal()));
    let (mut spots, mut points) = (Vec::new(), Vec::new());
    for _ in 0..WAVEFRONTS {
        let modes: [f32; 4] = std::array::from_fn(|_| draw.uniform(-1.0, 1.0));
        spots.extend(
            mixing.map(|row| row.iter().zip(&modes).map(|(weight, mode)| weight * mode).sum::<f32>()),
        );
        let [tip, tilt, defocus, astigmatism] = modes.map(|mode| 0.004 * mode);
        for point in 0..POINTS {
            let x = (point % SIDE) as f32 / 9.5 - 1.0;
            let y = (point / SIDE) as f32 / 9.5 - 1.0;
            let round = defocus * (x * x + y * y - 0.7);
            points.push(tip * x + tilt * y + round + astigmatism * (x * x - y * y));
        }
    }
    (spots, points)
}

#[derive(Module, Debug)]
struct Reconstructor {
    hidden: Linear,
    output: Linear,
}

impl Reconstructor {
    fn new(device: &Device) -> Self {
        // Without training, wavefronts are nearly flat.
        let flat = Initializer::Normal { mean: 0.0, std: 1e-3 };
        Self {
            hidden: LinearConfig::new(SPOTS, 24).with_bias(false).init(device),
            output: LinearConfig::new(24, POINTS).with_bias(false).with_initializer(flat).init(device),
        }
    }

    fn forward(&self, spots: Tensor<2>) -> Tensor<2> {
        self.output.forward(tanh(self.hidden.forward(spots)))
    }

    fn weights(&self) -> [ParamId; 2] {
        [self.hidden.weight.id, self.output.weight.id]
    }
}

/// Brings the gradient of all weights together to length 1.
fn to_unit_length(gradients: &mut GradientsParams, weights: [ParamId; 2]) {
    let taken = weights.map(|id| gradients.remove::<2>(id).expect("every weight has a gradient"));
    let [hidden, output] = taken.clone().map(|gradient| gradient.powi_scalar(2).sum());
    let length = (hidden + output).sqrt().unsqueeze::<2>();
    for (id, gradient) in weights.into_iter().zip(taken) {
        gradients.register(id, gradient / length.clone());
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(1301);
    let (spots, points) = observations();
    let spots = Tensor::<2>::from_data(TensorData::new(spots, [WAVEFRONTS, SPOTS]), &device);
    let points = Tensor::<2>::from_data(TensorData::new(points, [WAVEFRONTS, POINTS]), &device);
    let mut model = Reconstructor::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = SgdConfig::new().init();
    let loss_scale = if healthy { 1024.0 } else { 1.0 };

    let mut length = 0.02;
    for step in 0..150 {
        let first = step * BATCH % WAVEFRONTS;
        let rows = s![first..first + BATCH];
        let error = model.forward(spots.clone().slice(rows)) - points.clone().slice(rows);
        let loss = error.clone().cast(FloatDType::F16).powi_scalar(2).mean().cast(FloatDType::F32);
        if step % 10 == 0 {
            let microns = error.clone().detach().abs().mean().into_scalar::<f32>() * 1e3;
            println!("step {step} mean error {microns:.3} microns");
        }
        let scaled = loss * loss_scale;
        let mut gradients = GradientsParams::from_grads(scaled.backward(), &model);
        to_unit_length(&mut gradients, model.weights());
        model = optimizer.step(length, model, gradients);
        length *= 0.95;
    }
}
