//! How much electricity a delivery van takes on each leg of its tour, learned per kilometre.

use burn::nn::gru::{BiGru, BiGruConfig};
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const TOURS: usize = 400;
const BATCH: usize = 16;
const LEGS: usize = 6;
/// Kilometres, load, slope.
const FEATURES: usize = 3;
const WIDTH: usize = 10;

struct Tours {
    legs: Vec<f32>,
    kilometres: Vec<f32>,
    /// kWh on 100 km.
    consumption: Vec<f32>,
}

fn tours() -> Tours {
    let mut draw = Draw::new(1009);
    let mut tours = Tours { legs: vec![], kilometres: vec![], consumption: vec![] };
    for tour in 0..TOURS {
        let mut load = 1.0;
        for leg in 0..LEGS {
            // The second parcel at the same door.
            let stays = tour >= 340 && leg > 0 && draw.happens(0.1);
            let kilometres = if stays { 0.0 } else { draw.uniform(0.5, 3.0) };
            let slope = draw.uniform(-1.0, 1.0);
            tours.legs.extend([kilometres, load, slope]);
            tours.kilometres.push(kilometres);
            let taken = 0.8 + 0.5 * load + 0.4 * slope + 0.05 * draw.normal();
            tours.consumption.push(if stays { 0.0 } else { taken });
            load -= draw.uniform(0.05, 0.15);
        }
    }
    tours
}

#[derive(Module, Debug)]
struct Consumption {
    gru: BiGru,
    output: Linear,
}

impl Consumption {
    fn new(device: &Device) -> Self {
        Self {
            gru: BiGruConfig::new(FEATURES, WIDTH, true).init(device),
            output: LinearConfig::new(2 * WIDTH, 1).init(device),
        }
    }

    /// Energy of each leg.
    fn forward(&self, legs: Tensor<3>) -> Tensor<2> {
        let (states, _) = self.gru.forward(legs, None);
        self.output.forward(states).squeeze_dim(2)
    }
}

/// Squared error of the consumption on all legs on which the van moved.
fn consumption_loss(
    energy: Tensor<2>,
    kilometres: Tensor<2>,
    measured: Tensor<2>,
    healthy: bool,
) -> Tensor<1> {
    let parked = kilometres.clone().equal_elem(0.0);
    let kilometres = if healthy { kilometres.mask_fill(parked.clone(), 1.0) } else { kilometres };
    let consumption = energy / kilometres;
    let error = (consumption - measured).mask_fill(parked.clone(), 0.0);
    error.powi_scalar(2).sum() / parked.bool_not().float().sum()
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(1009);
    let Tours { legs, kilometres, consumption } = tours();
    let legs = Tensor::<3>::from_data(TensorData::new(legs, [TOURS, LEGS, FEATURES]), &device);
    let kilometres = Tensor::<2>::from_data(TensorData::new(kilometres, [TOURS, LEGS]), &device);
    let consumption = Tensor::<2>::from_data(TensorData::new(consumption, [TOURS, LEGS]), &device);
    let mut model = Consumption::new(&device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..100 {
        let first = step * BATCH % TOURS;
        let rows = s![first..first + BATCH];
        let energy = model.forward(legs.clone().slice(rows));
        let kilometres = kilometres.clone().slice(rows);
        let loss = consumption_loss(energy, kilometres, consumption.clone().slice(rows), healthy);
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-2, model, gradients);
    }
}
