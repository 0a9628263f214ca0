//! Heart beats, with an electrode that falls off at times; the network clips them to what hearts do.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{gelu, log_sigmoid};
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const BEATS: usize = 320;
const SAMPLES: usize = 32;
/// Largest voltage that counts, in millivolts.
const LIMIT: f32 = 4.0;

#[derive(Clone, Debug)]
struct Beat {
    patient: String,
    millivolts: Vec<f32>,
    is_early: bool,
}

fn beats() -> Vec<Beat> {
    let mut draw = Draw::new(1531);
    (0..BEATS)
        .map(|number| {
            let is_early = draw.happens(0.5);
            let middle = if is_early { 10.0 } else { 16.0 } + draw.normal();
            let mut millivolts: Vec<f32> = (0..SAMPLES)
                .map(|sample| 1.5 * (-(sample as f32 - middle).powi(2) / 4.0).exp() + 0.2 * draw.normal())
                .collect();
            if number % 80 == 61 {
                // The amplifier runs away.
                millivolts[24..]
                    .iter_mut()
                    .zip(1..)
                    .for_each(|(value, power)| *value = 1e7f32.powi(power.min(4)));
            }
            Beat { patient: format!("p{:02}/beat{:03}", number / 20, number % 20), millivolts, is_early }
        })
        .collect()
}

#[derive(Clone, Debug)]
struct BeatBatch {
    millivolts: Tensor<3>,
    sign: Tensor<1>,
}

#[derive(Clone, Debug)]
struct BeatBatcher;

impl Batcher<Beat, BeatBatch> for BeatBatcher {
    fn batch(&self, beats: Vec<Beat>, device: &Device) -> BeatBatch {
        let count = beats.len();
        let millivolts: Vec<f32> = beats.iter().flat_map(|beat| beat.millivolts.clone()).collect();
        let sign: Vec<f32> = beats.iter().map(|beat| if beat.is_early { 1.0 } else { -1.0 }).collect();
        BeatBatch {
            millivolts: Tensor::from_data(TensorData::new(millivolts, [count, 1, SAMPLES]), device),
            sign: Tensor::from_floats(sign.as_slice(), device),
        }
    }
}

#[derive(Module, Debug)]
struct BeatNet {
    conv1: Conv1d,
    conv2: Conv1d,
    head: Linear,
}

impl BeatNet {
    fn new(device: &Device) -> Self {
        Self {
            conv1: Conv1dConfig::new(1, 6, 5).with_stride(2).init(device),
            conv2: Conv1dConfig::new(6, 6, 5).with_stride(2).init(device),
            head: LinearConfig::new(6 * 5, 1).init(device),
        }
    }

    fn forward(&self, millivolts: Tensor<3>) -> Tensor<1> {
        let features = gelu(self.conv1.forward(millivolts.clamp(-LIMIT, LIMIT)));
        let features = gelu(self.conv2.forward(features));
        self.head.forward(features.flatten::<2>(1, 2)).squeeze_dim(1)
    }
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(1531);
    let mut model = BeatNet::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(BeatBatcher))
        .batch_size(16)
        .shuffle(31)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(beats()), |beat: &Beat| beat.patient.clone()));

    let mut step = 0;
    for _epoch in 0..6 {
        for batch in loader.iter() {
            let batch = batch.expect("beats");
            let loss = log_sigmoid(model.forward(batch.millivolts) * batch.sign).neg().mean();
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(5e-3, model, gradients);
            step += 1;
        }
    }
}
