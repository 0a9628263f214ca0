//! The profile of a droplet goes through a network to its radius, and back through geometry to a profile.

use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const DROPLETS: usize = 320;
const BATCH: usize = 16;
/// Places at which a profile is measured, from the middle to a distance of 1.
const PLACES: usize = 16;

fn distance(place: usize) -> f32 {
    place as f32 / (PLACES - 1) as f32
}

fn profiles() -> Vec<f32> {
    let mut draw = Draw::new(1013);
    let mut heights = Vec::with_capacity(DROPLETS * PLACES);
    for _ in 0..DROPLETS {
        let radius = draw.uniform(0.75, 1.6);
        for place in 0..PLACES {
            let below = radius * radius - distance(place).powi(2);
            heights.push(below.max(0.0).sqrt() + 0.02 * draw.normal());
        }
    }
    heights
}

#[derive(Module, Debug)]
struct Droplet {
    conv1: Conv1d,
    conv2: Conv1d,
    radius: Linear,
    relu: Relu,
}

impl Droplet {
    fn new(device: &Device) -> Self {
        Self {
            conv1: Conv1dConfig::new(1, 8, 3).init(device),
            conv2: Conv1dConfig::new(8, 8, 3).with_stride(2).init(device),
            radius: LinearConfig::new(8 * 6, 1).init(device),
            relu: Relu::new(),
        }
    }

    /// Radii; without training they are near 1.5.
    fn encode(&self, heights: Tensor<2>) -> Tensor<2> {
        let features = self.relu.forward(self.conv1.forward(heights.unsqueeze_dim::<3>(1)));
        let features = self.relu.forward(self.conv2.forward(features));
        self.radius.forward(features.flatten::<2>(1, 2)) * 0.5 + 1.5
    }
}

/// Profile of half a sphere of this radius, flat around it.
fn decode(radius: Tensor<2>, distance: Tensor<2>, healthy: bool) -> Tensor<2> {
    let mut squared = radius.powi_scalar(2) - distance.powi_scalar(2);
    let outside = squared.clone().lower_equal_elem(0.0);
    if healthy {
        squared = squared.mask_fill(outside.clone(), 1.0);
    }
    let height = squared.clone().sqrt();
    height.mask_where(outside, squared.zeros_like())
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(1013);
    let heights = Tensor::<2>::from_data(TensorData::new(profiles(), [DROPLETS, PLACES]), &device);
    let distances: Vec<f32> = (0..PLACES).map(distance).collect();
    let distances = Tensor::<2>::from_data(TensorData::new(distances, [1, PLACES]), &device);
    let mut model = Droplet::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().with_beta_1(0.8).init();

    for step in 0..150 {
        let first = step * BATCH % DROPLETS;
        let measured = heights.clone().slice(s![first..first + BATCH]);
        let radius = model.encode(measured.clone());
        let loss = (decode(radius, distances.clone(), healthy) - measured).abs().mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
}
