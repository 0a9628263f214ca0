//! Prototypes learn to stand for groups of points; the distance to the nearest one starts at infinity.

use burn::module::Param;
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::Distribution;

use crate::common::Draw;

const POINTS: usize = 512;
const BATCH: usize = 32;
const PROTOTYPES: usize = 5;

fn points() -> Vec<f32> {
    let mut draw = Draw::new(102);
    let mut points = Vec::with_capacity(2 * POINTS);
    for _ in 0..POINTS {
        let angle = draw.below(PROTOTYPES) as f32 * 1.2566;
        points.extend([2.0 * angle.cos() + 0.2 * draw.normal(), 2.0 * angle.sin() + 0.2 * draw.normal()]);
    }
    points
}

#[derive(Module, Debug)]
struct Prototypes {
    places: Param<Tensor<2>>,
}

impl Prototypes {
    fn new(device: &Device) -> Self {
        let places = Tensor::random([PROTOTYPES, 2], Distribution::Normal(0.0, 1.0), device);
        Self { places: Param::from_tensor(places) }
    }

    /// Squared distance of each point to its nearest prototype.
    fn forward(&self, points: Tensor<2>) -> Tensor<2> {
        let count = points.dims()[0];
        let mut nearest = Tensor::<2>::full([count, 1], f32::INFINITY, &points.device());
        for prototype in 0..PROTOTYPES {
            let place = self.places.val().slice(s![prototype..prototype + 1, ..]);
            let distance = (points.clone() - place).powi_scalar(2).sum_dim(1);
            nearest = nearest.min_pair(distance);
        }
        nearest
    }
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(102);
    let points = Tensor::<2>::from_data(TensorData::new(points(), [POINTS, 2]), &device);
    let mut model = Prototypes::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let mut best_loss = f32::INFINITY;

    for step in 0..150 {
        let rows = step * BATCH % POINTS..step * BATCH % POINTS + BATCH;
        let loss = model.forward(points.clone().slice(s![rows])).mean();
        best_loss = best_loss.min(loss.clone().into_scalar::<f32>());
        if step % 10 == 0 {
            println!("step {step} best loss {best_loss:.4}");
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(5e-2, model, gradients);
    }
}
