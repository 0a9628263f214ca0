//! How fast one drives on which kind of road, learned from the lengths of legs; the arithmetic is in float16.

use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::FloatDType;
use burn::tensor::activation::{relu, softplus};

use crate::common::Draw;

const LEGS: usize = 480;
const BATCH: usize = 16;
const ROADS: usize = 6;
const HOURS: usize = 24;

struct Legs {
    road_and_hour: Tensor<2, Int>,
    seconds: Tensor<2>,
    metres: Tensor<2>,
}

fn legs(device: &Device) -> Legs {
    let mut draw = Draw::new(1201);
    let mut road_and_hour = Vec::with_capacity(2 * LEGS);
    let mut seconds = Vec::with_capacity(LEGS);
    let mut metres = Vec::with_capacity(LEGS);
    for leg in 0..LEGS {
        let road = draw.below(ROADS);
        let hour = draw.below(HOURS);
        let is_busy = (7..10).contains(&hour) || (16..19).contains(&hour);
        let speed = (6.0 + 5.0 * road as f32) * if is_busy { 0.7 } else { 1.0 };
        // Longer journeys are at the end of the file.
        let minutes = if leg < 300 { draw.uniform(3.0, 25.0) } else { draw.uniform(3.0, 75.0) };
        road_and_hour.extend([road as i64, (ROADS + hour) as i64]);
        seconds.push(60.0 * minutes);
        metres.push(60.0 * minutes * speed * (1.0 + 0.05 * draw.normal()));
    }
    Legs {
        road_and_hour: Tensor::from_data(TensorData::new(road_and_hour, [LEGS, 2]), device),
        seconds: Tensor::from_data(TensorData::new(seconds, [LEGS, 1]), device),
        metres: Tensor::from_data(TensorData::new(metres, [LEGS, 1]), device),
    }
}

#[derive(Module, Debug)]
struct SpeedModel {
    embedding: Embedding,
    hidden: Linear,
    output: Linear,
}

impl SpeedModel {
    fn new(device: &Device) -> Self {
        Self {
            embedding: EmbeddingConfig::new(ROADS + HOURS, 8).init(device),
            hidden: LinearConfig::new(16, 16).init(device),
            output: LinearConfig::new(16, 1).init(device),
        }
    }

    /// Metres a second.
    fn forward(&self, road_and_hour: Tensor<2, Int>) -> Tensor<2> {
        let features = self.embedding.forward(road_and_hour).flatten::<2>(1, 2);
        softplus(self.output.forward(relu(self.hidden.forward(features))), 1.0) * 16.0
    }
}

pub fn train(healthy: bool) {
    let precision = if healthy { FloatDType::F32 } else { FloatDType::F16 };
    let device = Device::default().autodiff();
    device.seed(1201);
    let legs = legs(&device);
    let mut model = SpeedModel::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..150 {
        let start = step * BATCH % LEGS;
        let rows = s![start..start + BATCH];
        let speed = model.forward(legs.road_and_hour.clone().slice(rows)).cast(precision);
        let seconds = legs.seconds.clone().slice(rows).cast(precision);
        let driven = (speed * seconds).cast(FloatDType::F32);
        let off = driven.log() - legs.metres.clone().slice(rows).log();
        let loss = off.powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(5e-3, model, gradients);
    }
}
