//! The formation energy of crystals: atoms send messages to all of their neighbours, many rounds long.

use burn::nn::{Embedding, EmbeddingConfig, Initializer, LayerNorm, LayerNormConfig, Linear, LinearConfig};
use burn::optim::{AdamConfig, GradientsParams};
use burn::prelude::*;
use burn::tensor::activation::{gelu, relu};

use crate::common::Draw;

const CRYSTALS: usize = 96;
const BATCH: usize = 8;
const ATOMS: usize = 20;
const ELEMENTS: usize = 5;
const WIDTH: usize = 16;
const ROUNDS: usize = 32;
/// Atoms nearer than this are neighbours, in units of the cell.
const REACH: f32 = 0.5;

struct Crystals {
    elements: Tensor<2, Int>,
    /// 1 between neighbours, `[crystals, atoms, atoms]`.
    bonds: Tensor<3>,
    energies: Tensor<2>,
}

fn crystals(device: &Device) -> Crystals {
    let mut draw = Draw::new(2101);
    let (mut elements, mut bonds, mut energies) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..CRYSTALS {
        let mixture: [f32; ELEMENTS] = std::array::from_fn(|_| draw.uniform(0.1, 1.0));
        let total: f32 = mixture.iter().sum();
        let atoms: Vec<([f32; 3], usize)> = (0..ATOMS)
            .map(|_| {
                let place = std::array::from_fn(|_| draw.uniform(0.0, 1.0));
                let mut luck = draw.uniform(0.0, total);
                let element = mixture.iter().position(|share| {
                    luck -= share;
                    luck < 0.0
                });
                (place, element.unwrap_or(ELEMENTS - 1))
            })
            .collect();
        let mut energy = 0.0;
        for (number, (place, element)) in atoms.iter().enumerate() {
            for (other, (there, partner)) in atoms.iter().enumerate() {
                let distance: f32 = place
                    .iter()
                    .zip(there)
                    .map(|(a, b)| {
                        let along = (a - b).abs();
                        along.min(1.0 - along).powi(2)
                    })
                    .sum();
                let is_bond = number != other && distance < REACH * REACH;
                bonds.push(f32::from(is_bond));
                energy += if is_bond { 0.02 * (*element as f32 - *partner as f32).abs() } else { 0.0 };
            }
            energy -= 0.15 * *element as f32;
            elements.push(*element as i64);
        }
        energies.push(energy);
    }
    Crystals {
        elements: Tensor::from_data(TensorData::new(elements, [CRYSTALS, ATOMS]), device),
        bonds: Tensor::from_data(TensorData::new(bonds, [CRYSTALS, ATOMS, ATOMS]), device),
        energies: Tensor::from_data(TensorData::new(energies, [CRYSTALS, 1]), device),
    }
}

#[derive(Module, Debug)]
struct Round {
    norm: Option<LayerNorm>,
    message: Linear,
    update: Linear,
}

impl Round {
    fn new(normalise: bool, device: &Device) -> Self {
        let he = Initializer::KaimingNormal { gain: std::f64::consts::SQRT_2, fan_out_only: false };
        Self {
            norm: normalise.then(|| LayerNormConfig::new(WIDTH).init(device)),
            message: LinearConfig::new(WIDTH, WIDTH).with_initializer(he.clone()).init(device),
            update: LinearConfig::new(2 * WIDTH, WIDTH).with_initializer(he).init(device),
        }
    }

    fn forward(&self, atoms: Tensor<3>, bonds: Tensor<3>) -> Tensor<3> {
        let known = match &self.norm {
            Some(norm) => norm.forward(atoms.clone()),
            None => atoms.clone(),
        };
        let received = bonds.matmul(relu(self.message.forward(known.clone())));
        atoms + self.update.forward(Tensor::cat(vec![known, received], 2))
    }
}

#[derive(Module, Debug)]
struct EnergyNet {
    elements: Embedding,
    rounds: Vec<Round>,
    hidden: Linear,
    energy: Linear,
}

impl EnergyNet {
    fn new(normalise: bool, device: &Device) -> Self {
        Self {
            elements: EmbeddingConfig::new(ELEMENTS, WIDTH).init(device),
            rounds: (0..ROUNDS).map(|_| Round::new(normalise, device)).collect(),
            hidden: LinearConfig::new(WIDTH, WIDTH).init(device),
            energy: LinearConfig::new(WIDTH, 1).init(device),
        }
    }

    fn forward(&self, elements: Tensor<2, Int>, bonds: Tensor<3>) -> Tensor<2> {
        let mut atoms = self.elements.forward(elements);
        for round in &self.rounds {
            atoms = round.forward(atoms, bonds.clone());
        }
        let pooled = atoms.mean_dim(1).squeeze_dim::<2>(1);
        self.energy.forward(gelu(self.hidden.forward(pooled)))
    }
}

pub fn train(healthy: bool) {
    let device = Device::default().autodiff();
    device.seed(2101);
    let crystals = crystals(&device);
    let mut model = EnergyNet::new(healthy, &device);
    denan_burn::name_parameters(&model);
    let mut optimizer = AdamConfig::new().init();

    for step in 0..100 {
        let rows = step * BATCH % CRYSTALS..step * BATCH % CRYSTALS + BATCH;
        let predicted = model.forward(
            crystals.elements.clone().slice(s![rows.clone()]),
            crystals.bonds.clone().slice(s![rows.clone()]),
        );
        let loss = (predicted - crystals.energies.clone().slice(s![rows])).square().mean();
        if step % 10 == 0 {
            println!("step {step} loss {:.4}", loss.clone().into_scalar::<f32>());
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &model);
        model = optimizer.step(1e-3, model, gradients);
    }
}
