//! Forty residual blocks without a norm tell apart the kinds of a spectrum. Each block begins as the
//! identity; the rate rises from 0 and falls to 0.

use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Initializer, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::relu;

use crate::common::Draw;

const SPECTRA: usize = 512;
const BATCH: usize = 32;
const BANDS: usize = 16;
const WIDTH: usize = 24;
const BLOCKS: usize = 40;
const KINDS: usize = 4;
const STEPS: usize = 140;
const WARM_UP: usize = 20;

/// Counts of the detector in each band, with a peak where the kind has it.
fn spectra() -> (Vec<f32>, Vec<i64>) {
    let mut draw = Draw::new(431);
    let (mut counts, mut kinds) = (Vec::new(), Vec::new());
    for _ in 0..SPECTRA {
        let kind = draw.below(KINDS);
        let exposure = draw.uniform(5.0, 50.0);
        let peak = 2.0 + 3.5 * kind as f32 + draw.uniform(-1.0, 1.0);
        for band in 0..BANDS {
            let light = 1.0 + 2.0 * (-(band as f32 - peak).powi(2) / 2.0).exp();
            counts.push(exposure * (light + 0.2 * draw.normal()));
        }
        kinds.push(kind as i64);
    }
    (counts, kinds)
}

#[derive(Module, Debug)]
struct Block {
    inner: Linear,
    outer: Linear,
}

#[derive(Module, Debug)]
struct Spectrometer {
    lift: Linear,
    blocks: Vec<Block>,
    kind: Linear,
}

impl Spectrometer {
    fn new(device: &Device) -> Self {
        let block = || Block {
            inner: LinearConfig::new(WIDTH, WIDTH).init(device),
            outer: LinearConfig::new(WIDTH, WIDTH).with_initializer(Initializer::Zeros).init(device),
        };
        Self {
            lift: LinearConfig::new(BANDS, WIDTH).init(device),
            blocks: (0..BLOCKS).map(|_| block()).collect(),
            kind: LinearConfig::new(WIDTH, KINDS).init(device),
        }
    }

    fn forward(&self, counts: Tensor<2>) -> Tensor<2> {
        let mut x = self.lift.forward(counts);
        for block in &self.blocks {
            x = x.clone() + block.outer.forward(relu(block.inner.forward(x)));
        }
        self.kind.forward(x)
    }
}

/// Half a wave of the cosine, behind a linear warm-up.
fn rate(step: usize) -> f64 {
    if step < WARM_UP {
        return 1e-3 * step as f64 / WARM_UP as f64;
    }
    let done = (step - WARM_UP) as f64 / (STEPS - 1 - WARM_UP) as f64;
    0.5e-3 * (1.0 + (std::f64::consts::PI * done).cos())
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(431);
    let (counts, kinds) = spectra();
    let counts = Tensor::<2>::from_data(TensorData::new(counts, [SPECTRA, BANDS]), &device);
    let kinds = Tensor::<1, Int>::from_data(kinds.as_slice(), &device);
    let mut model = Spectrometer::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().init();
    let cross_entropy = CrossEntropyLossConfig::new().init(&device);

    for step in 0..STEPS {
        let rows = step * BATCH % SPECTRA..step * BATCH % SPECTRA + BATCH;
        let scores = model.forward(counts.clone().slice(s![rows.clone()]));
        let loss = cross_entropy.forward(scores, kinds.clone().slice(s![rows]));
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(rate(step), model, gradients);
    }
}
