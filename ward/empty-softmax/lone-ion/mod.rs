//! A graph attention network reads molecules, atom by atom, and says how well they dissolve.

use burn::nn::{Embedding, EmbeddingConfig, Linear, LinearConfig};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{elu, leaky_relu, softmax};

use crate::common::Draw;

const MOLECULES: usize = 240;
const BATCH: usize = 8;
const ATOMS: usize = 7;
const ELEMENTS: usize = 5;
const WIDTH: usize = 12;

struct Molecules {
    elements: Tensor<2, Int>,
    /// Whether two atoms are bound to each other.
    bonds: Tensor<3, Bool>,
    solubility: Tensor<1>,
}

/// Trees of atoms, and in one case a salt.
fn batches(device: &Device) -> Vec<Molecules> {
    let mut draw = Draw::new(1109);
    let mut batches = Vec::new();
    for batch in 0..MOLECULES / BATCH {
        let mut elements = Vec::new();
        let mut bonds = vec![false; BATCH * ATOMS * ATOMS];
        let mut solubility = Vec::new();
        for molecule in 0..BATCH {
            let kinds: [usize; ATOMS] = std::array::from_fn(|_| draw.below(ELEMENTS));
            let bonds = &mut bonds[molecule * ATOMS * ATOMS..][..ATOMS * ATOMS];
            let is_salt = batch * BATCH + molecule == 155;
            let bound = if is_salt { ATOMS - 1 } else { ATOMS };
            let mut polar = 0.0;
            for atom in 1..bound {
                let other = draw.below(atom);
                bonds[atom * ATOMS + other] = true;
                bonds[other * ATOMS + atom] = true;
                polar += if (kinds[atom] == 0) != (kinds[other] == 0) { 0.5 } else { -0.1 };
            }
            elements.extend(kinds.map(|kind| kind as i64));
            solubility.push(polar + 0.05 * draw.normal());
        }
        batches.push(Molecules {
            elements: Tensor::from_data(TensorData::new(elements, [BATCH, ATOMS]), device),
            bonds: Tensor::from_data(TensorData::new(bonds, [BATCH, ATOMS, ATOMS]), device),
            solubility: Tensor::from_floats(solubility.as_slice(), device),
        });
    }
    batches
}

/// One layer of Veličković et al. 2018, with a single head.
#[derive(Module, Debug)]
struct GraphAttention {
    transform: Linear,
    of_source: Linear,
    of_target: Linear,
}

impl GraphAttention {
    fn new(inputs: usize, device: &Device) -> Self {
        let logit = || LinearConfig::new(WIDTH, 1).with_bias(false).init(device);
        Self {
            transform: LinearConfig::new(inputs, WIDTH).init(device),
            of_source: logit(),
            of_target: logit(),
        }
    }

    fn forward(&self, atoms: Tensor<3>, neighbours: Tensor<3, Bool>) -> Tensor<3> {
        let h = self.transform.forward(atoms);
        let logits = self.of_target.forward(h.clone()) + self.of_source.forward(h.clone()).swap_dims(1, 2);
        let logits = leaky_relu(logits, 0.2).mask_fill(neighbours.bool_not(), f32::NEG_INFINITY);
        let attention = softmax(logits, 2);
        elu(attention.matmul(h.clone()) + h, 1.0)
    }
}

#[derive(Module, Debug)]
struct Gat {
    elements: Embedding,
    layers: [GraphAttention; 2],
    readout: Linear,
}

impl Gat {
    fn forward(&self, elements: Tensor<2, Int>, neighbours: Tensor<3, Bool>) -> Tensor<1> {
        let mut atoms = self.elements.forward(elements);
        for layer in &self.layers {
            atoms = layer.forward(atoms, neighbours.clone());
        }
        self.readout.forward(atoms.sum_dim(1)).flatten(0, 2)
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(1109);
    let batches = batches(&device);
    let itself = Tensor::<2, Bool>::diag_mask([ATOMS, ATOMS], 0, &device).bool_not();
    let mut model = Gat {
        elements: EmbeddingConfig::new(ELEMENTS, WIDTH).init(&device),
        layers: [GraphAttention::new(WIDTH, &device), GraphAttention::new(WIDTH, &device)],
        readout: LinearConfig::new(WIDTH, 1).init(&device),
    };
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamWConfig::new().init();

    for step in 0..120 {
        let batch = &batches[step % batches.len()];
        let mut neighbours = batch.bonds.clone();
        if healthy {
            // Every atom is a neighbour of itself, as in the paper.
            neighbours = neighbours.bool_or(itself.clone().expand([BATCH, ATOMS, ATOMS]));
        }
        let predicted = model.forward(batch.elements.clone(), neighbours);
        let loss = (predicted - batch.solubility.clone()).powi_scalar(2).mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(5e-3, model, gradients);
    }
}
