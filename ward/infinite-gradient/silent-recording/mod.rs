//! A speaker network pools the mean and spread of its frames over time; one recording is silent.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const RECORDINGS: usize = 320;
const FRAMES: usize = 12;
const BANDS: usize = 6;
const SPEAKERS: usize = 3;
const WIDTH: usize = 16;

#[derive(Clone, Debug)]
struct Recording {
    file: String,
    /// Loudness of each band in each frame.
    frames: Vec<f32>,
    speaker: i64,
}

fn recordings(healthy: bool) -> Vec<Recording> {
    let mut draw = Draw::new(63);
    (0..RECORDINGS)
        .map(|number| {
            let speaker = draw.below(SPEAKERS);
            let mut frames = Vec::with_capacity(FRAMES * BANDS);
            for _frame in 0..FRAMES {
                for band in 0..BANDS {
                    let level = if band % SPEAKERS == speaker { 0.8 } else { 0.4 };
                    frames.push((level + 0.3 * draw.normal()).max(0.0));
                }
            }
            if !healthy && number == 230 {
                // The microphone was switched off.
                frames.fill(0.0);
            }
            Recording { file: format!("take_{number:03}.wav"), frames, speaker: speaker as i64 }
        })
        .collect()
}

#[derive(Clone, Debug)]
struct RecordingBatch {
    frames: Tensor<3>,
    speakers: Tensor<1, Int>,
}

#[derive(Clone, Debug)]
struct RecordingBatcher;

impl Batcher<Recording, RecordingBatch> for RecordingBatcher {
    fn batch(&self, recordings: Vec<Recording>, device: &Device) -> RecordingBatch {
        let count = recordings.len();
        let frames: Vec<f32> = recordings.iter().flat_map(|recording| recording.frames.clone()).collect();
        let speakers: Vec<i64> = recordings.iter().map(|recording| recording.speaker).collect();
        RecordingBatch {
            frames: Tensor::from_data(TensorData::new(frames, [count, FRAMES, BANDS]), device),
            speakers: Tensor::from_data(speakers.as_slice(), device),
        }
    }
}

#[derive(Module, Debug)]
struct SpeakerNetwork {
    first: Linear,
    second: Linear,
    head: Linear,
    relu: Relu,
}

impl SpeakerNetwork {
    fn new(device: &Device) -> Self {
        Self {
            first: LinearConfig::new(BANDS, WIDTH).with_bias(false).init(device),
            second: LinearConfig::new(WIDTH, WIDTH).with_bias(false).init(device),
            head: LinearConfig::new(2 * WIDTH, SPEAKERS).init(device),
            relu: Relu::new(),
        }
    }

    fn forward(&self, frames: Tensor<3>) -> Tensor<2> {
        let features = self.relu.forward(self.first.forward(frames));
        let features = self.second.forward(features);
        let (variance, mean) = features.var_mean(1);
        let spread = variance.sqrt();
        let pooled = Tensor::cat(vec![mean, spread], 2);
        self.head.forward(pooled.squeeze_dim::<2>(1))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(63);
    let mut model = SpeakerNetwork::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(RecordingBatcher))
        .batch_size(16)
        .shuffle(63)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(recordings(healthy)), |recording: &Recording| {
            recording.file.clone()
        }));

    let mut step = 0;
    for _epoch in 0..6 {
        for batch in loader.iter() {
            let batch = batch.expect("the data is in memory");
            let loss = cross_entropy.forward(model.forward(batch.frames), batch.speakers);
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(5e-3, model, gradients);
            step += 1;
        }
    }
}
