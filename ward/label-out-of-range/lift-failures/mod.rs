//! When will a lift fail next? A transformer reads its last months, and gives the scale and the shape of a
//! Weibull distribution of the time until then. Lifts that have not failed yet count as censored.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::softplus;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const LIFTS: usize = 384;
const MONTHS: usize = 6;
/// Door cycles, current of the motor, its temperature.
const FIELDS: usize = 3;
const WIDTH: usize = 12;
const BATCH: usize = 12;

#[derive(Clone, Debug)]
struct Lift {
    number: String,
    history: Vec<f32>,
    /// Days since the register was begun.
    inspected: i32,
    last_seen: i32,
    has_failed: bool,
}

fn register() -> Vec<Lift> {
    let mut draw = Draw::new(4103);
    (0..LIFTS)
        .map(|index| {
            let (load, age) = (draw.uniform(-1.0, 1.0), draw.uniform(-1.0, 1.0));
            let mut history = Vec::with_capacity(MONTHS * FIELDS);
            for month in 0..MONTHS {
                let summer = (month as f32 * 0.9).sin();
                let cycles = load + 0.2 * draw.normal();
                let current = 0.5 * load + 0.7 * age + 0.1 * draw.normal();
                let temperature = 0.6 * age + 0.4 * summer + 0.1 * draw.normal();
                history.extend([cycles, current, temperature]);
            }
            let typical = 420.0 * (-0.7 * load - 0.8 * age).exp();
            let lifetime = typical * (-draw.uniform(0.0, 1.0).max(1e-3).ln()).powf(1.0 / 2.5);
            let observed = draw.uniform(150.0, 1500.0);
            let has_failed = lifetime <= observed;
            let mut inspected = 400 + draw.below(900) as i32;
            let mut last_seen = inspected + (lifetime.min(observed) as i32).max(2);
            // The two dates of this form stand in each other's field.
            if index == 226 {
                std::mem::swap(&mut inspected, &mut last_seen);
            }
            Lift { number: format!("L-{:04}", 1000 + index), history, inspected, last_seen, has_failed }
        })
        .collect()
}

#[derive(Clone, Debug)]
struct LiftBatch {
    history: Tensor<3>,
    /// In hundreds of days.
    time: Tensor<1>,
    failed: Tensor<1>,
}

#[derive(Clone, Debug)]
struct LiftBatcher {
    healthy: bool,
}

impl Batcher<Lift, LiftBatch> for LiftBatcher {
    fn batch(&self, lifts: Vec<Lift>, device: &Device) -> LiftBatch {
        let time: Vec<f32> = lifts
            .iter()
            .map(|lift| {
                let days = lift.last_seen - lift.inspected;
                let days = if self.healthy { days.abs() } else { days };
                days as f32 / 100.0
            })
            .collect();
        let failed: Vec<f32> = lifts.iter().map(|lift| f32::from(lift.has_failed)).collect();
        let shape = [lifts.len(), MONTHS, FIELDS];
        let history: Vec<f32> = lifts.into_iter().flat_map(|lift| lift.history).collect();
        LiftBatch {
            history: Tensor::from_data(TensorData::new(history, shape), device),
            time: Tensor::from_floats(time.as_slice(), device),
            failed: Tensor::from_floats(failed.as_slice(), device),
        }
    }
}

#[derive(Module, Debug)]
struct Lifetime {
    embed: Linear,
    encoder: TransformerEncoder,
    head: Linear,
}

impl Lifetime {
    fn new(device: &Device) -> Self {
        Self {
            embed: LinearConfig::new(FIELDS, WIDTH).init(device),
            encoder: TransformerEncoderConfig::new(WIDTH, 24, 2, 1).with_dropout(0.0).init(device),
            head: LinearConfig::new(WIDTH, 2).init(device),
        }
    }

    /// Scale and shape of each lift.
    fn forward(&self, history: Tensor<3>) -> (Tensor<1>, Tensor<1>) {
        let months = self.encoder.forward(TransformerEncoderInput::new(self.embed.forward(history)));
        let raw = self.head.forward(months.mean_dim(1).squeeze_dim::<2>(1));
        let positive = softplus(raw, 1.0) + 0.2;
        let column = |index: usize| positive.clone().slice(s![.., index..index + 1]).squeeze_dim::<1>(1);
        (column(0), column(1))
    }
}

/// Negative log-likelihood of a Weibull distribution, with censoring to the right.
fn weibull_loss(scale: Tensor<1>, shape: Tensor<1>, time: Tensor<1>, failed: Tensor<1>) -> Tensor<1> {
    let ratio = time / scale.clone();
    let cumulative_hazard = ratio.clone().powf(shape.clone());
    let log_hazard = shape.clone().log() - scale.log() + (shape - 1.0) * ratio.log();
    (cumulative_hazard - failed * log_hazard).mean()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(4103);
    let mut model = Lifetime::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(LiftBatcher { healthy }))
        .batch_size(BATCH)
        .shuffle(41)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(register()), |lift: &Lift| lift.number.clone()));

    let mut step = 0;
    let mut smoothed = 0.0;
    for _epoch in 0..5 {
        for batch in loader.iter() {
            let LiftBatch { history, time, failed } = batch.expect("lifts");
            let (scale, shape) = model.forward(history);
            let loss = weibull_loss(scale, shape, time, failed);
            let now = loss.clone().into_scalar::<f32>();
            smoothed = if step == 0 { now } else { 0.8 * smoothed + 0.2 * now };
            if step % 10 == 0 {
                println!("step {step} loss {smoothed:.4}");
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(1e-2, model, gradients);
            step += 1;
        }
    }
}
