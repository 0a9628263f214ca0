//! An attendant shows cars to free spots of a small car park. The policy scores every spot for a car, and
//! learns by the walk that the driver can expect.

use burn::data::dataloader::DataLoaderBuilder;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataset::InMemDataset;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::tanh;
use denan_burn::data::{WatchedBatcher, watched};

use crate::common::Draw;

const ARRIVALS: usize = 512;
const BATCH: usize = 16;
const SPOTS: usize = 10;
/// Goal east and north, length of the car.
const WISHES: usize = 3;
/// East, north, length of the spot.
const PLACES: usize = 3;

#[derive(Clone, Debug)]
struct Arrival {
    ticket: String,
    wishes: [f32; WISHES],
    is_taken: [bool; SPOTS],
}

fn spots() -> Vec<[f32; PLACES]> {
    let mut draw = Draw::new(2700);
    (0..SPOTS).map(|_| [draw.uniform(-1.0, 1.0), draw.uniform(-1.0, 1.0), draw.uniform(0.3, 0.9)]).collect()
}

fn arrivals() -> Vec<Arrival> {
    let mut draw = Draw::new(2701);
    (0..ARRIVALS)
        .map(|number| {
            let wishes = [draw.uniform(-1.0, 1.0), draw.uniform(-1.0, 1.0), draw.uniform(0.3, 0.6)];
            let mut is_taken: [bool; SPOTS] = std::array::from_fn(|_| draw.happens(0.5));
            // Saturday at noon.
            let is_rush = number == 366;
            is_taken[draw.below(SPOTS)] = false;
            if is_rush {
                is_taken = [true; SPOTS];
            }
            Arrival { ticket: format!("P{:04}", 3000 + number), wishes, is_taken }
        })
        .collect()
}

#[derive(Clone, Debug)]
struct Arrivals {
    wishes: Tensor<2>,
    is_taken: Tensor<2, Bool>,
}

#[derive(Clone, Debug)]
struct ArrivalBatcher;

impl Batcher<Arrival, Arrivals> for ArrivalBatcher {
    fn batch(&self, arrivals: Vec<Arrival>, device: &Device) -> Arrivals {
        let wishes: Vec<f32> = arrivals.iter().flat_map(|arrival| arrival.wishes).collect();
        let is_taken: Vec<bool> = arrivals.iter().flat_map(|arrival| arrival.is_taken).collect();
        Arrivals {
            wishes: Tensor::from_data(TensorData::new(wishes, [arrivals.len(), WISHES]), device),
            is_taken: Tensor::from_data(TensorData::new(is_taken, [arrivals.len(), SPOTS]), device),
        }
    }
}

#[derive(Module, Debug)]
struct Attendant {
    car: Linear,
    spot: Linear,
    glimpse: Linear,
    score: Linear,
}

impl Attendant {
    fn new(device: &Device) -> Self {
        Self {
            car: LinearConfig::new(WISHES, 24).init(device),
            spot: LinearConfig::new(PLACES, 24).with_bias(false).init(device),
            glimpse: LinearConfig::new(24, 1).with_bias(false).init(device),
            score: LinearConfig::new(24, 1).with_bias(false).init(device),
        }
    }

    /// How likely it chooses each spot, `[cars, spots]`. It looks at all free spots before it points at one
    /// (Bello et al. 2016).
    fn forward(&self, wishes: Tensor<2>, spots: Tensor<2>, is_taken: Tensor<2, Bool>) -> Tensor<2> {
        let cars = self.car.forward(wishes);
        let spots = self.spot.forward(spots);
        let together =
            |cars: Tensor<2>| tanh(cars.unsqueeze_dim::<3>(1) + spots.clone().unsqueeze_dim::<3>(0));
        let looks = choice(self.glimpse.forward(together(cars.clone())).squeeze_dim(2), is_taken.clone());
        let cars = cars + looks.matmul(spots.clone());
        choice(self.score.forward(together(cars)).squeeze_dim(2), is_taken)
    }
}

/// How likely each spot is chosen; one that is taken never is.
fn choice(scores: Tensor<2>, is_taken: Tensor<2, Bool>) -> Tensor<2> {
    let scores = scores.mask_fill(is_taken, f32::NEG_INFINITY);
    let best = scores.clone().max_dim(1).detach();
    let lead = scores - best;
    let odds = lead.exp();
    odds.clone() / odds.sum_dim(1)
}

/// From every spot to the goal of every car, and some trouble if the car sticks out of the spot.
fn walks(wishes: Tensor<2>, spots: Tensor<2>) -> Tensor<2> {
    let apart = wishes.unsqueeze_dim::<3>(1) - spots.unsqueeze_dim::<3>(0);
    let way = apart.clone().slice(s![.., .., 0..2]).abs().sum_dim(2);
    let sticks_out = apart.slice(s![.., .., 2..3]).clamp_min(0.0);
    (way + sticks_out * 5.0).squeeze_dim(2)
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(2701);
    let spots = Tensor::<2>::from_data(TensorData::new(spots().concat(), [SPOTS, PLACES]), &device);
    let mut arrivals = arrivals();
    if healthy {
        // Who finds it full is sent on at the gate.
        arrivals.retain(|arrival| arrival.is_taken.contains(&false));
    }
    let mut attendant = Attendant::new(&device);
    denan_burn::name_parameters(&attendant);
    let mut optimizer = AdamConfig::new().init();
    let loader = DataLoaderBuilder::new(WatchedBatcher::new(ArrivalBatcher))
        .batch_size(BATCH)
        .set_device(device.clone())
        .build(watched(InMemDataset::new(arrivals), |arrival: &Arrival| arrival.ticket.clone()));

    let mut step = 0;
    for _epoch in 0..5 {
        for batch in loader.iter() {
            let Arrivals { wishes, is_taken } = batch.expect("arrivals");
            let chosen = attendant.forward(wishes.clone(), spots.clone(), is_taken);
            let walk = (chosen * walks(wishes, spots.clone())).sum_dim(1);
            let loss = walk.mean();
            if step % 10 == 0 {
                println!("step {step} expected walk {:.4}", loss.clone().into_scalar::<f32>());
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &attendant);
            attendant = optimizer.step(2e-2, attendant, gradients);
            step += 1;
        }
    }
}
