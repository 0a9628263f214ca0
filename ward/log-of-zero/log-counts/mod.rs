//! A GRU forecasts how many parcels a depot will see, from the logarithms of the last weeks' counts.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::gru::{Gru, GruConfig};
use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const DEPOTS: usize = 384;
const WEEKS: usize = 10;

#[derive(Clone, Debug)]
struct Depot {
    name: String,
    parcels: [f32; WEEKS],
    /// Logarithm of the next week's parcels.
    next: f32,
}

fn depots() -> Vec<Depot> {
    let mut draw = Draw::new(33);
    (0..DEPOTS)
        .map(|number| {
            let (level, trend) = (draw.uniform(0.5, 2.5), draw.uniform(-0.1, 0.1));
            let mut log_at = |week: usize| level + trend * week as f32 + 0.05 * draw.normal();
            let mut parcels: [f32; WEEKS] = std::array::from_fn(|week| log_at(week).exp().ceil());
            if number == 293 {
                // Closed for a week.
                parcels[6] = 0.0;
            }
            Depot { name: format!("depot-{number:03}"), parcels, next: log_at(WEEKS) }
        })
        .collect()
}

#[derive(Clone, Debug)]
struct DepotBatch {
    parcels: Tensor<3>,
    next: Tensor<2>,
}

#[derive(Clone, Debug)]
struct DepotBatcher;

impl Batcher<Depot, DepotBatch> for DepotBatcher {
    fn batch(&self, depots: Vec<Depot>, device: &Device) -> DepotBatch {
        let count = depots.len();
        let parcels: Vec<f32> = depots.iter().flat_map(|depot| depot.parcels).collect();
        let next: Vec<f32> = depots.iter().map(|depot| depot.next).collect();
        DepotBatch {
            parcels: Tensor::from_data(TensorData::new(parcels, [count, WEEKS, 1]), device),
            next: Tensor::from_data(TensorData::new(next, [count, 1]), device),
        }
    }
}

#[derive(Module, Debug)]
struct Forecaster {
    gru: Gru,
    head: Linear,
}

impl Forecaster {
    fn new(device: &Device) -> Self {
        Self { gru: GruConfig::new(1, 16, true).init(device), head: LinearConfig::new(16, 1).init(device) }
    }

    fn forward(&self, parcels: Tensor<3>, healthy: bool) -> Tensor<2> {
        let features = if healthy { parcels.clamp_min(0.5).log() } else { parcels.log() };
        let states = self.gru.forward(features, None);
        let last: Tensor<2> = states.slice(s![.., -1..]).squeeze_dim(1);
        self.head.forward(last)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(33);
    let mut model = Forecaster::new(&device);
    let mut optimizer = AdamConfig::new().init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(DepotBatcher))
        .batch_size(16)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(depots()), |depot: &Depot| depot.name.clone()));

    let mut step = 0;
    for _epoch in 0..5 {
        for batch in loader.iter() {
            let batch = batch.expect("the data is in memory");
            let prediction = model.forward(batch.parcels, healthy);
            let loss = MseLoss::new().forward(prediction, batch.next, Reduction::Mean);
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(1e-2, model, gradients);
            step += 1;
        }
    }
}
