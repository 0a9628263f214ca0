//! A generator learns to draw points of a spiral, against a critic, each with an optimizer of its own.

use burn::nn::loss::{BinaryCrossEntropyLoss, BinaryCrossEntropyLossConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn::tensor::activation::leaky_relu;

use crate::common::Draw;

const BATCH: usize = 64;
const NOISE: usize = 4;

fn spiral(draw: &mut Draw, device: &Device) -> Tensor<2> {
    let points: Vec<f32> = (0..BATCH)
        .flat_map(|_| {
            let angle = draw.uniform(0.0, 6.0);
            let radius = 0.5 + 0.25 * angle + 0.05 * draw.normal();
            [3.0 + radius * angle.cos(), radius * angle.sin() - 1.0]
        })
        .collect();
    Tensor::from_data(TensorData::new(points, [BATCH, 2]), device)
}

#[derive(Module, Debug)]
struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    fn new(widths: &[usize], device: &Device) -> Self {
        let layers = widths.windows(2).map(|pair| LinearConfig::new(pair[0], pair[1]).init(device));
        Self { layers: layers.collect() }
    }

    fn forward(&self, mut x: Tensor<2>) -> Tensor<2> {
        for (index, layer) in self.layers.iter().enumerate() {
            x = layer.forward(x);
            if index + 1 < self.layers.len() {
                x = leaky_relu(x, 0.2);
            }
        }
        x
    }
}

/// How far the critic is from saying this of all points.
fn verdict(loss: &BinaryCrossEntropyLoss, scores: Tensor<2>, is_real: i64) -> Tensor<1> {
    let wanted = Tensor::<2, Int>::ones([BATCH, 1], &scores.device()) * is_real;
    loss.forward(scores, wanted)
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(432);
    let mut draw = Draw::new(432);
    let mut generator = Mlp::new(&[NOISE, 32, 32, 2], &device);
    let mut critic = Mlp::new(&[2, 32, 32, 1], &device);
    denan_burn::name_parameters(&generator);
    denan_burn::name_parameters(&critic);
    let adam = AdamConfig::new().with_beta_1(0.5);
    let (mut generator_optimizer, mut critic_optimizer) = (adam.init(), adam.init());
    let loss = BinaryCrossEntropyLossConfig::new().with_logits(true).init(&device);

    for step in 0..280 {
        let real = spiral(&mut draw, &device);
        let noise = || Tensor::<2>::random([BATCH, NOISE], Distribution::Normal(0.0, 1.0), &device);

        let fake = generator.forward(noise()).detach();
        let apart = (real.clone().mean_dim(0) - fake.clone().mean_dim(0)).abs().sum();
        let critic_loss = verdict(&loss, critic.forward(real), 1) + verdict(&loss, critic.forward(fake), 0);
        let gradients = GradientsParams::from_grads(critic_loss.backward(), &critic);
        critic = critic_optimizer.step(2e-3, critic, gradients);

        let generator_loss = verdict(&loss, critic.forward(generator.forward(noise())), 1);
        if step % 10 == 0 {
            let (critic_loss, generator_loss) =
                (critic_loss.into_scalar::<f32>(), generator_loss.clone().into_scalar::<f32>());
            let apart = apart.into_scalar::<f32>();
            println!("step {step} critic {critic_loss:.4} generator {generator_loss:.4} apart {apart:.4}");
        }
        let gradients = GradientsParams::from_grads(generator_loss.backward(), &generator);
        generator = generator_optimizer.step(2e-3, generator, gradients);
    }
}
