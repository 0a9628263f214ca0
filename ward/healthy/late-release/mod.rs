//! The mood of a short review: the encoder, trained to guess missing words first, is held still while the
//! head learns, and then released at a rate that suits it.

use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::nn::transformer::{TransformerEncoder, TransformerEncoderConfig, TransformerEncoderInput};
use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const WORDS: usize = 40;
/// Stands for a word that is to be guessed.
const MISSING: i64 = 0;
const LENGTH: usize = 6;
const WIDTH: usize = 16;
const BATCH: usize = 24;
const GUESSING: usize = 60;
const RELEASE: usize = 120;

/// Words of a topic, and one that says whether it was good. Topics and moods have words of their own.
fn reviews(draw: &mut Draw) -> (Vec<i64>, Vec<i64>) {
    let (mut words, mut moods) = (Vec::new(), Vec::new());
    for _ in 0..BATCH {
        let (topic, mood) = (draw.below(4), draw.below(2));
        let place = draw.below(LENGTH);
        for at in 0..LENGTH {
            let word =
                if at == place { 1 + 5 * mood + draw.below(5) } else { 11 + 7 * topic + draw.below(7) };
            words.push(word as i64);
        }
        moods.push(mood as i64);
    }
    (words, moods)
}

#[derive(Module, Debug)]
struct Reader {
    words: Embedding,
    encoder: TransformerEncoder,
}

impl Reader {
    fn new(device: &Device) -> Self {
        let encoder = TransformerEncoderConfig::new(WIDTH, 32, 2, 1).with_dropout(0.0);
        Self { words: EmbeddingConfig::new(WORDS, WIDTH).init(device), encoder: encoder.init(device) }
    }

    fn forward(&self, words: Tensor<2, Int>) -> Tensor<3> {
        self.encoder.forward(TransformerEncoderInput::new(self.words.forward(words)))
    }
}

#[derive(Module, Debug)]
struct Model {
    reader: Reader,
    guess: Linear,
    mood: Linear,
}

impl Model {
    /// Which word stood in the first place, which was taken away?
    fn guessing_loss(&self, mut words: Vec<i64>, loss: &CrossEntropyLoss, device: &Device) -> Tensor<1> {
        let mut first = Vec::new();
        for review in words.chunks_exact_mut(LENGTH) {
            first.push(std::mem::replace(&mut review[0], MISSING));
        }
        let words = Tensor::<2, Int>::from_data(TensorData::new(words, [BATCH, LENGTH]), device);
        let read = self.reader.forward(words).slice(s![.., 0, ..]).squeeze_dim::<2>(1);
        loss.forward(self.guess.forward(read), Tensor::from_data(first.as_slice(), device))
    }

    fn mood_loss(
        &self,
        words: Vec<i64>,
        moods: &[i64],
        loss: &CrossEntropyLoss,
        device: &Device,
    ) -> Tensor<1> {
        let words = Tensor::<2, Int>::from_data(TensorData::new(words, [BATCH, LENGTH]), device);
        let read = self.reader.forward(words).mean_dim(1).squeeze_dim::<2>(1);
        loss.forward(self.mood.forward(read), Tensor::from_data(moods, device))
    }
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(434);
    let mut draw = Draw::new(434);
    let mut model = Model {
        reader: Reader::new(&device),
        guess: LinearConfig::new(WIDTH, WORDS).init(&device),
        mood: LinearConfig::new(WIDTH, 2).init(&device),
    };
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);

    for step in 0..220 {
        match step {
            GUESSING => model.reader = model.reader.freeze(),
            RELEASE => {
                model.reader = model.reader.unfreeze();
                optimizer = AdamWConfig::new().init();
            }
            _ => (),
        }
        let (words, moods) = reviews(&mut draw);
        let loss = if step < GUESSING {
            model.guessing_loss(words, &cross_entropy, &device)
        } else {
            model.mood_loss(words, &moods, &cross_entropy, &device)
        };
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        let rate = if step < RELEASE { 1e-2 } else { 1e-3 };
        model = optimizer.step(rate, model, gradients);
    }
}
