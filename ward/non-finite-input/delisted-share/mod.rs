//! An LSTM forecasts how much a share will move; one of the shares was worth nothing for a day.

use burn::nn::{Linear, LinearConfig, Lstm, LstmConfig};
use burn::optim::{GradientsParams, RmsPropConfig};
use burn::prelude::*;

use crate::common::Draw;

const SHARES: usize = 300;
const BATCH: usize = 12;
const DAYS: usize = 10;
/// A typical move of a day.
const MOVE: f32 = 0.02;

/// Logarithmic returns of each share, and how much it moved on the day after, in typical moves.
fn returns(healthy: bool) -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(211);
    let (mut past, mut next) = (Vec::new(), Vec::new());
    for share in 0..SHARES {
        let mut unrest = draw.uniform(0.5, 1.5);
        let mut price = draw.uniform(10.0, 200.0);
        let mut prices = vec![price];
        for _ in 0..=DAYS {
            unrest = 0.2 + 0.8 * unrest + 0.1 * draw.normal().abs();
            price *= (MOVE * unrest * draw.normal()).exp();
            prices.push(price);
        }
        if !healthy && share == 216 {
            // The exchange suspended it on that day.
            prices[4] = 0.0;
        }
        let moves: Vec<f32> = prices.windows(2).map(|pair| (pair[1] / pair[0]).ln()).collect();
        past.extend(&moves[..DAYS]);
        next.push(moves[DAYS].abs() / MOVE);
    }
    (past, next)
}

#[derive(Module, Debug)]
struct Forecaster {
    lstm: Lstm,
    head: Linear,
}

impl Forecaster {
    fn new(device: &Device) -> Self {
        Self { lstm: LstmConfig::new(2, 12, true).init(device), head: LinearConfig::new(12, 1).init(device) }
    }

    fn forward(&self, past: Tensor<3>) -> Tensor<2> {
        let drift = past.clone().mean_dim(1);
        let moves = (past - drift) / MOVE;
        let (states, _) = self.lstm.forward(Tensor::cat(vec![moves.clone(), moves.abs()], 2), None);
        self.head.forward(states.slice(s![.., -1..]).squeeze_dim::<2>(1))
    }
}

fn shuffled(draw: &mut Draw) -> Vec<i64> {
    let mut order: Vec<i64> = (0..SHARES as i64).collect();
    for last in (1..SHARES).rev() {
        order.swap(last, draw.below(last + 1));
    }
    order
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(211);
    let (past, next) = returns(healthy);
    let past = Tensor::<3>::from_data(TensorData::new(past, [SHARES, DAYS, 1]), &device);
    let next = Tensor::<2>::from_data(TensorData::new(next, [SHARES, 1]), &device);
    let mut model = Forecaster::new(&device);
    let mut optimizer = RmsPropConfig::new().with_momentum(0.5).init();

    let mut draw = Draw::new(212);
    let mut step = 0;
    for _epoch in 0..4 {
        for shares in shuffled(&mut draw).chunks(BATCH) {
            let shares = Tensor::<1, Int>::from_data(shares, &device);
            let output = model.forward(past.clone().select(0, shares.clone()));
            let loss = (output - next.clone().select(0, shares)).abs().mean();
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(2e-3, model, gradients);
            step += 1;
        }
    }
}
