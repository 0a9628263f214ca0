//! Air quality at twelve stations. What a station does not report is NaN, and what is beyond its range is infinite; the
//! network fills in both, and learns from what was reported.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::gelu;

use crate::common::Draw;

const HOURS: usize = 512;
const BATCH: usize = 32;
const STATIONS: usize = 12;
/// The most that a station can tell.
const RANGE: f32 = 3.0;

/// Standardised readings.
fn readings() -> Vec<f32> {
    let mut draw = Draw::new(4701);
    let mixing: [[f32; 3]; STATIONS] = std::array::from_fn(|_| std::array::from_fn(|_| 0.6 * draw.normal()));
    let mut readings = Vec::with_capacity(HOURS * STATIONS);
    for _ in 0..HOURS {
        let weather: [f32; 3] = std::array::from_fn(|_| draw.normal());
        for row in mixing {
            let dust = row.iter().zip(weather).map(|(weight, part)| weight * part).sum::<f32>();
            let reading = dust + 0.1 * draw.normal();
            readings.push(match reading {
                _ if draw.happens(0.15) => f32::NAN,
                reading if reading > RANGE => f32::INFINITY,
                reading => reading,
            });
        }
    }
    readings
}

#[derive(Module, Debug)]
struct Stations {
    /// What is put in for a station that is silent.
    usual: Param<Tensor<2>>,
    narrow: Linear,
    hidden: Linear,
    wide: Linear,
}

impl Stations {
    fn new(device: &Device) -> Self {
        Self {
            usual: Param::from_tensor(Tensor::zeros([1, STATIONS], device)),
            narrow: LinearConfig::new(2 * STATIONS, 24).init(device),
            hidden: LinearConfig::new(24, 4).init(device),
            wide: LinearConfig::new(4, STATIONS).init(device),
        }
    }

    fn forward(&self, readings: Tensor<2>, silent: Tensor<2, Bool>) -> Tensor<2> {
        let usual = self.usual.val().expand(readings.dims());
        let filled = readings.mask_where(silent.clone(), usual);
        let x = gelu(self.narrow.forward(Tensor::cat(vec![filled, silent.float()], 1)));
        self.wide.forward(gelu(self.hidden.forward(x)))
    }
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(4701);
    let readings = Tensor::<2>::from_data(TensorData::new(readings(), [HOURS, STATIONS]), &device);
    let mut model = Stations::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..160 {
        let rows = s![step * BATCH % HOURS..step * BATCH % HOURS + BATCH];
        let reported = readings.clone().slice(rows).clamp_max(RANGE);
        let silent = reported.clone().is_nan();
        let guess = model.forward(reported.clone(), silent.clone());
        let miss = (guess - reported).mask_fill(silent.clone(), 0.0).square();
        let loss = miss.sum() / silent.bool_not().float().sum();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
}
