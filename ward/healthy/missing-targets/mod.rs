//! An MLP predicts three lab values of a patient; those that were not taken are NaN and are left out of the loss.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const PATIENTS: usize = 384;
const FEATURES: usize = 5;
const VALUES: usize = 3;

#[derive(Clone, Debug)]
struct Patient {
    id: String,
    features: [f32; FEATURES],
    values: [f32; VALUES],
}

fn patients() -> Vec<Patient> {
    let mut draw = Draw::new(103);
    (0..PATIENTS)
        .map(|number| {
            let features: [f32; FEATURES] = std::array::from_fn(|_| draw.normal());
            let values = std::array::from_fn(|at| {
                let value = features[at] - 0.5 * features[at + 1] + 0.1 * draw.normal();
                if draw.happens(0.3) { f32::NAN } else { value }
            });
            Patient { id: format!("patient-{number:03}"), features, values }
        })
        .collect()
}

#[derive(Clone, Debug)]
struct PatientBatch {
    features: Tensor<2>,
    values: Tensor<2>,
}

#[derive(Clone, Debug)]
struct PatientBatcher;

impl Batcher<Patient, PatientBatch> for PatientBatcher {
    fn batch(&self, patients: Vec<Patient>, device: &Device) -> PatientBatch {
        let count = patients.len();
        let features: Vec<f32> = patients.iter().flat_map(|patient| patient.features).collect();
        let values: Vec<f32> = patients.iter().flat_map(|patient| patient.values).collect();
        PatientBatch {
            features: Tensor::from_data(TensorData::new(features, [count, FEATURES]), device),
            values: Tensor::from_data(TensorData::new(values, [count, VALUES]), device),
        }
    }
}

#[derive(Module, Debug)]
struct Mlp {
    hidden: Linear,
    output: Linear,
    relu: Relu,
}

impl Mlp {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(FEATURES, 32).init(device),
            output: LinearConfig::new(32, VALUES).init(device),
            relu: Relu::new(),
        }
    }

    fn forward(&self, features: Tensor<2>) -> Tensor<2> {
        self.output.forward(self.relu.forward(self.hidden.forward(features)))
    }
}

/// Mean squared error of the values that were taken.
fn masked_loss(output: Tensor<2>, values: Tensor<2>) -> Tensor<1> {
    let is_missing = values.clone().is_nan();
    let taken = is_missing.clone().bool_not().float().sum().clamp_min(1.0);
    // A missing value is replaced before it meets the output, so that no gradient sees it.
    let values = values.mask_where(is_missing, output.clone().detach());
    (output - values).powi_scalar(2).sum() / taken
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(103);
    let mut model = Mlp::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(PatientBatcher))
        .batch_size(16)
        .shuffle(103)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(patients()), |patient: &Patient| patient.id.clone()));

    let mut step = 0;
    for _epoch in 0..5 {
        for batch in loader.iter() {
            let batch = batch.expect("the data is in memory");
            let loss = masked_loss(model.forward(batch.features), batch.values);
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(1e-2, model, gradients);
            step += 1;
        }
    }
}
