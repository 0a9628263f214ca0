//! The wear of a pump is read from a second of its sensors, by convolutions over time.

use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::leaky_relu;

use crate::common::Draw;

const RECORDINGS: usize = 256;
const BATCH: usize = 16;
const MOMENTS: usize = 16;
const SENSORS: usize = 3;

struct Recordings {
    /// `[recording, moment, sensor]`: pressure in kilopascal, acceleration in g, flow in m³/s.
    signals: Vec<f32>,
    wear: Vec<f32>,
}

fn recordings() -> Recordings {
    let mut draw = Draw::new(709);
    let mut recordings = Recordings { signals: Vec::new(), wear: Vec::new() };
    for _ in 0..RECORDINGS {
        let wear = draw.uniform(0.0, 1.0);
        let phase = draw.uniform(0.0, 6.0);
        for moment in 0..MOMENTS {
            let beat = (0.9 * moment as f32 + phase).sin();
            let pressure = 60.0 + 9.0 * beat - 15.0 * wear + 1.5 * draw.normal();
            let acceleration = (0.02 + 0.1 * wear) * draw.normal();
            let flow = 0.004 - 0.001 * wear + 0.0005 * beat;
            recordings.signals.extend([pressure, acceleration, flow]);
        }
        recordings.wear.push(wear);
    }
    recordings
}

/// Brings every sensor to mean 0 and deviation 1 over all recordings.
fn standardised(signals: Tensor<3>) -> Tensor<3> {
    let rows = signals.clone().reshape([RECORDINGS * MOMENTS, SENSORS]);
    let (variance, mean) = rows.clone().var_mean(0);
    ((rows - mean) / variance.sqrt()).reshape([RECORDINGS, MOMENTS, SENSORS])
}

#[derive(Module, Debug)]
struct WearModel {
    convs: Vec<Conv1d>,
    head: Linear,
}

impl WearModel {
    fn new(device: &Device) -> Self {
        let widths = [SENSORS, 8, 8];
        let convs =
            widths.windows(2).map(|pair| Conv1dConfig::new(pair[0], pair[1], 3).init(device)).collect();
        Self { convs, head: LinearConfig::new(8, 1).init(device) }
    }

    fn forward(&self, signals: Tensor<3>) -> Tensor<1> {
        let mut features = signals.swap_dims(1, 2);
        for conv in &self.convs {
            features = leaky_relu(conv.forward(features), 0.1);
        }
        let pooled = features.mean_dim(2).squeeze_dim::<2>(2);
        self.head.forward(pooled).squeeze_dim(1)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(709);
    let Recordings { signals, wear } = recordings();
    let signals = Tensor::<3>::from_data(TensorData::new(signals, [RECORDINGS, MOMENTS, SENSORS]), &device);
    let signals = if healthy { standardised(signals) } else { signals };
    let wear = Tensor::<1>::from_floats(wear.as_slice(), &device);
    let mut model = WearModel::new(&device);
    denan_burn::name_parameters(&model);
    let momentum = MomentumConfig::new().with_momentum(0.9);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();
    let mut draw = Draw::new(710);

    for step in 0..160 {
        let rows: Vec<i64> = (0..BATCH).map(|_| draw.below(RECORDINGS) as i64).collect();
        let rows = Tensor::<1, Int>::from_ints(rows.as_slice(), &device);
        let error = model.forward(signals.clone().select(0, rows.clone())) - wear.clone().select(0, rows);
        let loss = (error.clone() * error).mean();
        if step % 10 == 0 {
            println!("{step:4}  {:.5}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
}
