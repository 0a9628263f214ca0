//! A GRU forecasts the load of a power line; two of the stored days have gaps, written as NaN.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::gru::{Gru, GruConfig};
use burn::nn::loss::HuberLossConfig;
use burn::nn::loss::Reduction;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const DAYS: usize = 384;
const HOURS: usize = 12;

#[derive(Clone, Debug)]
struct Day {
    date: String,
    load: [f32; HOURS],
    next: f32,
}

fn days(healthy: bool) -> Vec<Day> {
    let mut draw = Draw::new(13);
    let mut days: Vec<Day> = (0..DAYS)
        .map(|number| {
            let (start, level) = (draw.uniform(0.0, std::f32::consts::TAU), draw.uniform(-0.5, 0.5));
            let mut at = |hour: usize| (start + 0.5 * hour as f32).sin() + level + 0.05 * draw.normal();
            let mut load = [0.0; HOURS];
            for (hour, value) in load.iter_mut().enumerate() {
                *value = at(hour);
            }
            Day { date: format!("day-{number:03}"), load, next: at(HOURS) }
        })
        .collect();
    if !healthy {
        days[150].load[4..7].fill(f32::NAN);
        days[297].load[0] = f32::NAN;
    }
    days
}

#[derive(Clone, Debug)]
struct DayBatch {
    load: Tensor<3>,
    next: Tensor<2>,
}

#[derive(Clone, Debug)]
struct DayBatcher;

impl Batcher<Day, DayBatch> for DayBatcher {
    fn batch(&self, days: Vec<Day>, device: &Device) -> DayBatch {
        let count = days.len();
        let load: Vec<f32> = days.iter().flat_map(|day| day.load).collect();
        let next: Vec<f32> = days.iter().map(|day| day.next).collect();
        DayBatch {
            load: Tensor::<1>::from_floats(load.as_slice(), device).reshape([count, HOURS, 1]),
            next: Tensor::<1>::from_floats(next.as_slice(), device).reshape([count, 1]),
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

    fn forward(&self, load: Tensor<3>) -> Tensor<2> {
        let states = self.gru.forward(load, None);
        let last: Tensor<2> = states.slice(s![.., -1..]).squeeze_dim(1);
        self.head.forward(last)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(13);
    let mut model = Forecaster::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().init();
    let huber = HuberLossConfig::new(1.0).init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(DayBatcher))
        .batch_size(16)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(days(healthy)), |day: &Day| day.date.clone()));

    let mut step = 0;
    for _epoch in 0..4 {
        for batch in loader.iter() {
            let batch = batch.expect("the data is in memory");
            let loss = huber.forward(model.forward(batch.load), batch.next, Reduction::Mean);
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(1e-2, model, gradients);
            step += 1;
        }
    }
}
