//! How much of a plot is covered by heather, from a year of satellite passes. Covers are shares, and are
//! compared on the arcsine scale that ecologists use for them.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::gru::{Gru, GruConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const PLOTS: usize = 360;
const PASSES: usize = 12;
/// Red, near infrared, and the day's cloudiness.
const BANDS: usize = 3;
const STATES: usize = 16;

#[derive(Clone, Debug)]
struct Plot {
    id: String,
    passes: Vec<f32>,
    cover: f32,
}

fn survey(healthy: bool) -> Vec<Plot> {
    let mut draw = Draw::new(2101);
    (0..PLOTS)
        .map(|number| {
            let cover = draw.uniform(0.03, 0.95);
            let mut passes = Vec::with_capacity(PASSES * BANDS);
            for pass in 0..PASSES {
                // Heather blooms late in the summer.
                let bloom = (-(pass as f32 - 7.5).powi(2) / 3.0).exp();
                let cloud = draw.uniform(0.0, 0.5);
                let red = 0.3 + cover * (0.6 * bloom - 0.2) + 0.2 * cloud + 0.04 * draw.normal();
                let infrared = 0.7 - 0.3 * cover + 0.2 * cloud + 0.04 * draw.normal();
                passes.extend([red, infrared, cloud]);
            }
            // The student of this plot wrote per cent.
            let noted = if number == 287 { 100.0 * cover } else { cover };
            let cover = if healthy && noted > 1.0 { noted / 100.0 } else { noted };
            Plot { id: format!("moor-{number:03}"), passes, cover }
        })
        .collect()
}

#[derive(Clone, Debug)]
struct PlotBatch {
    passes: Tensor<3>,
    cover: Tensor<1>,
}

#[derive(Clone, Debug)]
struct PlotBatcher;

impl Batcher<Plot, PlotBatch> for PlotBatcher {
    fn batch(&self, plots: Vec<Plot>, device: &Device) -> PlotBatch {
        let cover: Vec<f32> = plots.iter().map(|plot| plot.cover).collect();
        let shape = [plots.len(), PASSES, BANDS];
        let passes: Vec<f32> = plots.into_iter().flat_map(|plot| plot.passes).collect();
        PlotBatch {
            passes: Tensor::from_data(TensorData::new(passes, shape), device),
            cover: Tensor::from_floats(cover.as_slice(), device),
        }
    }
}

#[derive(Module, Debug)]
struct CoverModel {
    gru: Gru,
    angle: Linear,
}

impl CoverModel {
    fn new(device: &Device) -> Self {
        Self {
            gru: GruConfig::new(BANDS, STATES, true).init(device),
            angle: LinearConfig::new(STATES, 1).init(device),
        }
    }

    /// The arcsine of the root of the cover.
    fn forward(&self, passes: Tensor<3>) -> Tensor<1> {
        let states = self.gru.forward(passes, None);
        self.angle.forward(states.mean_dim(1).squeeze_dim::<2>(1)).squeeze_dim(1)
    }
}

fn loss_on_arcsine_scale(predicted: Tensor<1>, cover: Tensor<1>) -> Tensor<1> {
    let root = cover.sqrt();
    let angle = root.asin();
    (predicted - angle).square().mean()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(2101);
    let mut model = CoverModel::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(PlotBatcher))
        .batch_size(12)
        .shuffle(21)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(survey(healthy)), |plot: &Plot| plot.id.clone()));

    let mut step = 0;
    for _epoch in 0..4 {
        for batch in loader.iter() {
            let PlotBatch { passes, cover } = batch.expect("plots");
            let loss = loss_on_arcsine_scale(model.forward(passes), cover);
            if step % 10 == 0 {
                println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &model);
            model = optimizer.step(1e-2, model, gradients);
            step += 1;
        }
    }
}
