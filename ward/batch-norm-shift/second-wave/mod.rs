//! Which districts an influenza will hit harder than the others, learned week by week as the reports come in. The normalisation of the
//! reports is held after the first weeks, so that a district is not compared with the others of the same week only.

use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::leaky_relu;

use crate::common::Draw;

const DISTRICTS: usize = 48;
const WEEKS: usize = 200;
/// Weeks that are seen at a time.
const LAGS: usize = 5;
const WIDTH: usize = 24;
const HELD_AFTER: usize = 40;

/// Cases of each week, `[week][district]`: few in summer, and many in winter.
fn reports() -> Vec<Vec<f32>> {
    let mut draw = Draw::new(4401);
    let mut level: Vec<f32> = (0..DISTRICTS).map(|_| 1.5 + 0.4 * draw.normal()).collect();
    let mut trend: Vec<f32> = (0..DISTRICTS).map(|_| 0.2 * draw.normal()).collect();
    let mut weeks = Vec::with_capacity(WEEKS + LAGS + 1);
    for week in 0..=WEEKS + LAGS {
        let season = if week < 80 { 0.0 } else { 6.0 * (0.05 * (week - 80) as f32).sin().max(0.0) };
        for (level, trend) in level.iter_mut().zip(&mut trend) {
            *trend = 0.8 * *trend + 0.12 * draw.normal();
            *level += *trend + 0.15 * (1.5 + season - *level);
        }
        weeks.push(level.iter().map(|level| level.exp()).collect());
    }
    weeks
}

#[derive(Module, Debug)]
struct Outlook {
    reports: BatchNorm,
    hidden: Linear,
    inner: Linear,
    excess: Linear,
}

impl Outlook {
    fn new(device: &Device) -> Self {
        Self {
            reports: BatchNormConfig::new(LAGS).init(device),
            hidden: LinearConfig::new(LAGS, WIDTH).init(device),
            inner: LinearConfig::new(WIDTH, WIDTH).init(device),
            excess: LinearConfig::new(WIDTH, 1).init(device),
        }
    }

    fn forward(&self, reports: Tensor<2>) -> Tensor<2> {
        let x = leaky_relu(self.hidden.forward(self.reports.forward(reports)), 0.1);
        self.excess.forward(leaky_relu(self.inner.forward(x), 0.1))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(4401);
    let weeks = reports();
    let mut model = Outlook::new(&device);
    denan_burn::name_parameters(&model);
    let momentum = MomentumConfig::new().with_momentum(0.8);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();

    for week in 0..WEEKS {
        if week == HELD_AFTER && !healthy {
            model.reports = model.reports.freeze();
        }
        let next = weeks[week + LAGS].iter().map(|cases| cases.ln());
        let usual = next.clone().sum::<f32>() / DISTRICTS as f32;
        let excess: Vec<f32> = next.map(|cases| 2.0 * (cases - usual)).collect();
        let seen: Vec<f32> = (0..DISTRICTS)
            .flat_map(|district| weeks[week..week + LAGS].iter().map(move |cases| cases[district]))
            .collect();
        let seen = Tensor::<2>::from_data(TensorData::new(seen, [DISTRICTS, LAGS]), &device);
        let excess = Tensor::<2>::from_data(TensorData::new(excess, [DISTRICTS, 1]), &device);
        let miss = model.forward(seen) - excess;
        let loss = (miss.clone() * miss).mean();
        if week % 10 == 0 {
            println!("step {week} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.02, model, gradients);
    }
}
