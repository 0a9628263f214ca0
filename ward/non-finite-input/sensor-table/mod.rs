//! An MLP learns the wear of a machine from a table of sensor readings; one reading is NaN.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const READINGS: usize = 512;
const SENSORS: usize = 6;

#[derive(Clone, Debug)]
struct Reading {
    name: String,
    sensors: [f32; SENSORS],
    wear: f32,
}

fn readings(healthy: bool) -> Vec<Reading> {
    let mut draw = Draw::new(11);
    let mut readings: Vec<Reading> = (0..READINGS)
        .map(|number| {
            let mut sensors = [0.0; SENSORS];
            sensors.fill_with(|| draw.normal());
            let wear = 0.8 * sensors[0] - 0.5 * sensors[2] * sensors[3] + 0.1 * draw.normal();
            Reading { name: format!("reading-{number:04}"), sensors, wear }
        })
        .collect();
    if !healthy {
        // The cable of the third sensor was loose.
        readings[338].sensors[2] = f32::NAN;
    }
    readings
}

#[derive(Clone, Debug)]
struct ReadingBatch {
    sensors: Tensor<2>,
    wear: Tensor<2>,
}

#[derive(Clone, Debug)]
struct ReadingBatcher;

impl Batcher<Reading, ReadingBatch> for ReadingBatcher {
    fn batch(&self, readings: Vec<Reading>, device: &Device) -> ReadingBatch {
        let rows = readings.len();
        let sensors: Vec<f32> = readings.iter().flat_map(|reading| reading.sensors).collect();
        let wear: Vec<f32> = readings.iter().map(|reading| reading.wear).collect();
        ReadingBatch {
            sensors: Tensor::from_data(TensorData::new(sensors, [rows, SENSORS]), device),
            wear: Tensor::from_data(TensorData::new(wear, [rows, 1]), device),
        }
    }
}

#[derive(Module, Debug)]
struct Mlp {
    hidden: Linear,
    output: Linear,
    relu: Relu,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(SENSORS, 32).init(device),
            output: LinearConfig::new(32, 1).init(device),
            relu: Relu::new(),
        }
    }

    fn forward(&self, sensors: Tensor<2>) -> Tensor<2> {
        self.output.forward(self.relu.forward(self.hidden.forward(sensors)))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(11);
    let mut model = Mlp::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(ReadingBatcher))
        .batch_size(16)
        .shuffle(11)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(readings(healthy)), |reading: &Reading| reading.name.clone()));

    let mut step = 0;
    for _epoch in 0..4 {
        for batch in loader.iter() {
            let batch = batch.expect("the data is in memory");
            let prediction = model.forward(batch.sensors);
            let loss = MseLoss::new().forward(prediction, batch.wear, Reduction::Mean);
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(1e-2, model, gradients);
            step += 1;
        }
    }
}
