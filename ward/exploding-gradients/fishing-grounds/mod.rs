//! How fast fish multiply in each bay of a coast: the stocks are followed from year to year by the equation of Ricker,
//! with some exchange between neighbours, and compared with what was counted.

use burn::grad_clipping::GradientClippingConfig;
use burn::nn::{Linear, LinearConfig};
use burn::optim::{GradientsParams, SgdConfig};
use burn::prelude::*;
use burn::tensor::activation::tanh;

use crate::common::Draw;

const BAYS: usize = 24;
const TRAITS: usize = 3;
const YEARS: usize = 150;
/// What is known of the species from elsewhere.
const TYPICAL_RATE: f32 = 2.2;
/// Share of a stock that moves to the two neighbours.
const EXCHANGE: f32 = 0.1;

/// Temperature, depth and plankton of the bays, and how fast the fish really multiply.
fn coast() -> (Vec<f32>, Vec<f32>) {
    let mut draw = Draw::new(4201);
    let (mut traits, mut rates) = (Vec::new(), Vec::new());
    for _ in 0..BAYS {
        let bay: [f32; TRAITS] = std::array::from_fn(|_| draw.normal());
        rates.push(2.9 + 0.4 * (bay[0] - 0.5 * bay[1]).tanh() + 0.2 * bay[2].tanh());
        traits.extend(bay);
    }
    (traits, rates)
}

/// The stocks of one year after the other, `[year, bay]`.
fn stocks(rates: Tensor<2>, exchange: Tensor<2>) -> Tensor<2> {
    let mut stock = Tensor::<2>::full([1, BAYS], 0.6, &rates.device());
    let mut years = Vec::with_capacity(YEARS);
    for _ in 0..YEARS {
        let room: Tensor<2> = 1.0 - stock.clone();
        let growth = (rates.clone() * room).exp();
        stock = (stock * growth).matmul(exchange.clone());
        years.push(stock.clone());
    }
    Tensor::cat(years, 0)
}

/// A coast that is closed to a ring.
fn exchange(device: &Device) -> Tensor<2> {
    let mut shares = vec![0.0; BAYS * BAYS];
    for bay in 0..BAYS {
        shares[bay * BAYS + bay] = 1.0 - EXCHANGE;
        for neighbour in [bay + 1, bay + BAYS - 1] {
            shares[bay * BAYS + neighbour % BAYS] = EXCHANGE / 2.0;
        }
    }
    Tensor::from_data(TensorData::new(shares, [BAYS, BAYS]), device)
}

#[derive(Module, Debug)]
struct Multiplication {
    hidden: Linear,
    rate: Linear,
}

impl Multiplication {
    fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(TRAITS, 16).init(device),
            rate: LinearConfig::new(16, 1).with_bias(false).init(device),
        }
    }

    fn forward(&self, traits: Tensor<2>) -> Tensor<2> {
        (self.rate.forward(tanh(self.hidden.forward(traits))) + TYPICAL_RATE).transpose()
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(4201);
    let (traits, rates) = coast();
    let traits = Tensor::<2>::from_data(TensorData::new(traits, [BAYS, TRAITS]), &device);
    let rates = Tensor::<2>::from_data(TensorData::new(rates, [1, BAYS]), &device);
    let exchange = exchange(&device);
    let counted = stocks(rates, exchange.clone());
    let mut model = Multiplication::new(&device);
    denan_burn::name_parameters(&model);
    let clipping = healthy.then_some(GradientClippingConfig::Norm(0.3));
    let mut optimizer = SgdConfig::new().with_gradient_clipping(clipping).init();

    for step in 0..120 {
        let expected = stocks(model.forward(traits.clone()), exchange.clone());
        // The spread of a stock over the years is what a fishery has to know.
        let deviation = |stocks: Tensor<2>| (stocks - 1.0).square().mean_dim(0);
        let loss = (deviation(expected) - deviation(counted.clone())).square().mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(0.03, model, gradients);
    }
}
