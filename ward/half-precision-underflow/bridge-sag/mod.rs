//! How far a bridge sags under the next trucks, in metres; each layer has a rate of its own (LARS).

use burn::module::{ModuleVisitor, Param};
use burn::nn::gru::{Gru, GruConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::lr_scheduler::exponential::ExponentialLrSchedulerConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::FloatDType;

use crate::common::Draw;

const CROSSINGS: usize = 384;
const BATCH: usize = 128;
const AXLES: usize = 6;
const GAUGES: usize = 16;
const CENTIMETRE: f32 = 0.01;

/// Loads of the axles of a truck, and what the gauges along the bridge say.
fn crossings() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(1307);
    let (mut loads, mut sags) = (Vec::new(), Vec::new());
    for _ in 0..CROSSINGS {
        let axles: [f32; AXLES] = std::array::from_fn(|_| draw.uniform(0.2, 1.0));
        for gauge in 0..GAUGES {
            let place = gauge as f32 / (GAUGES - 1) as f32 * std::f32::consts::PI;
            let weight: f32 = axles.iter().zip(1..).map(|(load, axle)| load * axle as f32 / 21.0).sum();
            sags.push(CENTIMETRE * weight * (0.4 + place.sin()));
        }
        loads.extend(axles);
    }
    (loads, sags)
}

#[derive(Module, Debug)]
struct Bridge {
    gru: Gru,
    gauges: Linear,
}

impl Bridge {
    /// Sag at each gauge, in centimetres.
    fn forward(&self, loads: Tensor<3>) -> Tensor<2> {
        let states = self.gru.forward(loads, None);
        self.gauges.forward(states.slice(s![.., -1..]).squeeze_dim::<2>(1))
    }
}

/// Layer-wise adaptive rate scaling (You et al. 2017): every weight moves by a share of its length.
struct Lars<'a> {
    gradients: &'a mut GradientsParams,
}

impl ModuleVisitor for Lars<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // Biases begin at 0 and take the gradient as it is.
        if D == 1 {
            return;
        }
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            let weight_norm = param.val().inner().powi_scalar(2).sum().sqrt();
            let gradient_norm = gradient.clone().powi_scalar(2).sum().sqrt();
            let trust = weight_norm / gradient_norm;
            self.gradients.register(param.id, gradient * trust.reshape([1; D]));
        }
    }
}

pub fn train(healthy: bool) {
    let precision = if healthy { FloatDType::F32 } else { FloatDType::F16 };
    let device = Device::default().autodiff();
    device.seed(1307);
    let (loads, sags) = crossings();
    let loads = Tensor::<3>::from_data(TensorData::new(loads, [CROSSINGS, AXLES, 1]), &device);
    let sags = Tensor::<2>::from_data(TensorData::new(sags, [CROSSINGS, GAUGES]), &device);
    let mut model = Bridge {
        gru: GruConfig::new(1, 12, true).init(&device),
        gauges: LinearConfig::new(12, GAUGES).init(&device),
    };
    denan_burn::name_parameters(&model);
    let mut optimizer = SgdConfig::new().init();
    let mut schedule = ExponentialLrSchedulerConfig::new(0.05, 0.98).init().expect("a valid schedule");

    for step in 0..150 {
        let start = step * BATCH % CROSSINGS;
        let rows = s![start..start + BATCH];
        let sag = model.forward(loads.clone().slice(rows)).cast(precision) * CENTIMETRE;
        let error = sag - sags.clone().slice(rows).cast(precision);
        let loss = (error.clone() * error).mean().cast(FloatDType::F32);
        if step % 10 == 0 {
            println!("step {step} loss {:.3e}", loss.clone().into_scalar::<f32>());
        }
        let mut gradients = GradientsParams::from_grads(loss.backward(), &model);
        model.visit(&mut Lars { gradients: &mut gradients });
        model = optimizer.step(schedule.step(), model, gradients);
    }
}
