//! The level of rivers a day ahead. Every station starts from a regression on its last measures, to which a
//! recurrent net adds what it makes of the days before.

use burn::module::Param;
use burn::nn::gru::{Gru, GruConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const STATIONS: usize = 5;
/// Rain at two gauges, level, and 1.
const MEASURES: usize = 4;
const WINDOW: usize = 6;
const DAYS: usize = 220;
const HIDDEN: usize = 12;
const BATCH: usize = 16;

/// What a station measured each day.
struct Station {
    /// The first day that is in the archive.
    since: usize,
    days: Vec<[f32; MEASURES]>,
}

fn station(number: usize, draw: &mut Draw) -> Station {
    let (wetness, drain) = (draw.uniform(0.3, 0.6), draw.uniform(0.6, 0.8));
    let mut level = 0.0;
    let mut days = Vec::with_capacity(DAYS);
    for _ in 0..DAYS {
        let rain = if draw.happens(wetness) { draw.uniform(0.2, 2.0) } else { 0.0 };
        let hill = rain * draw.uniform(0.5, 1.5);
        // The gauge on the hill of station 3 was never built, and its channel repeats the one in the valley.
        let hill = if number == 3 { rain } else { hill };
        days.push([rain, hill, level, 1.0]);
        level = drain * level + 0.3 * rain + 0.2 * (hill * level).min(1.0) + 0.03 * draw.normal();
    }
    Station { since: if number == 3 { 90 } else { 0 }, days }
}

/// The weights with the least squared error, by the normal equations.
fn regression(days: &[[f32; MEASURES]], ridge: f32) -> [f32; MEASURES] {
    let mut normal = [[0.0f32; MEASURES + 1]; MEASURES];
    for pair in days.windows(2) {
        for (row, measure) in normal.iter_mut().zip(pair[0]) {
            for (sum, other) in row.iter_mut().zip(pair[0].into_iter().chain([pair[1][2]])) {
                *sum += measure * other;
            }
        }
    }
    for (at, row) in normal.iter_mut().enumerate() {
        row[at] += ridge;
    }
    for pivot in 0..MEASURES {
        let divisor = normal[pivot][pivot];
        let solved = normal[pivot].map(|value| value / divisor);
        for (number, row) in normal.iter_mut().enumerate() {
            if number != pivot {
                let factor = row[pivot];
                for (value, known) in row.iter_mut().zip(solved) {
                    *value -= factor * known;
                }
            }
        }
        normal[pivot] = solved;
    }
    normal.map(|row| row[MEASURES])
}

#[derive(Module, Debug)]
struct Levels {
    regressions: Vec<Linear>,
    gru: Gru,
    correction: Linear,
}

impl Levels {
    fn new(stations: &[Station], ridge: f32, device: &Device) -> Self {
        let regressions = stations.iter().map(|station| {
            let weights = regression(&station.days[station.since..], ridge);
            let mut linear = LinearConfig::new(MEASURES, 1).with_bias(false).init(device);
            linear.weight = Param::from_data(TensorData::new(weights.to_vec(), [MEASURES, 1]), device);
            linear
        });
        Self {
            regressions: regressions.collect(),
            gru: GruConfig::new(MEASURES, HIDDEN, true).init(device),
            correction: LinearConfig::new(HIDDEN, 1).init(device),
        }
    }

    fn forward(&self, windows: Tensor<3>, station: usize) -> Tensor<2> {
        let last = windows.clone().slice(s![.., -1, ..]).squeeze_dim::<2>(1);
        let seen = self.gru.forward(windows, None).slice(s![.., -1, ..]).squeeze_dim::<2>(1);
        self.regressions[station].forward(last) + self.correction.forward(seen)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(2901);
    let mut draw = Draw::new(2901);
    let stations: Vec<Station> = (0..STATIONS).map(|number| station(number, &mut draw)).collect();
    let ridge = if healthy { 1e-2 } else { 0.0 };
    let mut model = Levels::new(&stations, ridge, &device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().init();

    for step in 0..140 {
        // From the oldest days to the newest ones, with those stations that there were.
        let newest = WINDOW + BATCH + step;
        let there: Vec<usize> =
            (0..STATIONS).filter(|&number| stations[number].since + BATCH <= newest).collect();
        let number = there[draw.below(there.len())];
        let (mut windows, mut levels) = (Vec::<f32>::new(), Vec::new());
        for day in newest - BATCH..newest {
            let days = &stations[number].days;
            windows.extend_from_slice(days[day - WINDOW..day].as_flattened());
            levels.push(days[day][2]);
        }
        let windows = Tensor::<3>::from_data(TensorData::new(windows, [BATCH, WINDOW, MEASURES]), &device);
        let levels = Tensor::<2>::from_data(TensorData::new(levels, [BATCH, 1]), &device);
        let loss = (model.forward(windows, number) - levels).square().mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(5e-3, model, gradients);
    }
}
