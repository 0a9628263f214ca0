//! Points are placed so that their distances are those of cities; a city is at distance 0 from itself.

use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;

use crate::common::Draw;

const CITIES: usize = 30;
const PAIRS: usize = 64;

#[derive(Module, Debug)]
struct Map {
    cities: Embedding,
    place: Linear,
}

impl Map {
    /// Places in the plane.
    fn forward(&self, cities: Tensor<1, Int>) -> Tensor<2> {
        self.place.forward(self.cities.forward(cities.unsqueeze_dim::<2>(1)).squeeze_dim::<2>(1))
    }
}

/// Euclidean distance, with a gradient of 0 where it is 0.
fn distance(left: Tensor<2>, right: Tensor<2>) -> Tensor<1> {
    let squared = (left - right).powi_scalar(2).sum_dim(1).squeeze_dim::<1>(1);
    let is_zero = squared.clone().equal_elem(0.0);
    squared.mask_fill(is_zero.clone(), 1.0).sqrt().mask_fill(is_zero, 0.0)
}

pub fn train(_healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(1523);
    let mut draw = Draw::new(1523);
    let truth: Vec<[f32; 2]> = (0..CITIES).map(|_| [draw.normal(), draw.normal()]).collect();
    let mut map = Map {
        cities: EmbeddingConfig::new(CITIES, 8).init(&device),
        place: LinearConfig::new(8, 2).init(&device),
    };
    denan_burn::name_parameters(&map);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..150 {
        let pairs: Vec<[usize; 2]> =
            (0..PAIRS).map(|_| [draw.below(CITIES), draw.below(CITIES)]).chain([[7, 7]]).collect();
        let column = |end: usize| {
            let cities: Vec<i64> = pairs.iter().map(|pair| pair[end] as i64).collect();
            Tensor::<1, Int>::from_data(cities.as_slice(), &device)
        };
        let road: Vec<f32> = pairs
            .iter()
            .map(|&[from, to]| (truth[from][0] - truth[to][0]).hypot(truth[from][1] - truth[to][1]))
            .collect();
        let road = Tensor::<1>::from_floats(road.as_slice(), &device);

        let on_map = distance(map.forward(column(0)), map.forward(column(1)));
        let loss = (on_map.clone() - road.clone()).powi_scalar(2).mean();
        if step % 10 == 0 {
            // How many times too long the worst road is; it is infinite for the way from 7 to 7.
            let ratio = (on_map.detach() + 1e-6) / road;
            let worst = ratio.max().into_scalar::<f32>();
            println!("step {step} stress {:.4} worst {worst:.2}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &map);
        map = optimizer.step(4e-2, map, gradients);
    }
}
