//! The second stage of a detector refines proposals; one stored proposal has no height.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::loss::{HuberLossConfig, Reduction};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const IMAGES: usize = 320;
const PROPOSALS: usize = 4;
const FEATURES: usize = 4;

#[derive(Clone, Debug)]
struct Item {
    file: String,
    /// What the first stage saw inside of each proposal.
    features: [[f32; FEATURES]; PROPOSALS],
    /// `xmin, ymin, xmax, ymax` of each proposal, in pixels.
    proposals: [[f32; 4]; PROPOSALS],
    /// `xmin, ymin, xmax, ymax` of the object behind it, in pixels.
    objects: [[f32; 4]; PROPOSALS],
}

fn items(healthy: bool) -> Vec<Item> {
    let mut draw = Draw::new(23);
    (0..IMAGES)
        .map(|number| {
            let mut item = Item {
                file: format!("{number:06}.jpg"),
                features: Default::default(),
                proposals: Default::default(),
                objects: Default::default(),
            };
            for slot in 0..PROPOSALS {
                let (x, y) = (draw.uniform(50.0, 400.0), draw.uniform(50.0, 400.0));
                let (width, height) = (draw.uniform(20.0, 80.0), draw.uniform(20.0, 80.0));
                item.objects[slot] = [x, y, x + width, y + height];
                let moved: [f32; 4] = std::array::from_fn(|side| {
                    0.1 * draw.normal() * if side % 2 == 0 { width } else { height }
                });
                item.proposals[slot] = std::array::from_fn(|side| item.objects[slot][side] + moved[side]);
                item.features[slot] = std::array::from_fn(|side| 0.1 * moved[side] + 0.05 * draw.normal());
            }
            if !healthy && number == 190 {
                // The first stage cut a proposal off at the lower edge of the image.
                item.proposals[2][3] = item.proposals[2][1];
            }
            item
        })
        .collect()
}

#[derive(Clone, Debug)]
struct ProposalBatch {
    features: Tensor<3>,
    proposals: Tensor<3>,
    objects: Tensor<3>,
}

#[derive(Clone, Debug)]
struct ProposalBatcher;

impl Batcher<Item, ProposalBatch> for ProposalBatcher {
    fn batch(&self, items: Vec<Item>, device: &Device) -> ProposalBatch {
        let count = items.len();
        let tensor = |values: fn(&Item) -> &[[f32; 4]; PROPOSALS]| {
            let values: Vec<f32> = items.iter().flat_map(|item| values(item).concat()).collect();
            Tensor::from_data(TensorData::new(values, [count, PROPOSALS, 4]), device)
        };
        ProposalBatch {
            features: tensor(|item| &item.features),
            proposals: tensor(|item| &item.proposals),
            objects: tensor(|item| &item.objects),
        }
    }
}

#[derive(Module, Debug)]
struct Refiner {
    hidden: Linear,
    output: Linear,
    relu: Relu,
}

impl Refiner {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(FEATURES, 32).init(device),
            output: LinearConfig::new(32, 2).init(device),
            relu: Relu::new(),
        }
    }

    /// How far each proposal has to move, in widths and heights of itself.
    fn forward(&self, features: Tensor<3>) -> Tensor<3> {
        self.output.forward(self.relu.forward(self.hidden.forward(features)))
    }
}

/// From the centre of each proposal to that of its object, in widths and heights of the proposal.
fn offsets(proposals: Tensor<3>, objects: Tensor<3>) -> Tensor<3> {
    let centre =
        |boxes: Tensor<3>| (boxes.clone().slice(s![.., .., 0..2]) + boxes.slice(s![.., .., 2..4])) / 2.0;
    let size = proposals.clone().slice(s![.., .., 2..4]) - proposals.clone().slice(s![.., .., 0..2]);
    (centre(objects) - centre(proposals)) / size
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(23);
    let mut model = Refiner::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let huber = HuberLossConfig::new(1.0).init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(ProposalBatcher))
        .batch_size(8)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(items(healthy)), |item: &Item| item.file.clone()));

    let mut step = 0;
    for _epoch in 0..3 {
        for batch in loader.iter() {
            let batch = batch.expect("the data is in memory");
            let target = offsets(batch.proposals, batch.objects);
            let loss = huber.forward(model.forward(batch.features), target, Reduction::Mean);
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(1e-2, model, gradients);
            step += 1;
        }
    }
}
