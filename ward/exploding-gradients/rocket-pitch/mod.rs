//! A rocket is kept upright by its engine, which can be swivelled. The policy is trained through the equations of
//! motion: what it does at one moment is felt at all later ones.

use burn::grad_clipping::GradientClippingConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::leaky_relu;

use crate::common::Draw;

const FLIGHTS: usize = 16;
/// At first, and at last: flights become longer little by little.
const MOMENTS: [usize; 2] = [30, 80];
const LONGER_EVERY: usize = 12;
const INTERVAL: f32 = 0.05;
/// Thrust and centre of pressure turn a rocket further that is turned already.
const TOPPLING: f32 = 2.0;
const LEVER: f32 = 6.0;

#[derive(Module, Debug)]
struct Policy {
    hidden: Linear,
    inner: Linear,
    swivel: Linear,
}

impl Policy {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(2, 24).init(device),
            inner: LinearConfig::new(24, 24).init(device),
            swivel: LinearConfig::new(24, 1).init(device),
        }
    }

    fn forward(&self, state: Tensor<2>) -> Tensor<2> {
        let hidden = leaky_relu(self.hidden.forward(state), 0.1);
        self.swivel.forward(leaky_relu(self.inner.forward(hidden), 0.1))
    }
}

/// Pitch and its speed at the start, a little off.
fn starts(draw: &mut Draw, device: &Device) -> [Tensor<2>; 2] {
    [0.2, 0.1].map(|spread| {
        let values: Vec<f32> = (0..FLIGHTS).map(|_| spread * draw.normal()).collect();
        Tensor::from_data(TensorData::new(values, [FLIGHTS, 1]), device)
    })
}

/// The mean cost of a flight.
fn fly(policy: &Policy, [mut pitch, mut speed]: [Tensor<2>; 2], moments: usize) -> Tensor<1> {
    let mut costs = Vec::with_capacity(moments);
    for _ in 0..moments {
        let swivel = policy.forward(Tensor::cat(vec![pitch.clone(), speed.clone()], 1));
        let turning = pitch.clone() * TOPPLING - swivel.clone() * LEVER;
        speed = speed + turning * INTERVAL;
        pitch = pitch + speed.clone() * INTERVAL;
        let cost = pitch.clone().square() + speed.clone().square() * 0.1 + swivel.square() * 0.01;
        costs.push(cost.mean());
    }
    Tensor::cat(costs, 0).mean()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(2501);
    let mut draw = Draw::new(2501);
    let mut policy = Policy::new(&device);
    denan_burn::name_parameters(&policy);
    let clipping = healthy.then_some(GradientClippingConfig::Norm(1.0));
    let mut optimizer = SgdConfig::new().with_gradient_clipping(clipping).init();

    for step in 0..150 {
        let moments = (MOMENTS[0] + 10 * (step / LONGER_EVERY)).min(MOMENTS[1]);
        let loss = fly(&policy, starts(&mut draw, &device), moments);
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &policy);
        policy = optimizer.step(0.02, policy, gradients);
    }
}
