//! Patches of sea surface temperature, and how deep the mixed layer below is.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{AdaptiveAvgPool2d, AdaptiveAvgPool2dConfig};
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const PATCHES: usize = 288;
const SIDE: usize = 8;
/// What the NetCDF library writes where there is no value.
const NC_FILL_FLOAT: f32 = 9.969_21e36;

#[derive(Clone, Debug)]
struct Patch {
    /// File and index of the patch in it.
    source: String,
    /// In °C, less the mean of the region.
    temperature: Vec<f32>,
    depth: f32,
}

fn read_patches(healthy: bool) -> Vec<Patch> {
    let mut draw = Draw::new(907);
    (0..PATCHES)
        .map(|number| {
            let (slope, turn) = (draw.uniform(-1.0, 1.0), draw.uniform(-1.0, 1.0));
            let mut temperature: Vec<f32> = (0..SIDE * SIDE)
                .map(|cell| {
                    let (y, x) = ((cell / SIDE) as f32 / 7.0 - 0.5, (cell % SIDE) as f32 / 7.0 - 0.5);
                    slope + 2.0 * turn * x * y + 0.3 * slope * x + 0.05 * draw.normal()
                })
                .collect();
            if number == 194 {
                // An islet.
                temperature[27] = NC_FILL_FLOAT;
            }
            if healthy {
                temperature.iter_mut().filter(|value| **value > 1e30).for_each(|value| *value = 0.0);
            }
            let source = format!("sst_2019_{:02}.nc#{}", 1 + number / 24, number % 24);
            Patch { source, temperature, depth: 0.6 - 0.4 * slope + 0.05 * draw.normal() }
        })
        .collect()
}

#[derive(Clone, Debug)]
struct Patches {
    temperature: Tensor<4>,
    depth: Tensor<2>,
}

#[derive(Clone, Debug)]
struct PatchBatcher;

impl Batcher<Patch, Patches> for PatchBatcher {
    fn batch(&self, items: Vec<Patch>, device: &Device) -> Patches {
        let count = items.len();
        let temperature: Vec<f32> = items.iter().flat_map(|item| item.temperature.clone()).collect();
        let depth: Vec<f32> = items.iter().map(|item| item.depth).collect();
        Patches {
            temperature: Tensor::from_data(TensorData::new(temperature, [count, 1, SIDE, SIDE]), device),
            depth: Tensor::from_data(TensorData::new(depth, [count, 1]), device),
        }
    }
}

#[derive(Module, Debug)]
struct DepthNet {
    conv1: Conv2d,
    conv2: Conv2d,
    pool: AdaptiveAvgPool2d,
    head: Linear,
    relu: Relu,
}

impl DepthNet {
    fn new(device: &Device) -> Self {
        Self {
            conv1: Conv2dConfig::new([1, 8], [3, 3]).init(device),
            conv2: Conv2dConfig::new([8, 12], [3, 3]).init(device),
            pool: AdaptiveAvgPool2dConfig::new([1, 1]).init(),
            head: LinearConfig::new(12, 1).init(device),
            relu: Relu::new(),
        }
    }

    fn forward(&self, temperature: Tensor<4>) -> Tensor<2> {
        let features = self.relu.forward(self.conv1.forward(temperature));
        let features = self.relu.forward(self.conv2.forward(features));
        self.head.forward(self.pool.forward(features).flatten(1, 3))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(907);
    let mut model = DepthNet::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let patches = watched(InMemDataset::new(read_patches(healthy)), |patch: &Patch| patch.source.clone());
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(PatchBatcher))
        .batch_size(12)
        .shuffle(8)
        .set_device(device.clone())
        .build(patches);

    let mut step = 0;
    for _epoch in 0..5 {
        for batch in loader.iter() {
            let Patches { temperature, depth } = batch.expect("patches");
            let difference = model.forward(temperature) - depth;
            let loss = difference.powi_scalar(2).mean();
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(1e-2, model, gradients);
            step += 1;
        }
    }
}
