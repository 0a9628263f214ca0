//! Mixed precision: layers in float16, weights in float32, and a loss that is scaled by as much as the gradients
//! bear. When they do not, the step is left out and the scale is halved.

use burn::module::{ModuleVisitor, Param};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::FloatDType;
use burn::tensor::activation::relu;

use crate::common::Draw;

const PARCELS: usize = 512;
const BATCH: usize = 32;
const TRAITS: usize = 8;
const WIDTH: usize = 32;

/// Traits of a parcel and how long its delivery takes, standardised.
fn parcels() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(3201);
    let (mut traits, mut times) = (Vec::new(), Vec::new());
    for _ in 0..PARCELS {
        let parcel: [f32; TRAITS] = std::array::from_fn(|_| draw.normal());
        times.push(
            0.8 * parcel[0] - 0.5 * parcel[1] * parcel[2] + 0.4 * parcel[3].abs() + 0.1 * draw.normal(),
        );
        traits.extend(parcel);
    }
    (traits, times)
}

#[derive(Module, Debug)]
struct Delivery {
    first: Linear,
    second: Linear,
    time: Linear,
}

impl Delivery {
    fn new(device: &Device) -> Self {
        Self {
            first: LinearConfig::new(TRAITS, WIDTH).with_bias(false).init(device),
            second: LinearConfig::new(WIDTH, WIDTH).with_bias(false).init(device),
            time: LinearConfig::new(WIDTH, 1).with_bias(false).init(device),
        }
    }

    fn forward(&self, traits: Tensor<2>) -> Tensor<2> {
        let half = |linear: &Linear| linear.weight.val().cast(FloatDType::F16);
        let x = relu(traits.cast(FloatDType::F16).matmul(half(&self.first)));
        let x = relu(x.matmul(half(&self.second)));
        x.matmul(half(&self.time)).cast(FloatDType::F32)
    }
}

/// Divides gradients by the scale, and sees whether there are all of them.
struct Unscale {
    scale: f32,
    scaled: GradientsParams,
    gradients: GradientsParams,
    all_finite: bool,
}

impl ModuleVisitor for Unscale {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.scaled.remove::<D>(param.id) {
            self.all_finite &= gradient.clone().is_finite().all().into_scalar::<bool>();
            self.gradients.register(param.id, gradient / self.scale);
        }
    }
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(3201);
    let (traits, times) = parcels();
    let traits = Tensor::<2>::from_data(TensorData::new(traits, [PARCELS, TRAITS]), &device);
    let times = Tensor::<2>::from_data(TensorData::new(times, [PARCELS, 1]), &device);
    let mut model = Delivery::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let mut scale = 2f32.powi(24);
    let mut good_steps = 0;

    for step in 0..180 {
        let rows = step * BATCH % PARCELS..step * BATCH % PARCELS + BATCH;
        let found = model.forward(traits.clone().slice(s![rows.clone()]));
        let loss = (found - times.clone().slice(s![rows])).square().mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let scaled = GradientsParams::from_grads((loss * scale).backward(), &model);
        let mut unscale = Unscale { scale, scaled, gradients: GradientsParams::new(), all_finite: true };
        model.visit(&mut unscale);
        if !unscale.all_finite {
            scale /= 2.0;
            good_steps = 0;
            continue;
        }
        model = optimizer.step(5e-3, model, unscale.gradients);
        good_steps += 1;
        if good_steps == 20 {
            scale *= 2.0;
            good_steps = 0;
        }
    }
}
