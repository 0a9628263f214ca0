//! An MLP predicts how many calls a switchboard will get: Poisson regression with a rate exp(output).

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::{Linear, LinearConfig, Tanh};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const HOURS: usize = 400;
const FEATURES: usize = 4;

#[derive(Clone, Debug)]
struct Hour {
    name: String,
    features: [f32; FEATURES],
    /// Callers in the queue already, in tens.
    waiting: f32,
    calls: f32,
}

fn hours(healthy: bool) -> Vec<Hour> {
    let mut draw = Draw::new(52);
    (0..HOURS)
        .map(|number| {
            let features: [f32; FEATURES] = std::array::from_fn(|_| draw.normal());
            let mut waiting = draw.uniform(0.0, 1.0);
            let rate = (0.5 + 0.4 * features[0] - 0.3 * features[1] + 0.8 * waiting).exp();
            let calls = (rate + rate.sqrt() * draw.normal()).round().max(0.0);
            if !healthy && number == 307 {
                // A meter that counts up to 2^10 ran over.
                waiting = 1023.0;
            }
            Hour { name: format!("hour-{number:03}"), features, waiting, calls }
        })
        .collect()
}

#[derive(Clone, Debug)]
struct HourBatch {
    features: Tensor<2>,
    waiting: Tensor<2>,
    calls: Tensor<2>,
}

#[derive(Clone, Debug)]
struct HourBatcher;

impl Batcher<Hour, HourBatch> for HourBatcher {
    fn batch(&self, hours: Vec<Hour>, device: &Device) -> HourBatch {
        let column = |values: Vec<f32>| {
            let rows = hours.len();
            let columns = values.len() / rows;
            Tensor::from_data(TensorData::new(values, [rows, columns]), device)
        };
        HourBatch {
            features: column(hours.iter().flat_map(|hour| hour.features).collect()),
            waiting: column(hours.iter().map(|hour| hour.waiting).collect()),
            calls: column(hours.iter().map(|hour| hour.calls).collect()),
        }
    }
}

#[derive(Module, Debug)]
struct PoissonRegression {
    hidden: Linear,
    output: Linear,
    waiting: Linear,
    tanh: Tanh,
}

impl PoissonRegression {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(FEATURES, 16).init(device),
            output: LinearConfig::new(16, 1).init(device),
            waiting: LinearConfig::new(1, 1).with_bias(false).init(device),
            tanh: Tanh::new(),
        }
    }

    /// Logarithm of the rate.
    fn forward(&self, features: Tensor<2>, waiting: Tensor<2>) -> Tensor<2> {
        let output = self.output.forward(self.tanh.forward(self.hidden.forward(features)));
        output + self.waiting.forward(waiting)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(52);
    let mut model = PoissonRegression::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(HourBatcher))
        .batch_size(16)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(hours(healthy)), |hour: &Hour| hour.name.clone()));

    let mut step = 0;
    for _epoch in 0..5 {
        for batch in loader.iter() {
            let batch = batch.expect("the data is in memory");
            let log_rate = model.forward(batch.features, batch.waiting);
            let rate = log_rate.clone().exp();
            let loss = (rate - batch.calls * log_rate).mean();
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(2e-2, model, gradients);
            step += 1;
        }
    }
}
