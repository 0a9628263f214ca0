//! Pressures in networks of water pipes, from what is drawn at the junctions: a graph network that passes
//! messages along the pipes. Networks are of different sizes, so they are taken one after the other.

use burn::nn::{Linear, LinearConfig};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::leaky_relu;

use crate::common::Draw;

const NETWORKS: usize = 120;
/// Networks in a step.
const TOGETHER: usize = 10;
/// Water drawn, height, whether it is a tank.
const FEATURES: usize = 3;
const WIDTH: usize = 16;
const ROUNDS: usize = 3;

struct Network {
    junctions: usize,
    features: Tensor<2>,
    /// Shares of its neighbours in what arrives at a junction.
    pipes: Tensor<2>,
    pressures: Tensor<2>,
}

fn network(draw: &mut Draw, device: &Device) -> Network {
    let junctions = 12 + draw.below(20);
    let mut connected = vec![0.0; junctions * junctions];
    for junction in 1..junctions {
        for _ in 0..2 {
            let other = draw.below(junction);
            connected[junction * junctions + other] = 1.0;
            connected[other * junctions + junction] = 1.0;
        }
    }
    for row in connected.chunks_mut(junctions) {
        let neighbours: f32 = row.iter().sum();
        row.iter_mut().for_each(|share| *share /= neighbours);
    }
    let features: Vec<[f32; FEATURES]> =
        (0..junctions).map(|_| [draw.normal(), draw.normal(), f32::from(draw.happens(0.2))]).collect();
    let pressures: Vec<f32> = connected
        .chunks(junctions)
        .zip(&features)
        .map(|(shares, [drawn, height, tank])| {
            let around: f32 = shares.iter().zip(&features).map(|(share, other)| share * other[0]).sum();
            1.5 * tank - 0.5 * height - 0.3 * drawn - 0.6 * around + 0.05 * draw.normal()
        })
        .collect();
    Network {
        junctions,
        features: Tensor::from_data(TensorData::new(features.concat(), [junctions, FEATURES]), device),
        pipes: Tensor::from_data(TensorData::new(connected, [junctions, junctions]), device),
        pressures: Tensor::from_data(TensorData::new(pressures, [junctions, 1]), device),
    }
}

#[derive(Module, Debug)]
struct Hydraulics {
    encode: Linear,
    own: Vec<Linear>,
    around: Vec<Linear>,
    decode: Linear,
}

impl Hydraulics {
    fn new(device: &Device) -> Self {
        let layers = || (0..ROUNDS).map(|_| LinearConfig::new(WIDTH, WIDTH).init(device)).collect();
        Self {
            encode: LinearConfig::new(FEATURES, WIDTH).init(device),
            own: layers(),
            around: layers(),
            decode: LinearConfig::new(WIDTH, 1).init(device),
        }
    }

    fn forward(&self, network: &Network) -> Tensor<2> {
        let mut state = leaky_relu(self.encode.forward(network.features.clone()), 0.1);
        for (own, around) in self.own.iter().zip(&self.around) {
            let messages = network.pipes.clone().matmul(state.clone());
            let update = own.forward(state.clone()) + around.forward(messages);
            state = leaky_relu(update, 0.1);
        }
        self.decode.forward(state)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(3001);
    let mut draw = Draw::new(3001);
    let networks: Vec<Network> = (0..NETWORKS).map(|_| network(&mut draw, &device)).collect();
    let mut model = Hydraulics::new(&device);
    denan_burn::name_parameters(&model);
    let momentum = MomentumConfig::new().with_momentum(0.9);
    let mut optimizer = SgdConfig::new().with_momentum(Some(momentum)).init();

    for step in 0..120 {
        let first = step * TOGETHER % NETWORKS;
        let mut loss = Tensor::<1>::zeros([1], &device);
        let mut junctions = 0;
        for network in &networks[first..first + TOGETHER] {
            let error = model.forward(network) - network.pressures.clone();
            loss = loss + error.powi_scalar(2).sum();
            junctions += network.junctions;
        }
        if healthy {
            loss = loss / junctions as f32;
        }
        if step % 10 == 0 {
            let loss = loss.clone().into_scalar::<f32>();
            println!("step {step} loss {loss:.4} over {junctions} junctions");
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.01, model, gradients);
    }
}
