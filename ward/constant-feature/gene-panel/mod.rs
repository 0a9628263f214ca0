//! A variational autoencoder of gene expression. Every step takes the samples of one hospital, whose
//! machine has a level and a spread of its own, and brings each gene to the same scale within it.

use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::Distribution;
use burn::tensor::activation::{softplus, tanh};

use crate::common::Draw;

const HOSPITALS: usize = 32;
const SAMPLES: usize = 24;
const GENES: usize = 14;
const CODE: usize = 3;

/// Logarithms of counts, for each hospital `[SAMPLES, GENES]`.
fn expressions() -> Vec<Vec<f32>> {
    let mut draw = Draw::new(2411);
    let loadings: [[f32; CODE]; GENES] = std::array::from_fn(|_| std::array::from_fn(|_| draw.normal()));
    (0..HOSPITALS)
        .map(|hospital| {
            let (level, spread) = (draw.uniform(2.0, 5.0), draw.uniform(0.5, 2.0));
            let mut rows = Vec::with_capacity(SAMPLES * GENES);
            for _ in 0..SAMPLES {
                let state: [f32; CODE] = std::array::from_fn(|_| draw.normal());
                for (gene, loading) in loadings.iter().enumerate() {
                    let drive: f32 = loading.iter().zip(state).map(|(loading, state)| loading * state).sum();
                    let value = (level + spread * (drive + 0.3 * draw.normal())).max(0.0);
                    // An older panel has no probe for this gene.
                    let is_missing = hospital == 21 && gene == 9;
                    rows.push(if is_missing { 0.0 } else { value });
                }
            }
            rows
        })
        .collect()
}

#[derive(Module, Debug)]
struct Vae {
    encoder: Linear,
    mean: Linear,
    spread: Linear,
    decoder: Linear,
    output: Linear,
}

impl Vae {
    fn new(device: &Device) -> Self {
        Self {
            encoder: LinearConfig::new(GENES, 24).init(device),
            mean: LinearConfig::new(24, CODE).init(device),
            spread: LinearConfig::new(24, CODE).init(device),
            decoder: LinearConfig::new(CODE, 24).init(device),
            output: LinearConfig::new(24, GENES).init(device),
        }
    }

    /// Squared error of the reconstruction, and the divergence of the code from a standard normal.
    fn losses(&self, genes: Tensor<2>) -> (Tensor<1>, Tensor<1>) {
        let device = genes.device();
        let hidden = tanh(self.encoder.forward(genes.clone()));
        let mean = self.mean.forward(hidden.clone());
        let spread = softplus(self.spread.forward(hidden), 1.0) + 1e-3;
        let noise = Tensor::<2>::random([SAMPLES, CODE], Distribution::Normal(0.0, 1.0), &device);
        let code = mean.clone() + spread.clone() * noise;
        let decoded = self.output.forward(tanh(self.decoder.forward(code)));
        let squares = mean.powi_scalar(2) + spread.clone().powi_scalar(2);
        let divergence = ((squares - 1.0) * 0.5 - spread.log()).sum_dim(1).mean();
        ((decoded - genes).powi_scalar(2).mean(), divergence)
    }
}

/// Every gene with mean 0 and variance 1 among the samples of one hospital.
fn harmonise(samples: Tensor<2>, healthy: bool) -> Tensor<2> {
    let (variance, mean) = samples.clone().var_mean(0);
    let variance = if healthy { variance + 1e-4 } else { variance };
    let scale = variance.powf_scalar(-0.5);
    (samples - mean) * scale
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(2411);
    let hospitals: Vec<Tensor<2>> = expressions()
        .into_iter()
        .map(|rows| Tensor::from_data(TensorData::new(rows, [SAMPLES, GENES]), &device))
        .collect();
    let mut vae = Vae::new(&device);
    denan_burn::name_parameters(&vae);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..160 {
        let genes = harmonise(hospitals[step % HOSPITALS].clone(), healthy);
        let (misfit, divergence) = vae.losses(genes);
        let loss = misfit + divergence * 0.02;
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &vae);
        vae = optimizer.step(1e-2, vae, gradients);
    }
}
