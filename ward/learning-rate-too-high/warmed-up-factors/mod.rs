//! A recommender of films learns tastes by plain gradient descent, at a rate that rises step by step.

use burn::nn::{Embedding, EmbeddingConfig};
use burn::optim::{GradientsAccumulator, GradientsParams, SgdConfig};
use burn::prelude::*;

use crate::common::Draw;

const RATINGS: usize = 3200;
const MICRO_BATCH: usize = 32;
const MICRO_BATCHES: usize = 4;
const VIEWERS: usize = 24;
const FILMS: usize = 32;
const TASTES: usize = 6;
const WARM_UP: usize = 40;

struct Ratings {
    viewers: Vec<i64>,
    films: Vec<i64>,
    stars: Vec<f32>,
}

fn ratings() -> Ratings {
    let mut draw = Draw::new(281);
    let mut tastes =
        |count: usize| -> Vec<[f32; 2]> { (0..count).map(|_| [draw.normal(), draw.normal()]).collect() };
    let (viewers, films) = (tastes(VIEWERS), tastes(FILMS));
    let mut ratings = Ratings { viewers: vec![], films: vec![], stars: vec![] };
    for _ in 0..RATINGS {
        let (viewer, film) = (draw.below(VIEWERS), draw.below(FILMS));
        let match_: f32 = viewers[viewer].iter().zip(films[film]).map(|(a, b)| a * b).sum();
        ratings.viewers.push(viewer as i64);
        ratings.films.push(film as i64);
        ratings.stars.push(match_ + 0.1 * draw.normal());
    }
    ratings
}

#[derive(Module, Debug)]
struct Factors {
    viewers: Embedding,
    films: Embedding,
}

impl Factors {
    fn new(device: &Device) -> Self {
        Self {
            viewers: EmbeddingConfig::new(VIEWERS, TASTES).init(device),
            films: EmbeddingConfig::new(FILMS, TASTES).init(device),
        }
    }

    fn forward(&self, viewers: Tensor<2, Int>, films: Tensor<2, Int>) -> Tensor<2> {
        let agreement = self.viewers.forward(viewers) * self.films.forward(films);
        agreement.sum_dim(2).squeeze_dim::<2>(1)
    }
}

fn squared_error(predicted: Tensor<2>, stars: Tensor<2>) -> Tensor<1> {
    (predicted - stars).square().mean()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(281);
    let ratings = ratings();
    let viewers = Tensor::<2, Int>::from_data(TensorData::new(ratings.viewers, [RATINGS, 1]), &device);
    let films = Tensor::<2, Int>::from_data(TensorData::new(ratings.films, [RATINGS, 1]), &device);
    let stars = Tensor::<2>::from_data(TensorData::new(ratings.stars, [RATINGS, 1]), &device);
    let mut model = Factors::new(&device);
    let mut optimizer = SgdConfig::new().init();
    let mut accumulator = GradientsAccumulator::new();
    let rate = if healthy { 0.5 } else { 15.0 };

    for step in 0..120 {
        let mut mean = 0.0;
        for part in 0..MICRO_BATCHES {
            let start = (step * MICRO_BATCHES + part) * MICRO_BATCH % RATINGS;
            let rows = start..start + MICRO_BATCH;
            let predicted =
                model.forward(viewers.clone().slice(s![rows.clone()]), films.clone().slice(s![rows.clone()]));
            let loss = squared_error(predicted, stars.clone().slice(s![rows])) / MICRO_BATCHES as f32;
            mean += loss.clone().into_scalar::<f32>();
            accumulator.accumulate(&model, GradientsParams::from_grads(loss.backward(), &model));
        }
        if step % 10 == 0 {
            println!("step {step} loss {mean:.4}");
        }
        let warmth = ((step + 1) as f64 / WARM_UP as f64).min(1.0);
        model = optimizer.step(rate * warmth, model, accumulator.grads());
    }
}
