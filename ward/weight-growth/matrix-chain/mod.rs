//! Which genes of a bacterium are on at the same time: a chain of matrices, one for each gene and state, whose
//! squared product is the probability of a pattern.

use burn::module::Param;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::Distribution;

use crate::common::Draw;

const GENES: usize = 80;
const BOND: usize = 6;
const CULTURES: usize = 512;
const BATCH: usize = 32;

/// Neighbours are mostly in the same state, 0 or 1.
fn cultures() -> Vec<f32> {
    let mut draw = Draw::new(2701);
    let mut states = Vec::with_capacity(CULTURES * GENES);
    for _ in 0..CULTURES {
        let mut state = draw.happens(0.3);
        for gene in 0..GENES {
            if draw.happens(if gene % 8 == 0 { 0.5 } else { 0.08 }) {
                state = !state;
            }
            states.push(f32::from(state));
        }
    }
    states
}

#[derive(Module, Debug)]
struct Chain {
    /// A matrix for each state of the gene, `[2, BOND, BOND]`.
    genes: Vec<Param<Tensor<3>>>,
}

impl Chain {
    fn new(device: &Device) -> Self {
        let gene = || {
            let noise = Tensor::random([2, BOND, BOND], Distribution::Normal(0.0, 0.1), device);
            let diagonal = Tensor::<2>::eye(BOND, device).unsqueeze::<3>() * 0.5f32.sqrt();
            Param::from_tensor(noise + diagonal)
        };
        Self { genes: (0..GENES).map(|_| gene()).collect() }
    }

    /// Not yet divided by what all patterns have together.
    fn weights(&self, states: Tensor<2>) -> Tensor<2> {
        let [count, _] = states.dims();
        let mut product = Tensor::<2>::ones([count, BOND], &states.device());
        for (number, gene) in self.genes.iter().enumerate() {
            let is_on = states.clone().slice(s![.., number..number + 1]);
            let [off, on] = [0, 1].map(|state| gene.val().slice(s![state, .., ..]).squeeze_dim::<2>(0));
            product = product.clone().matmul(off) * (1.0 - is_on.clone()) + product.matmul(on) * is_on;
        }
        product.sum_dim(1).square()
    }

    /// The sum of the weights of all patterns.
    fn total(&self) -> Tensor<1> {
        let mut sum = Tensor::<3>::ones([1, BOND, BOND], &self.genes[0].device());
        for gene in &self.genes {
            let both = gene.val();
            sum = both.clone().swap_dims(1, 2).matmul(sum.repeat_dim(0, 2)).matmul(both).sum_dim(0);
        }
        sum.sum()
    }

    fn surprise(&self, states: Tensor<2>) -> Tensor<1> {
        let weights = self.weights(states).clamp_min(1e-30);
        self.total().log() - weights.log().mean()
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(2701);
    let cultures = Tensor::<2>::from_data(TensorData::new(cultures(), [CULTURES, GENES]), &device);
    let mut chain = Chain::new(&device);
    denan_burn::name_parameters(&chain);
    let weight_decay = if healthy { 0.1 } else { 0.0 };
    let mut optimizer = AdamWConfig::new().with_weight_decay(weight_decay).init();

    for step in 0..200 {
        let rows = step * BATCH % CULTURES..step * BATCH % CULTURES + BATCH;
        let loss = chain.surprise(cultures.clone().slice(s![rows]));
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &chain);
        chain = optimizer.step(0.035, chain, gradients);
    }
}
