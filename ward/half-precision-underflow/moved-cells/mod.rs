//! What a drug does to cells: a network moves untreated cells to where treated ones are. Which cell goes where is
//! found by Sinkhorn's rounds, with a blur that becomes smaller little by little (Cuturi 2013).

use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::FloatDType;
use burn::tensor::activation::gelu;

use crate::common::Draw;

const CELLS: usize = 768;
const BATCH: usize = 64;
const GENES: usize = 6;
const WIDTH: usize = 32;
const ROUNDS: usize = 12;
const BLURS: [f32; 2] = [2.0, 0.12];

/// Standardised expression of cells of three types; the drug moves each type to somewhere else.
fn cells(treated: bool, draw: &mut Draw, device: &Device) -> Tensor<2> {
    let mut genes = Vec::with_capacity(CELLS * GENES);
    for _ in 0..CELLS {
        let kind = draw.below(3);
        for gene in 0..GENES {
            let centre = if gene % 3 == kind { 1.2 } else { -0.4 };
            let moved = match (treated, gene) {
                (true, 0 | 1) => 1.5,
                (true, 4) => -centre,
                _ => 0.0,
            };
            genes.push(centre + moved + 0.5 * draw.normal());
        }
    }
    Tensor::from_data(TensorData::new(genes, [CELLS, GENES]), device)
}

#[derive(Module, Debug)]
struct DrugEffect {
    hidden: Linear,
    inner: Linear,
    shift: Linear,
}

impl DrugEffect {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(GENES, WIDTH).init(device),
            inner: LinearConfig::new(WIDTH, WIDTH).init(device),
            shift: LinearConfig::new(WIDTH, GENES).init(device),
        }
    }

    fn forward(&self, cells: Tensor<2>) -> Tensor<2> {
        let x = gelu(self.hidden.forward(cells.clone()));
        cells + self.shift.forward(gelu(self.inner.forward(x)))
    }
}

/// Squared distances of all pairs.
fn costs(left: Tensor<2>, right: Tensor<2>) -> Tensor<2> {
    let between = left.unsqueeze_dim::<3>(1) - right.unsqueeze_dim::<3>(0);
    between.powi_scalar(2).sum_dim(2).squeeze_dim::<2>(2)
}

/// How much of each cell on the left goes to each one on the right.
fn plan(costs: Tensor<2>, blur: f32, precision: FloatDType) -> Tensor<2> {
    let [count, _] = costs.dims();
    let share = Tensor::<2>::full([count, 1], 1.0 / count as f32, &costs.device());
    let kernel = (costs / -blur).cast(precision).exp().cast(FloatDType::F32);
    let mut left = share.ones_like();
    let mut right = share.ones_like();
    for _ in 0..ROUNDS {
        left = share.clone() / kernel.clone().matmul(right);
        right = share.clone() / kernel.clone().transpose().matmul(left.clone());
    }
    left * kernel * right.transpose()
}

pub fn train(healthy: bool) {
    let precision = if healthy { FloatDType::F32 } else { FloatDType::F16 };
    let device = Device::default().autodiff();
    device.seed(4101);
    let mut draw = Draw::new(4101);
    let untreated = cells(false, &mut draw, &device);
    let treated = cells(true, &mut draw, &device);
    let mut model = DrugEffect::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    let mut blur = BLURS[0];
    for step in 0..140 {
        let rows = s![step * BATCH % CELLS..step * BATCH % CELLS + BATCH];
        let moved = model.forward(untreated.clone().slice(rows));
        let costs = costs(moved, treated.clone().slice(rows));
        let plan = plan(costs.clone().detach(), blur, precision);
        let loss = (plan * costs).sum();
        if step % 10 == 0 {
            println!("step {step} blur {blur:.3} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(4e-3, model, gradients);
        blur = (blur * 0.96).max(BLURS[1]);
    }
}
