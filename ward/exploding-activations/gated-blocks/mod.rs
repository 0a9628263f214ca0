//! Blocks of two branches that are multiplied predict how much power a wind turbine gives.

use burn::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const RECORDS: usize = 640;
const BATCH: usize = 32;
const SENSORS: usize = 6;
const WIDTH: usize = 24;
const DEPTH: usize = 16;

/// Standardised readings of the sensors and the power.
fn records() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(311);
    let (mut readings, mut powers) = (Vec::new(), Vec::new());
    for _ in 0..RECORDS {
        let wind = draw.normal();
        let pitch = 0.5 * wind + 0.8 * draw.normal();
        let density = draw.normal();
        let others = [draw.normal(), draw.normal(), draw.normal()];
        readings.extend([wind, pitch, density, others[0], others[1], others[2]]);
        powers.push((1.5 * wind + 0.3 * density).tanh() * (1.0 - 0.3 * pitch * pitch) + 0.05 * others[1]);
    }
    (readings, powers)
}

/// `x + down(gate(x) * value(x))`
#[derive(Module, Debug)]
struct GatedBlock {
    norm: Option<LayerNorm>,
    gate: Linear,
    value: Linear,
    down: Linear,
}

impl GatedBlock {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let input = match &self.norm {
            Some(norm) => norm.forward(x.clone()),
            None => x.clone(),
        };
        let gated = self.gate.forward(input.clone()) * self.value.forward(input);
        x + self.down.forward(gated)
    }
}

#[derive(Module, Debug)]
struct PowerNet {
    embed: Linear,
    blocks: Vec<GatedBlock>,
    power: Linear,
}

impl PowerNet {
    fn new(device: &Device, with_norm: bool) -> Self {
        let block = || GatedBlock {
            norm: with_norm.then(|| LayerNormConfig::new(WIDTH).init(device)),
            gate: LinearConfig::new(WIDTH, 2 * WIDTH).init(device),
            value: LinearConfig::new(WIDTH, 2 * WIDTH).init(device),
            down: LinearConfig::new(2 * WIDTH, WIDTH).init(device),
        };
        Self {
            embed: LinearConfig::new(SENSORS, WIDTH).init(device),
            blocks: (0..DEPTH).map(|_| block()).collect(),
            power: LinearConfig::new(WIDTH, 1).init(device),
        }
    }

    fn forward(&self, readings: Tensor<2>) -> Tensor<2> {
        let mut x = self.embed.forward(readings);
        for block in &self.blocks {
            x = block.forward(x);
        }
        self.power.forward(x)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(311);
    let (readings, powers) = records();
    let readings = Tensor::<2>::from_data(TensorData::new(readings, [RECORDS, SENSORS]), &device);
    let powers = Tensor::<2>::from_data(TensorData::new(powers, [RECORDS, 1]), &device);
    let mut model = PowerNet::new(&device, healthy);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().init();

    for step in 0..160 {
        let rows = step * BATCH % RECORDS..step * BATCH % RECORDS + BATCH;
        let output = model.forward(readings.clone().slice(s![rows.clone()]));
        let loss = (output - powers.clone().slice(s![rows])).abs().mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(3e-3, model, gradients);
    }
}
