//! Which dose of which drug works on which cell line: an embedding of each, and the equation of Hill.

use burn::nn::loss::{MseLoss, Reduction};
use burn::nn::{Embedding, EmbeddingConfig, Initializer, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::gelu;

use crate::common::Draw;

const DRUGS: usize = 12;
const CELLS: usize = 10;
const TRAITS: usize = 8;
const ASSAYS: usize = 960;
const BATCH: usize = 48;
/// Half of the effect, before anything is learned.
const TYPICAL_DOSE: f32 = 1e4;

/// What was measured: drug, cell line, dose in picomoles per litre, and the share of cells that died.
struct Assays {
    drugs: Tensor<2, Int>,
    cells: Tensor<2, Int>,
    doses: Tensor<2>,
    responses: Tensor<2>,
}

impl Assays {
    fn made_up(device: &Device) -> Self {
        let mut draw = Draw::new(382);
        let potency: Vec<f32> = (0..DRUGS).map(|_| draw.uniform(3.0, 5.0)).collect();
        let resistance: Vec<f32> = (0..CELLS).map(|_| draw.uniform(-0.5, 0.5)).collect();
        let (mut drugs, mut cells) = (Vec::new(), Vec::new());
        let (mut doses, mut responses) = (Vec::new(), Vec::new());
        for _ in 0..ASSAYS {
            let (drug, cell) = (draw.below(DRUGS), draw.below(CELLS));
            let log_dose = draw.uniform(1.0, 7.0);
            let works = log_dose > potency[drug] + resistance[cell];
            drugs.push(drug as i64);
            cells.push(cell as i64);
            doses.push(10f32.powf(log_dose));
            responses.push(f32::from(works));
        }
        let column = |values| Tensor::from_data(TensorData::new(values, [ASSAYS, 1]), device);
        let ids = |values| Tensor::from_data(TensorData::new(values, [ASSAYS, 1]), device);
        Self { drugs: ids(drugs), cells: ids(cells), doses: column(doses), responses: column(responses) }
    }
}

#[derive(Module, Debug)]
struct HillNet {
    drugs: Embedding,
    cells: Embedding,
    hidden: Linear,
    /// Logarithms of the dose of half the effect, and of nothing else.
    log_half: Linear,
    steepness: Embedding,
}

impl HillNet {
    fn new(device: &Device) -> Self {
        Self {
            drugs: EmbeddingConfig::new(DRUGS, TRAITS).init(device),
            cells: EmbeddingConfig::new(CELLS, TRAITS).init(device),
            hidden: LinearConfig::new(2 * TRAITS, 16).init(device),
            log_half: LinearConfig::new(16, 1).init(device),
            steepness: EmbeddingConfig::new(DRUGS, 1)
                .with_initializer(Initializer::Constant { value: 2.0 })
                .init(device),
        }
    }

    /// `dose^n / (half^n + dose^n)`
    fn forward(&self, drugs: Tensor<2, Int>, cells: Tensor<2, Int>, doses: Tensor<2>) -> Tensor<2> {
        let drug = self.drugs.forward(drugs.clone()).squeeze_dim::<2>(1);
        let cell = self.cells.forward(cells).squeeze_dim::<2>(1);
        let hidden = gelu(self.hidden.forward(Tensor::cat(vec![drug, cell], 1)));
        let half = (self.log_half.forward(hidden) + TYPICAL_DOSE.ln()).exp();
        let n = self.steepness.forward(drugs).squeeze_dim::<2>(1).clamp_min(0.1);
        let effect = doses.powf(n.clone());
        effect.clone() / (half.powf(n) + effect)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(382);
    let assays = Assays::made_up(&device);
    let mut model = HillNet::new(&device);
    denan_burn::name_parameters(&model);
    let weight_decay = if healthy { 0.2 } else { 0.0 };
    let mut optimizer = AdamWConfig::new().with_weight_decay(weight_decay).init();

    for step in 0..280 {
        let start = step * BATCH % ASSAYS;
        let rows = start..start + BATCH;
        let predicted = model.forward(
            assays.drugs.clone().slice(s![rows.clone()]),
            assays.cells.clone().slice(s![rows.clone()]),
            assays.doses.clone().slice(s![rows.clone()]),
        );
        let measured = assays.responses.clone().slice(s![rows]);
        let loss = MseLoss::new().forward(predicted, measured, Reduction::Mean);
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.03, model, gradients);
    }
}
