//! Which part of a lift fails next, from the messages of its controller; the rate rises, and then falls with the
//! root of the steps since.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const MESSAGES: usize = 30;
const LENGTH: usize = 10;
const PARTS: usize = 4;
const WIDTH: usize = 24;
const BATCH: usize = 24;

/// Grows in proportion to the step, and is the inverse square root of it after that.
struct InverseRoot {
    peak: f64,
    warm_up: usize,
    /// Which number the first step has after the warm-up.
    first: usize,
}

impl InverseRoot {
    fn at(&self, step: usize) -> f64 {
        if step < self.warm_up {
            return self.peak * (step + 1) as f64 / self.warm_up as f64;
        }
        let number = step - self.warm_up + self.first;
        self.peak * (number as f64).powf(-0.5)
    }
}

#[derive(Module, Debug)]
struct Forecast {
    messages: Embedding,
    places: Embedding,
    encoder: TransformerEncoder,
    part: Linear,
}

impl Forecast {
    fn new(device: &Device) -> Self {
        let encoder = TransformerEncoderConfig::new(WIDTH, 48, 3, 2).with_dropout(0.0).with_norm_first(true);
        Self {
            messages: EmbeddingConfig::new(MESSAGES, WIDTH).init(device),
            places: EmbeddingConfig::new(LENGTH, WIDTH).init(device),
            encoder: encoder.init(device),
            part: LinearConfig::new(WIDTH, PARTS).init(device),
        }
    }

    fn forward(&self, messages: Tensor<2, Int>) -> Tensor<2> {
        let places = Tensor::<1, Int>::arange(0..LENGTH as i64, &messages.device()).unsqueeze::<2>();
        let x = self.messages.forward(messages) + self.places.forward(places);
        let x = self.encoder.forward(TransformerEncoderInput::new(x));
        self.part.forward(x.mean_dim(1).squeeze_dim::<2>(1))
    }
}

/// Messages, of which some belong to the part that fails, and the part.
fn histories(draw: &mut Draw) -> (Vec<i64>, Vec<i64>) {
    let (mut messages, mut parts) = (Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let part = draw.below(PARTS);
        for _ in 0..LENGTH {
            let message = if draw.happens(0.3) { 6 * part + draw.below(6) } else { draw.below(MESSAGES) };
            messages.push(message as i64);
        }
        parts.push(part as i64);
    }
    (messages, parts)
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(2601);
    let mut draw = Draw::new(2601);
    let mut model = Forecast::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);
    let rates = InverseRoot { peak: 4e-3, warm_up: 40, first: usize::from(healthy) };

    for step in 0..120 {
        let (messages, parts) = histories(&mut draw);
        let messages = Tensor::<2, Int>::from_data(TensorData::new(messages, [BATCH, LENGTH]), &device);
        let parts = Tensor::<1, Int>::from_data(parts.as_slice(), &device);
        let loss = cross_entropy.forward(model.forward(messages), parts);
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(rates.at(step), model, gradients);
    }
}
