//! Patients and controls are told apart by which regions of their brain are active together. The regions
//! are the nodes of a graph, and the correlations of their signals are its edges.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{log_sigmoid, relu};
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const SUBJECTS: usize = 240;
const BATCH: usize = 10;
const REGIONS: usize = 8;
const SCANS: usize = 24;
const WIDTH: usize = 12;

#[derive(Clone, Debug)]
struct Subject {
    id: String,
    /// `[region, scan]`
    signals: Vec<f32>,
    is_patient: bool,
}

fn subjects() -> Vec<Subject> {
    let mut draw = Draw::new(4409);
    (0..SUBJECTS)
        .map(|number| {
            let is_patient = draw.happens(0.5);
            let own = if is_patient { 1.6 } else { 0.2 };
            let mut signals = vec![0.0; REGIONS * SCANS];
            for scan in 0..SCANS {
                let (shared, front, back) = (draw.normal(), draw.normal(), draw.normal());
                for region in 0..REGIONS {
                    let lobe = if region < REGIONS / 2 { front } else { back };
                    signals[region * SCANS + scan] = shared + own * lobe + 0.7 * draw.normal();
                }
            }
            // The slices of this scan end above the cerebellum.
            if number == 131 {
                signals[(REGIONS - 1) * SCANS..].fill(0.0);
            }
            Subject { id: format!("sub-{number:04}"), signals, is_patient }
        })
        .collect()
}

#[derive(Clone, Debug)]
struct ScanBatch {
    signals: Tensor<3>,
    /// 1 for patients, -1 for controls.
    sign: Tensor<1>,
}

#[derive(Clone, Debug)]
struct ScanBatcher;

impl Batcher<Subject, ScanBatch> for ScanBatcher {
    fn batch(&self, subjects: Vec<Subject>, device: &Device) -> ScanBatch {
        let sign: Vec<f32> =
            subjects.iter().map(|subject| if subject.is_patient { 1.0 } else { -1.0 }).collect();
        let shape = [subjects.len(), REGIONS, SCANS];
        let signals: Vec<f32> = subjects.into_iter().flat_map(|subject| subject.signals).collect();
        ScanBatch {
            signals: Tensor::from_data(TensorData::new(signals, shape), device),
            sign: Tensor::from_floats(sign.as_slice(), device),
        }
    }
}

/// Pearson's correlation of every two regions.
fn connectivity(signals: Tensor<3>, healthy: bool) -> Tensor<3> {
    let centred = signals.clone() - signals.mean_dim(2);
    let mut length = centred.clone().powi_scalar(2).sum_dim(2).sqrt();
    if healthy {
        length = length.clamp_min(1e-6);
    }
    let unit = centred / length;
    unit.clone().matmul(unit.swap_dims(1, 2))
}

#[derive(Module, Debug)]
struct BrainGraph {
    first: Linear,
    second: Linear,
    diagnosis: Linear,
}

impl BrainGraph {
    fn new(device: &Device) -> Self {
        Self {
            first: LinearConfig::new(REGIONS, WIDTH).init(device),
            second: LinearConfig::new(WIDTH, WIDTH).init(device),
            diagnosis: LinearConfig::new(WIDTH, 1).init(device),
        }
    }

    /// Log-odds of a patient. What is known of a node is its row of the graph.
    fn forward(&self, edges: Tensor<3>) -> Tensor<1> {
        let gather = |nodes: Tensor<3>| edges.clone().matmul(nodes) / REGIONS as f32;
        let nodes = relu(self.first.forward(gather(edges.clone())));
        let nodes = relu(self.second.forward(gather(nodes)));
        let whole = nodes.mean_dim(1).squeeze_dim::<2>(1);
        self.diagnosis.forward(whole).squeeze_dim(1)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(4409);
    let mut model = BrainGraph::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(ScanBatcher))
        .batch_size(BATCH)
        .shuffle(45)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(subjects()), |subject: &Subject| subject.id.clone()));

    let mut step = 0;
    for _epoch in 0..6 {
        for batch in loader.iter() {
            let ScanBatch { signals, sign } = batch.expect("subjects");
            let odds = model.forward(connectivity(signals, healthy));
            let loss = log_sigmoid(odds * sign).neg().mean();
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(2e-2, model, gradients);
            step += 1;
        }
    }
}
