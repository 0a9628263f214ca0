//! A bakery's sales of the next day, by a transformer block over the last eight days. The block runs in
//! float16 upon weights that are kept in float32, and the loss is scaled for it.

use burn::module::Param;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::FloatDType;
use burn::tensor::activation::{relu, softmax};

use crate::common::Draw;

const DAYS: usize = 700;
const WINDOW: usize = 8;
const BATCH: usize = 32;
/// Rolls, cakes, warmth, and where the day is in the week, as a point on a circle.
const COLUMNS: usize = 5;
const WIDTH: usize = 16;
/// The scale of the loss, which is raised to keep small gradients alive.
const FIRST_SCALE: f64 = 512.0;
const RAISE_EVERY: usize = 15;

/// A row for each day, in units of their usual spread.
fn diary() -> Vec<[f32; COLUMNS]> {
    let mut draw = Draw::new(2801);
    (0..DAYS)
        .map(|day| {
            let week = [0.2, -0.4, -0.5, -0.1, 0.6, 1.6, -1.4][day % 7];
            let warmth = (day as f32 / 58.0).sin() + 0.3 * draw.normal();
            let rolls = week + 0.2 * draw.normal();
            let cakes = 0.6 * week - 0.5 * warmth + 0.2 * draw.normal();
            let turn = (day % 7) as f32 / 7.0 * std::f32::consts::TAU;
            [rolls, cakes, warmth, turn.sin(), turn.cos()]
        })
        .collect()
}

#[derive(Module, Debug)]
struct Block {
    embed: Linear,
    places: Param<Tensor<2>>,
    query: Linear,
    key: Linear,
    value: Linear,
    wide: Linear,
    narrow: Linear,
    head: Linear,
}

/// What a layer without a bias does, in the precision of `x`.
fn apply(layer: &Linear, x: Tensor<3>, precision: FloatDType) -> Tensor<3> {
    x.matmul(layer.weight.val().cast(precision).unsqueeze())
}

impl Block {
    fn new(device: &Device) -> Self {
        let layer = |from, to| LinearConfig::new(from, to).with_bias(false).init(device);
        Self {
            embed: layer(COLUMNS, WIDTH),
            places: Param::from_tensor(Tensor::random(
                [WINDOW, WIDTH],
                burn::tensor::Distribution::Normal(0.0, 0.3),
                device,
            )),
            query: layer(WIDTH, WIDTH),
            key: layer(WIDTH, WIDTH),
            value: layer(WIDTH, WIDTH),
            wide: layer(WIDTH, 2 * WIDTH),
            narrow: layer(2 * WIDTH, WIDTH),
            head: layer(WIDTH, 1),
        }
    }

    fn forward(&self, days: Tensor<3>, precision: FloatDType) -> Tensor<2> {
        let days = days.cast(precision);
        let places = self.places.val().cast(precision).unsqueeze::<3>();
        let x = apply(&self.embed, days, precision) + places;
        let query = apply(&self.query, x.clone(), precision) * 0.25;
        let key = apply(&self.key, x.clone(), precision);
        let weights = softmax(query.matmul(key.transpose()), 2);
        let x = x.clone() + weights.matmul(apply(&self.value, x, precision));
        let hidden = relu(apply(&self.wide, x.clone(), precision));
        let x = x + apply(&self.narrow, hidden, precision);
        let sales = apply(&self.head, x.slice(s![.., -1..]), precision);
        sales.squeeze_dim::<2>(2).cast(FloatDType::F32)
    }
}

pub fn train(healthy: bool) {
    let precision = if healthy { FloatDType::F32 } else { FloatDType::F16 };
    let device = Device::default().autodiff();
    device.seed(2801);
    let diary = diary();
    let mut model = Block::new(&device);
    denan_burn::name_parameters(&model);
    let mut sgd = SgdConfig::new().init();
    let mut draw = Draw::new(2802);
    let mut scale = FIRST_SCALE;

    for step in 0..150 {
        let (mut days, mut next) = (Vec::new(), Vec::new());
        for _ in 0..BATCH {
            let start = draw.below(DAYS - WINDOW);
            days.extend_from_slice(diary[start..start + WINDOW].as_flattened());
            next.push(diary[start + WINDOW][0]);
        }
        let days = Tensor::<3>::from_data(TensorData::new(days, [BATCH, WINDOW, COLUMNS]), &device);
        let next = Tensor::<2>::from_data(TensorData::new(next, [BATCH, 1]), &device);

        let loss = (model.forward(days, precision) - next).powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let scaled = loss * scale;
        let gradients = GradientsParams::from_grads(scaled.backward(), &model);
        // The rate takes the scale back.
        model = sgd.step(0.1 / scale, model, gradients);
        if (step + 1) % RAISE_EVERY == 0 {
            scale *= 4.0;
        }
    }
}
