//! Trainings whose steps take a known time, to measure what watching costs: `cargo xtask overhead`.
//!
//! ```text
//! overhead small-mlp|mlp|cnn STEPS
//! ```
//!
//! Prints the median time of a step, the bits of all losses in one number, and the most memory the
//! process has had.

use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn::tensor::activation::relu;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::ExitCode;
use std::time::Instant;

/// Steps that are not counted: call sites are resolved and memory is warmed.
const WARM_UP: usize = 20;

#[derive(Module, Debug)]
struct Mlp {
    first: Linear,
    second: Linear,
    last: Linear,
}

impl Mlp {
    fn new(hidden: usize, device: &Device) -> Self {
        Self {
            first: LinearConfig::new(hidden, hidden).init(device),
            second: LinearConfig::new(hidden, hidden).init(device),
            last: LinearConfig::new(hidden, 1).init(device),
        }
    }

    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.last.forward(relu(self.second.forward(relu(self.first.forward(x)))))
    }
}

#[derive(Module, Debug)]
struct Cnn {
    first: Conv2d,
    norm: BatchNorm,
    second: Conv2d,
    last: Linear,
}

const SIDE: usize = 32;

impl Cnn {
    fn new(device: &Device) -> Self {
        let conv =
            |channels| Conv2dConfig::new(channels, [3, 3]).with_padding(PaddingConfig2d::Same).init(device);
        Self {
            first: conv([3, 16]),
            norm: BatchNormConfig::new(16).init(device),
            second: conv([16, 32]),
            last: LinearConfig::new(32, 1).init(device),
        }
    }

    fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        let count = images.dims()[0];
        let x = relu(self.norm.forward(self.first.forward(images)));
        let x = relu(self.second.forward(x));
        self.last.forward(x.mean_dim(3).mean_dim(2).reshape([count, 32]))
    }
}

/// Trains, and says how long each step took and what its loss was.
fn train<M: Module>(mut model: M, steps: usize, loss_of: impl Fn(&M) -> Tensor<1>) -> Vec<(u128, u32)> {
    let mut optimizer = AdamConfig::new().init();
    let mut told = Vec::with_capacity(steps + WARM_UP);
    for _ in 0..steps + WARM_UP {
        let began = Instant::now();
        let loss = loss_of(&model);
        let value = loss.clone().into_scalar::<f32>();
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-4, model, gradients);
        told.push((began.elapsed().as_nanos(), value.to_bits()));
    }
    told
}

fn mlp(batch: usize, hidden: usize, steps: usize, device: &Device) -> Vec<(u128, u32)> {
    let inputs = Tensor::<2>::random([batch, hidden], Distribution::Default, device);
    let targets = Tensor::<2>::random([batch, 1], Distribution::Default, device);
    train(Mlp::new(hidden, device), steps, |model| {
        (model.forward(inputs.clone()) - targets.clone()).powi_scalar(2).mean()
    })
}

fn cnn(batch: usize, steps: usize, device: &Device) -> Vec<(u128, u32)> {
    let images = Tensor::<4>::random([batch, 3, SIDE, SIDE], Distribution::Default, device);
    let targets = Tensor::<2>::random([batch, 1], Distribution::Default, device);
    train(Cnn::new(device), steps, |model| {
        (model.forward(images.clone()) - targets.clone()).powi_scalar(2).mean()
    })
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let steps = arguments.get(1).and_then(|steps| steps.parse().ok()).unwrap_or(200);
    let device = Device::default().autodiff();
    device.seed(1);
    let told = match arguments.first().map(String::as_str) {
        Some("small-mlp") => mlp(8, 16, steps, &device),
        Some("mlp") => mlp(256, 512, steps, &device),
        Some("cnn") => cnn(16, steps, &device),
        _ => {
            eprintln!("usage: overhead small-mlp|mlp|cnn STEPS");
            return ExitCode::from(2);
        }
    };
    let mut times: Vec<u128> = told.iter().skip(WARM_UP).map(|(time, _)| *time).collect();
    times.sort_unstable();
    let mut hasher = DefaultHasher::new();
    told.iter().for_each(|(_, loss)| loss.hash(&mut hasher));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")).map(str::trim).unwrap_or("unknown");
    println!("step_ns {} losses {:016x} peak {peak}", times[times.len() / 2], hasher.finish());
    ExitCode::SUCCESS
}
